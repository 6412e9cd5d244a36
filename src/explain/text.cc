// SPDX-License-Identifier: Apache-2.0

#include "explain/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "explain/advice.h"
#include "explain/read_objects.h"
#include "explain/wording.h"

namespace hami::explain {
namespace {

constexpr size_t kMostHolders = 8;
constexpr size_t kMostPods = 6;
constexpr size_t kMostEvents = 3;

// Rows with a word in front; the word is printed once for rows that belong together.
class Page {
 public:
  // The first line; rows come after an empty one.
  explicit Page(std::string_view title) : text_(fmt::format("{}\n", title)) {}
  void Row(std::string_view label, std::string_view text) {
    const bool again = label == label_;
    if (!has_rows_) text_ += "\n";
    has_rows_ = true;
    text_ += fmt::format("{:<9}{}\n", again ? "" : label, text);
    label_ = label;
  }
  void List(std::string_view title, const std::vector<std::string>& items) {
    if (items.empty()) return;
    text_ += fmt::format("\n{}\n", title);
    for (const std::string& item : items) text_ += fmt::format("- {}\n", item);
    label_.clear();
  }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
  std::string label_;
  bool has_rows_ = false;
};

std::string RequestText(const Request& request) {
  const std::string how_many = request.all          ? "all devices of a node"
                               : request.count == 1 ? "1 device"
                                                    : fmt::format("{} devices", request.count);
  return fmt::format("{}: {} of class {}{}{}{}", request.name, how_many, request.device_class,
                     request.capacity.empty() ? "" : ", ", AmountsText(request.capacity),
                     request.admin_access ? ", with admin access" : "");
}

std::string LackText(const Candidate& candidate) {
  if (candidate.taken) return "has room, but not beside the claim's other requests";
  if (candidate.in_use && !candidate.never()) return "in use, and cannot be shared";
  std::vector<std::string> lacks;
  for (const Comparison& capacity : candidate.capacities) {
    if (!capacity.lacks) continue;
    if (capacity.unknown) {
      lacks.push_back("has no " + capacity.capacity);
      continue;
    }
    const Amount short_by = {capacity.asked.value - capacity.free.value, capacity.asked.binary};
    lacks.push_back(
        capacity.never ? fmt::format("{} at most {}", capacity.capacity, AmountText(capacity.total))
                       : fmt::format("{} short by {}", capacity.capacity, AmountText(short_by)));
  }
  return fmt::format("{}", fmt::join(lacks, ", "));
}

std::string ExcessText(const Comparison& capacity) {
  const int64_t excess = capacity.asked.value - capacity.total.value;
  if (excess <= 0) return "more than one share may have";
  return AmountText({excess, capacity.asked.binary}) + " more than it has";
}

void PrintComparisons(const Candidate& candidate, Page* page) {
  size_t name_width = 0;
  size_t asked_width = 0;
  size_t free_width = 0;
  const auto free_text = [](const Comparison& capacity) {
    return fmt::format("free {} of {}", AmountText(capacity.free), AmountText(capacity.total));
  };
  for (const Comparison& capacity : candidate.capacities) {
    name_width = std::max(name_width, capacity.capacity.size());
    asked_width = std::max(asked_width, AmountText(capacity.asked).size());
    free_width = std::max(free_width, free_text(capacity).size());
  }
  for (const Comparison& capacity : candidate.capacities) {
    const Amount short_by = {capacity.asked.value - capacity.free.value, capacity.asked.binary};
    const std::string end = capacity.unknown  ? "the device has none"
                            : !capacity.lacks ? "enough"
                            : capacity.never  ? ExcessText(capacity)
                                              : fmt::format("short by {}", AmountText(short_by));
    page->Row("Nearest", fmt::format("  {:<{}}  asked {:<{}}  {:<{}}  {}", capacity.capacity,
                                     name_width, AmountText(capacity.asked), asked_width,
                                     capacity.unknown ? "" : free_text(capacity), free_width, end));
  }
}

void PrintHolders(const Candidate& candidate, Page* page) {
  size_t printed = 0;
  for (const Holder& holder : candidate.holders) {
    if (printed++ == kMostHolders) break;
    std::vector<std::string> pods;
    for (const HoldingPod& pod : holder.pods) {
      pods.push_back(pod.phase.empty() ? pod.name : fmt::format("{} ({})", pod.name, pod.phase));
    }
    page->Row("Held by",
              fmt::format("{}: {}; {}", holder.claim, AmountsText(holder.held),
                          pods.empty() ? "no pod"
                                       : fmt::format("{} {}", pods.size() == 1 ? "pod" : "pods",
                                                     fmt::join(pods, ", "))));
  }
  if (candidate.holders.size() > kMostHolders) {
    page->Row("Held by", fmt::format("and {} more", candidate.holders.size() - kMostHolders));
  }
}

void PrintUnserved(const Explanation& explanation, Page* page) {
  const bool several = explanation.requests.size() > 1;
  for (const Unserved& unserved : explanation.unserved) {
    const std::string request = several ? unserved.request + ": " : "";
    const bool whole = unserved.nearest.taken || unserved.nearest.in_use;
    page->Row("Nearest", fmt::format("{}{}{}", request, DeviceText(unserved.nearest.device),
                                     whole ? ", " + LackText(unserved.nearest) : ""));
    if (!whole) PrintComparisons(unserved.nearest, page);
    if (explanation.verdict != Verdict::kNeverFits) PrintHolders(unserved.nearest, page);
    for (const Candidate& other : unserved.others) {
      page->Row("Others",
                fmt::format("{}{}: {}", request, DeviceText(other.device), LackText(other)));
    }
    if (unserved.more > 0) page->Row("Others", fmt::format("and {} more", unserved.more));
  }
}

void PrintServed(const Explanation& explanation, Page* page) {
  const bool allocated =
      explanation.verdict == Verdict::kAllocated || explanation.verdict == Verdict::kDeviceGone;
  for (const Served& served : explanation.served) {
    const std::string request =
        explanation.served.size() > 1 || !allocated ? served.request + ": " : "";
    std::string text = request + DeviceText(served.device);
    if (allocated) {
      if (!served.amounts.empty()) text += ", with " + AmountsText(served.amounts);
      if (served.admin_access) text += ", admin access";
      if (served.gone) text += ", no longer published";
    } else {
      if (explanation.verdict != Verdict::kNeverFits) {
        text += ", where " + AmountsText(served.amounts) + " are free";
      }
    }
    page->Row(allocated ? "Device" : "Room", text);
  }
}

std::string EventText(const PodEvent& event) {
  return fmt::format("{}{}: {}", event.reason,
                     event.count > 1 ? fmt::format(" ({} times)", event.count) : "", event.message);
}

void PrintPod(std::string_view label, const PodFacts& pod, Page* page) {
  page->Row(label, fmt::format("{} ({}{})", pod.name, pod.phase.empty() ? "unknown" : pod.phase,
                               pod.deleted ? ", being deleted" : ""));
  if (IsWell(pod)) return;
  for (const PodCondition& condition : pod.conditions) {
    const bool telling = condition.type == "PodScheduled" || condition.type == "ContainersReady";
    if (!telling || condition.holds || condition.message.empty()) continue;
    // What follows says it better.
    if (condition.type == "ContainersReady" && (!pod.stuck.empty() || !pod.warnings.empty())) {
      continue;
    }
    page->Row(label, fmt::format("  {}: {}", condition.reason, condition.message));
  }
  for (const StuckContainer& container : pod.stuck) {
    std::string text = fmt::format("  container {}: {}", container.name, container.reason);
    if (container.exit_code) text += fmt::format(", exit code {}", *container.exit_code);
    if (!container.message.empty()) text += ": " + container.message;
    page->Row(label, text);
  }
  if (!pod.stuck.empty()) return;  // the events would say it again
  for (size_t i = 0; i < std::min(pod.warnings.size(), kMostEvents); ++i) {
    page->Row(label, "  " + EventText(pod.warnings[i]));
  }
}

// Without the one that was printed already.
void PrintPods(const Explanation& explanation, const PodFacts* printed, Page* page) {
  size_t count = 0;
  for (const PodFacts& pod : explanation.pods) {
    if (printed != nullptr && pod.name == printed->name) continue;
    if (++count <= kMostPods) PrintPod("Pods", pod, page);
  }
  if (count > kMostPods) page->Row("Pods", fmt::format("and {} more", count - kMostPods));
}

// What decides beside amounts; only where nothing else explains the waiting.
void PrintSelectors(const Explanation& explanation, Page* page) {
  std::vector<std::string> items;
  const bool all = explanation.verdict == Verdict::kFits && !explanation.pods.empty();
  for (const ClassFacts& device_class : explanation.classes) {
    for (const std::string& selector : device_class.selectors) {
      if (all) items.push_back(fmt::format("class {}: {}", device_class.name, selector));
    }
  }
  for (const Request& request : explanation.requests) {
    for (const std::string& selector : request.selectors) {
      items.push_back(fmt::format("request {}: {}", request.name, selector));
    }
  }
  for (const std::string& constraint : explanation.constraints) items.push_back(constraint);
  page->List("Conditions on devices (selectors are not evaluated here)", items);
}

void PrintNames(const Explanation& explanation, Page* page) {
  for (const GeneratedClaim& made : explanation.generated) {
    page->Row("Claims", fmt::format("{} of pod {}",
                                    made.claim.empty() ? "(not made yet)" : made.claim, made.pod));
  }
  // A template's claims are what is wanted then.
  if (!explanation.template_name.empty()) return;
  for (const std::string& name : explanation.similar) page->Row("Existing", name);
}

std::string RenderClaim(const Explanation& explanation, const PodFacts* printed) {
  Page page(Headline(explanation));
  const bool allocated =
      explanation.verdict == Verdict::kAllocated || explanation.verdict == Verdict::kDeviceGone;
  if (!allocated) {
    for (const Request& request : explanation.requests) page.Row("Asked", RequestText(request));
  }
  PrintServed(explanation, &page);
  PrintUnserved(explanation, &page);
  PrintNames(explanation, &page);
  PrintPods(explanation, printed, &page);
  if (!allocated) PrintSelectors(explanation, &page);
  const bool choice =
      explanation.verdict == Verdict::kNoRoom || explanation.verdict == Verdict::kNeverFits;
  page.List(choice ? "What to do (one of these)" : "What to do", Advice(explanation));
  page.List("Notes", Notes(explanation));
  return page.Take();
}

void PrintPlacing(const Placing& placing, Page* page) {
  for (const std::string& asked : placing.asked) page->Row("Asked", asked);
  for (size_t i = 0; i < placing.misses.size(); ++i) {
    const NodeMiss& miss = placing.misses[i];
    const std::string_view label = i == 0 ? "Nearest" : "Others";
    page->Row(label, fmt::format("{}: {}", miss.node, miss.reasons));
    // Its cards, one to a line.
    std::string_view cards = miss.cards;
    while (!cards.empty()) {
      const size_t end = std::min(cards.find("; "), cards.size());
      page->Row(label, fmt::format("  {}", cards.substr(0, end)));
      cards.remove_prefix(std::min(end + 2, cards.size()));
    }
  }
  if (placing.more > 0) page->Row("Others", fmt::format("and {} more", placing.more));
}

std::vector<std::string> PlacingNotes(const Placing& placing) {
  std::vector<std::string> notes;
  for (const Gap& gap : placing.gaps) {
    notes.push_back(fmt::format("{} could not be read: {}", gap.what, gap.why));
  }
  if (!placing.gaps.empty()) notes.emplace_back("What is called free may be less.");
  return notes;
}

}  // namespace

std::string RenderText(const Report& report) {
  if (!report.pod) return RenderClaim(report.claims.front(), nullptr);
  const PodFacts& pod = *report.pod;
  const size_t count = report.claims.size();
  const bool asks = report.placing && count == 0;
  Page page(
      asks ? PlacingHeadline(fmt::format("{}/{}", pod.namespace_name, pod.name), *report.placing)
           : fmt::format("Pod {}/{} uses {}.", pod.namespace_name, pod.name,
                         count == 0   ? "no claim"
                         : count == 1 ? "one claim"
                                      : fmt::format("{} claims", count)));
  if (report.placing) PrintPlacing(*report.placing, &page);
  PrintPod("Pod", pod, &page);
  if (report.placing) page.List("Notes", PlacingNotes(*report.placing));
  std::string text = page.Take();
  for (const Explanation& explanation : report.claims) {
    text += "\n" + RenderClaim(explanation, &pod);
  }
  return text;
}

}  // namespace hami::explain
