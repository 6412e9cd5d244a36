// SPDX-License-Identifier: Apache-2.0

#include "top/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "top/filter.h"
#include "top/table.h"

namespace hami::top {
namespace {

constexpr size_t kMostTyped = 200;
constexpr char kFoot[] = "q quit  h help  / filter  sort: g n m c t x  r reverse  p processes";
constexpr std::string_view kKeyHelp[] = {
    "q          quit",
    "space      look now",
    "g n m c    sort by gpu, name, memory, compute",
    "t x        sort by time throttled, allocations refused",
    "r          the other way round",
    "/          edit the filter: TEXT, gpu=0, slice=TEXT, kind=run, rung=R, pid=N;",
    "           Enter takes it, Esc leaves it as it was",
    "\\          clear the filter",
    "p          processes on and off",
    "up down PgUp PgDn Home End",
    "",
    "COMP       of the device's time between two looks, against the limit",
    "THROTTLED  how long programs slept for the compute limit; NOW of the last",
    "           interval, all threads together, so that it may be above 100%",
    "REFUSED    allocations that would have gone over the memory limit",
    "RUNG       what enforces the limits",
    "",
    "any key    back",
};

}  // namespace

std::string DescribeView(const Order& order, std::string_view filter) {
  std::string text;
  if (order.key != SortKey::kGpu || order.reversed) {
    text = fmt::format("by {}{}", SortKeyName(order.key), order.reversed ? ", reversed" : "");
  }
  if (!filter.empty()) text += fmt::format("{}filter {}", text.empty() ? "" : "; ", filter);
  return text;
}

Wish Session::Press(const Key& key) {
  if (editing_) return Edit(key);
  if (helping_) {
    helping_ = false;
    return key == Key{KeyName::kText, 'q'} ? Wish::kQuit : Wish::kNothing;
  }
  if (key.name == KeyName::kText) return PressText(key.text);
  Scroll(key);
  return Wish::kNothing;
}

Wish Session::PressText(char text) {
  struct SortLetter {
    char letter;
    SortKey key;
  };
  static constexpr SortLetter kLetters[] = {
      {'g', SortKey::kGpu},     {'n', SortKey::kName},      {'m', SortKey::kMemory},
      {'c', SortKey::kCompute}, {'t', SortKey::kThrottled}, {'x', SortKey::kRefused},
  };
  for (const SortLetter& one : kLetters) {
    if (one.letter == text) order_.key = one.key;
  }
  if (text == 'q' || text == 'Q') return Wish::kQuit;
  if (text == ' ') return Wish::kLook;
  if (text == 'r') order_.reversed = !order_.reversed;
  if (text == 'p') processes_ = !processes_;
  if (text == '\\') filter_.clear();
  if (text == 'h' || text == '?') helping_ = true;
  if (text == '/') {
    editing_ = true;
    typed_ = filter_;
    problem_.clear();
  }
  return Wish::kNothing;
}

Wish Session::Edit(const Key& key) {
  if (key.name == KeyName::kEscape) {
    editing_ = false;
  } else if (key.name == KeyName::kEnter) {
    const Result<std::vector<FilterTerm>> terms = ParseFilter(typed_);
    problem_ = terms ? "" : terms.error().message;
    if (!terms) return Wish::kNothing;
    filter_ = typed_;
    editing_ = false;
    first_ = 0;
  } else if (key.name == KeyName::kBackspace) {
    if (!typed_.empty()) typed_.pop_back();
  } else if (key.name == KeyName::kText && typed_.size() < kMostTyped) {
    typed_ += key.text;
  }
  return Wish::kNothing;
}

void Session::Scroll(const Key& key) {
  const auto up = [&](size_t lines) { first_ -= std::min(first_, lines); };
  switch (key.name) {
    case KeyName::kUp:
      return up(1);
    case KeyName::kDown:
      ++first_;
      return;
    case KeyName::kPageUp:
      return up(page_rows_);
    case KeyName::kPageDown:
      first_ += page_rows_;
      return;
    case KeyName::kHome:
      first_ = 0;
      return;
    case KeyName::kEnd:
      first_ = SIZE_MAX / 2;
      return;
    default:
      return;
  }
}

std::string Session::FootText() const {
  if (!editing_) return kFoot;
  const std::string typed = "filter: " + typed_ + "_";
  return problem_.empty() ? typed : "(" + problem_ + ")  " + typed;
}

std::vector<Line> Session::Screen(const Snapshot& snapshot, const ScreenSize& size) {
  std::vector<Line> page;
  if (helping_) {
    page.push_back({"hami top: keys and columns", LineKind::kTitle});
    for (const std::string_view line : kKeyHelp) page.push_back({std::string(line)});
  } else {
    Snapshot shown = snapshot;
    // It was parsed when it was typed or given.
    const Result<std::vector<FilterTerm>> terms = ParseFilter(filter_);
    if (terms) ApplyFilter(*terms, &shown);
    ApplyOrder(order_, &shown);
    page = PageOf(
        shown,
        {.width = size.columns, .processes = processes_, .view = DescribeView(order_, filter_)});
  }
  const size_t rows = std::max<size_t>(size.rows, 2);
  page_rows_ = rows - 1;
  const size_t last_first = page.size() > page_rows_ ? page.size() - page_rows_ : 0;
  first_ = std::min(first_, last_first);
  const size_t top = helping_ ? 0 : first_;
  std::vector<Line> screen(
      page.begin() + static_cast<std::ptrdiff_t>(top),
      page.begin() + static_cast<std::ptrdiff_t>(std::min(page.size(), top + page_rows_)));
  std::string foot = FootText();
  if (!editing_ && last_first > 0 && !helping_) {
    foot = fmt::format("{}-{} of {} lines  {}", top + 1, top + screen.size(), page.size(), foot);
  }
  // Of what is being typed the end matters.
  if (editing_ && foot.size() > size.columns) foot.erase(0, foot.size() - size.columns);
  screen.push_back({std::move(foot), LineKind::kHeads});
  for (Line& line : screen) line.text = Cut(std::move(line.text), size.columns);
  return screen;
}

}  // namespace hami::top
