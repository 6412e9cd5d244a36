// SPDX-License-Identifier: Apache-2.0

#include "placement/nearest.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/stable_sort.h"

namespace hami::placement {
namespace {

constexpr size_t kMostCards = 8;  // that are told of one container
constexpr double kNoDevice = 3;   // what a device lacks that is not there

// How far a device is from serving an ask: 0 it does, up to 1 for a part of memory or cores that is
// missing, 2 for anything that no freed share mends.
double LackOf(const DeviceState& device, const DeviceUse& used, const Offer& offer) {
  const auto part = [](int64_t free, int64_t asked) {
    return asked <= 0 ? 0.0
                      : static_cast<double>(asked - std::max<int64_t>(free, 0)) /
                            static_cast<double>(asked);
  };
  switch (offer.reason) {
    case Reason::kNone:
      return 0;
    case Reason::kCardInsufficientMemory:
      return part(int64_t{device.total.memory_mib} - used.memory_mib, offer.need.memory_mib);
    case Reason::kCardInsufficientCore:
      return part(int64_t{device.total.cores} - used.cores, offer.need.cores);
    case Reason::kCardTimeSlicingExhausted:
    case Reason::kExclusiveDeviceAllocateConflict:
    case Reason::kCardComputeUnitsExhausted:
    case Reason::kCardMigTopologyInfeasible:
    case Reason::kResourceQuotaNotFit:
      return 1;
    default:
      return 2;
  }
}

std::string TextOf(std::string_view id, const DeviceState& device, const DeviceUse& used,
                   const Offer& offer, bool in_percent) {
  switch (offer.reason) {
    case Reason::kCardInsufficientMemory:
      return fmt::format("{} has {} MiB free of {} asked", id,
                         std::max(device.total.memory_mib - used.memory_mib, 0),
                         offer.need.memory_mib);
    case Reason::kCardInsufficientCore:
      return fmt::format("{} has {}{} of its cores free of {} asked", id,
                         std::max(device.total.cores - used.cores, 0), in_percent ? " %" : "",
                         offer.need.cores);
    case Reason::kCardTimeSlicingExhausted:
      return fmt::format("{} has all of its {} slots taken", id, device.total.slots);
    case Reason::kExclusiveDeviceAllocateConflict:
      return fmt::format("{} is asked alone and {} {} on it", id, used.slots,
                         used.slots == 1 ? "container is" : "containers are");
    case Reason::kCardComputeUnitsExhausted:
      return fmt::format("{} has no cores left", id);
    case Reason::kCardMigTopologyInfeasible:
      return fmt::format("{} has no place for an instance of {} MiB", id, offer.need.memory_mib);
    case Reason::kResourceQuotaNotFit:
      return fmt::format("{} would exceed the namespace's quota", id);
    case Reason::kCardNotHealth:
    case Reason::kCardUnhealthy:
      return fmt::format("{} is not healthy", id);
    case Reason::kCardCordoned:
      return fmt::format("{} is cordoned", id);
    case Reason::kCardTypeMismatch:
      return fmt::format("{} is of another type or mode", id);
    case Reason::kCardUuidMismatch:
      return fmt::format("{} is excluded by its id", id);
    default:
      return fmt::format("{}: {}", id, ReasonWord(offer.reason));
  }
}

}  // namespace

NearestSearch::NearestSearch(const CompiledRequest& compiled)
    : compiled_(compiled), fitter_(compiled) {}

void NearestSearch::Add(const Fitter& fitter, const CompiledAsk& ask, const VendorRange& range,
                        const Offer* offers, NodeDistance* distance) {
  lacks_.clear();
  for (uint16_t i = range.begin; i < range.end; ++i) {
    const Offer offer = offers != nullptr ? offers[i] : fitter.Check(ask, i);
    lacks_.push_back(LackOf(fitter.node().devices[i], fitter.used(i), offer));
  }
  const auto wanted = static_cast<size_t>(fitter.RequestOf(ask).count);
  if (wanted == 1) {
    std::swap(lacks_.front(), *std::min_element(lacks_.begin(), lacks_.end()));
  } else {
    std::sort(lacks_.begin(), lacks_.end());
  }
  for (size_t i = 0; i < std::min(wanted, lacks_.size()); ++i) {
    if (lacks_[i] > 0) ++distance->missing;
    distance->lack += lacks_[i];
  }
  if (wanted > lacks_.size()) {
    const size_t absent = wanted - lacks_.size();
    distance->missing += static_cast<int64_t>(absent);
    distance->lack += kNoDevice * static_cast<double>(absent);
  }
}

std::optional<NodeDistance> NearestSearch::Measure(uint32_t number, const Fitter& tried) {
  const NodeState& node = compiled_.index->node(number);
  // With one ask, what was found out a moment ago says it all.
  const bool known = compiled_.asks.size() == 1 && tried.has_offers() && &tried.node() == &node;
  if (!known) fitter_.Start(number);
  NodeDistance distance;
  bool any = false;
  for (const CompiledAsk& ask : compiled_.asks) {
    const VendorRange* range = node.RangeOf(ask.request->vendor);
    if (range == nullptr) {
      distance.missing += ask.request->count;
      distance.lack += kNoDevice * ask.request->count;
      continue;
    }
    any = true;
    Add(known ? tried : fitter_, ask, *range, known ? tried.offers() : nullptr, &distance);
  }
  if (!any) return std::nullopt;
  return distance;
}

void NearestSearch::Consider(uint32_t node, const NodeDistance& distance) {
  if (best_ && !(distance < *best_)) return;
  best_ = distance;
  best_node_ = node;
}

std::optional<NearestMiss> NearestSearch::Take() {
  if (!best_) return std::nullopt;
  fitter_.Start(best_node_);
  const NodeState& node = fitter_.node();
  std::string text = node.facts.name + ": ";
  bool first = true;
  for (const CompiledAsk& ask : compiled_.asks) {
    const VendorRange* range = node.RangeOf(ask.request->vendor);
    const uint16_t begin = range == nullptr ? 0 : range->begin;
    const uint16_t end = range == nullptr ? 0 : range->end;
    std::vector<std::pair<double, std::string>> cards;
    int32_t fitting = 0;
    for (uint16_t i = begin; i < end; ++i) {
      const Offer offer = fitter_.Check(ask, i);
      if (offer.reason == Reason::kNone) {
        ++fitting;
        continue;
      }
      cards.emplace_back(
          LackOf(node.devices[i], fitter_.used(i), offer),
          TextOf(node.DeviceId(i), node.devices[i], fitter_.used(i), offer, ask.in_percent));
    }
    const int32_t count = fitter_.RequestOf(ask).count;
    if (fitting >= count && compiled_.asks.size() > 1) continue;
    base::StableSortBy(&cards, [](const auto& card) { return card.first; });
    if (!first) text += "; ";
    first = false;
    if (compiled_.request->containers.size() > 1) {
      text += fmt::format("container {}: ", ask.container + 1);
    }
    text += fmt::format("{} of {} {} cards {}", std::min(fitting, count), count,
                        ask.spec->common_word, fitting == 1 ? "fits" : "fit");
    for (size_t i = 0; i < std::min(cards.size(), kMostCards); ++i) text += "; " + cards[i].second;
    if (cards.size() > kMostCards) {
      text += fmt::format("; and {} more", cards.size() - kMostCards);
    }
  }
  if (first) text += "each container fits alone, but not all together";
  return NearestMiss{.node = node.facts.name, .text = std::move(text)};
}

}  // namespace hami::placement
