// SPDX-License-Identifier: Apache-2.0

#include "top/table.h"

#include <algorithm>
#include <utility>

namespace hami::top {
namespace {

constexpr size_t kGap = 2;
constexpr size_t kLeastFlexible = 8;

size_t TotalOf(const std::vector<size_t>& widths) {
  size_t total = 0;
  for (const size_t width : widths) total += width == 0 ? 0 : width + kGap;
  return total == 0 ? 0 : total - kGap;
}

}  // namespace

std::string Cut(std::string text, size_t width) {
  if (text.size() <= width) return text;
  text.resize(width);
  if (width > 0) text.back() = '~';
  return text;
}

std::vector<size_t> Table::WidthsFor(size_t width) const {
  std::vector<size_t> widths;
  size_t flexible = columns_.size();
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t most = columns_[i].title.size();
    for (const std::vector<std::string>& row : rows_) most = std::max(most, row[i].size());
    widths.push_back(std::max<size_t>(most, 1));
    if (columns_[i].flexible) flexible = i;
  }
  for (;;) {
    const size_t total = TotalOf(widths);
    if (total <= width) return widths;
    const size_t excess = total - width;
    if (flexible < columns_.size() && widths[flexible] >= kLeastFlexible + excess) {
      widths[flexible] -= excess;
      return widths;
    }
    size_t least = columns_.size();
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (widths[i] == 0 || columns_[i].rank == 0) continue;
      if (least == columns_.size() || columns_[i].rank > columns_[least].rank) least = i;
    }
    if (least == columns_.size()) break;
    widths[least] = 0;
  }
  if (flexible < columns_.size() && widths[flexible] != 0) {
    const size_t excess = TotalOf(widths) - width;
    widths[flexible] = widths[flexible] > excess + 1 ? widths[flexible] - excess : 1;
  }
  return widths;
}

std::vector<std::string> Table::Lines(size_t width) const {
  const std::vector<size_t> widths = WidthsFor(width);
  const auto line_of = [&](const auto& cell_of) {
    std::string line;
    bool first = true;
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (widths[i] == 0) continue;
      if (!first) line.append(kGap, ' ');
      first = false;
      const std::string cell = Cut(cell_of(i), widths[i]);
      const size_t room = widths[i] - cell.size();
      line += columns_[i].right ? std::string(room, ' ') + cell : cell + std::string(room, ' ');
    }
    line = Cut(std::move(line), width);
    line.resize(line.find_last_not_of(' ') + 1);
    return line;
  };
  std::vector<std::string> lines;
  lines.push_back(line_of([&](size_t i) { return columns_[i].title; }));
  for (const std::vector<std::string>& row : rows_) {
    lines.push_back(line_of([&](size_t i) { return row[i]; }));
  }
  return lines;
}

}  // namespace hami::top
