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
  void Row(std::string_view label, std::string_view text) {
    const bool again = label == label_;
    text_ += fmt::format("{:<9}{}\n", again ? "" : label, text);
    label_ = label;
  }
  void List(std::string_view title, const std::vector<std::string>& items) {
    if (items.empty()) return;
    text_ += fmt::format("\n{}\n", title);
    for (const std::string& item : items) text_ += fmt::format("- {}\n", item);
    label_.clear();
  }
  void Line(std::string_view text) { text_ += fmt::format("{}\n", text); }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
  std::string label_;
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
  std::vector<std::string> lacks;
  for (const Comparison& capacity : candidate.capacities) {
    if (!capacity.lacks) continue;
    if (capacity.unknown) {
      lacks.push_back("has no " + capacity.capacity);
      continue;
    }
    const Amount short_by = {capacity.asked.value - capacity.free.value, capacity.asked.binary};
    lacks.push_back(
        capacity.never
            ? fmt::format("{} never more than {}", capacity.capacity, AmountText(capacity.total))
            : fmt::format("{} short by {}", capacity.capacity, AmountText(short_by)));
  }
  return fmt::format("{}", fmt::join(lacks, ", "));
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
    const std::string end =
        capacity.unknown  ? "the device has none"
        : !capacity.lacks ? "enough"
        : capacity.never
            ? fmt::format(
                  "{} more than it ever gives",
                  AmountText({capacity.asked.value - capacity.total.value, capacity.asked.binary}))
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
    page->Row("Nearest",
              fmt::format("{}{}{}", request, DeviceText(unserved.nearest.device),
                          unserved.nearest.taken ? ", " + LackText(unserved.nearest) : ""));
    if (!unserved.nearest.taken) PrintComparisons(unserved.nearest, page);
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
      text += ", where " + AmountsText(served.amounts) + " are free";
    }
    page->Row(allocated ? "Device" : "Room", text);
  }
}

std::string EventText(const PodEvent& event) {
  return fmt::format("{}{}: {}", event.reason,
                     event.count > 1 ? fmt::format(" ({} times)", event.count) : "", event.message);
}

void PrintPod(const PodFacts& pod, Page* page) {
  page->Row("Pods", fmt::format("{} ({}{})", pod.name, pod.phase.empty() ? "unknown" : pod.phase,
                                pod.deleted ? ", being deleted" : ""));
  if (IsWell(pod)) return;
  for (const PodCondition& condition : pod.conditions) {
    const bool telling = condition.type == "PodScheduled" || condition.type == "ContainersReady";
    if (!telling || condition.holds || condition.message.empty()) continue;
    // What follows says it better.
    if (condition.type == "ContainersReady" && (!pod.stuck.empty() || !pod.warnings.empty())) {
      continue;
    }
    page->Row("Pods", fmt::format("  {}: {}", condition.reason, condition.message));
  }
  for (const StuckContainer& container : pod.stuck) {
    page->Row("Pods", fmt::format("  container {}: {}{}{}", container.name, container.reason,
                                  container.message.empty() ? "" : ": ", container.message));
  }
  for (size_t i = 0; i < std::min(pod.warnings.size(), kMostEvents); ++i) {
    page->Row("Pods", "  " + EventText(pod.warnings[i]));
  }
}

void PrintPods(const Explanation& explanation, Page* page) {
  for (size_t i = 0; i < std::min(explanation.pods.size(), kMostPods); ++i) {
    PrintPod(explanation.pods[i], page);
  }
  if (explanation.pods.size() > kMostPods) {
    page->Row("Pods", fmt::format("and {} more", explanation.pods.size() - kMostPods));
  }
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
  for (const std::string& name : explanation.similar) page->Row("Existing", name);
}

std::string RenderClaim(const Explanation& explanation) {
  Page page;
  page.Line(Headline(explanation));
  page.Line("");
  const bool allocated =
      explanation.verdict == Verdict::kAllocated || explanation.verdict == Verdict::kDeviceGone;
  if (!allocated) {
    for (const Request& request : explanation.requests) page.Row("Asked", RequestText(request));
  }
  PrintServed(explanation, &page);
  PrintUnserved(explanation, &page);
  PrintNames(explanation, &page);
  PrintPods(explanation, &page);
  if (!allocated) PrintSelectors(explanation, &page);
  page.List("What to do", Advice(explanation));
  page.List("Notes", Notes(explanation));
  return page.Take();
}

}  // namespace

std::string RenderText(const Report& report) {
  if (report.pod && report.claims.empty()) {
    Page page;
    page.Line(
        fmt::format("Pod {}/{} uses no claim.", report.pod->namespace_name, report.pod->name));
    page.Line("");
    PrintPod(*report.pod, &page);
    return page.Take();
  }
  std::string text;
  for (const Explanation& explanation : report.claims) {
    if (!text.empty()) text += "\n";
    text += RenderClaim(explanation);
  }
  return text;
}

}  // namespace hami::explain
