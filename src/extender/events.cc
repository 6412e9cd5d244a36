// SPDX-License-Identifier: Apache-2.0

#include "extender/events.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace hami::extender {
namespace {

// An Event is for people, and its message is cut at 1 KiB.
constexpr size_t kNamedNodes = 20;

// The reason words of "2/8 CardInsufficientMemory, 6/8 CardTypeMismatch".
std::vector<std::string_view> ReasonWords(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const size_t comma = text.find(", ");
    std::string_view part = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 2);
    const size_t space = part.find(' ');
    // "node unregistered" has no count before it.
    if (space != std::string_view::npos && part.substr(0, space).find('/') != part.npos) {
      part = part.substr(space + 1);
    }
    if (!part.empty()) words.push_back(part);
  }
  return words;
}

}  // namespace

kube::EventSubject SubjectOf(const kube::ObjectKey& pod, const std::string& uid) {
  return {.api_version = "v1", .kind = "Pod", .key = pod, .uid = uid};
}

kube::EventWords FilteringSucceed(const placement::Decision& decision, size_t asked_nodes) {
  const std::string& node = decision.allocation->node;
  const auto fitting = static_cast<size_t>(std::max(decision.candidates, 1));
  const size_t others = asked_nodes > fitting ? asked_nodes - fitting : 0;
  return {.is_warning = false,
          .reason = "FilteringSucceed",
          .message = fmt::format("find fit node({}), {} nodes not fit, {} nodes fit({}:{:.2f})",
                                 node, others, fitting, node, decision.score)};
}

kube::EventWords FilteringFailed(std::string_view error) {
  return {.is_warning = true, .reason = "FilteringFailed", .message = std::string(error)};
}

std::vector<kube::EventWords> NothingFits(std::span<const placement::Misfit> misfits,
                                          const placement::NearestMiss* nearest) {
  struct Group {
    size_t count = 0;
    std::string names;
  };
  std::map<std::string_view, Group> groups;
  for (const placement::Misfit& misfit : misfits) {
    for (const std::string_view word : ReasonWords(misfit.text)) {
      Group& group = groups[word];
      ++group.count;
      if (group.count > kNamedNodes) continue;
      if (group.count > 1) group.names += ',';
      group.names += misfit.node;
    }
  }
  std::vector<kube::EventWords> events;
  for (const auto& [word, group] : groups) {
    events.push_back(
        FilteringFailed(fmt::format("{} nodes {}({}{})", group.count, word, group.names,
                                    group.count > kNamedNodes ? ",..." : "")));
  }
  std::string sum = fmt::format("no available node, {} nodes do not meet", misfits.size());
  if (nearest != nullptr) sum += "; nearest: " + nearest->text;
  events.push_back(FilteringFailed(sum));
  return events;
}

kube::EventWords BindingSucceed(const std::string& node, const kube::ObjectKey& pod) {
  return {.is_warning = false,
          .reason = "BindingSucceed",
          .message = fmt::format("Successfully binding node [{}] to {}", node, pod.Text())};
}

kube::EventWords BindingFailed(std::string_view error) {
  return {.is_warning = true, .reason = "BindingFailed", .message = std::string(error)};
}

}  // namespace hami::extender
