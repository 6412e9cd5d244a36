// SPDX-License-Identifier: Apache-2.0

#include "placement/pod_mix.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/stable_sort.h"

namespace hami::placement {
namespace {

// Pods of which the mix is made: at twice as many, each counts half.
constexpr double kWindow = 4096;
constexpr double kTypicalShare = 0.95;
// Scores change with the mix, and all that was computed with them: only for a reason.
constexpr double kDriftWorthIt = 0.04;
// Pods leave, if of so many that came at least so many have gone.
constexpr double kTurnoverShare = 0.25;

// A pod that asks for several whole devices counts as often.
void CountByDevices(std::vector<TypicalPod>* pods) {
  for (TypicalPod& pod : *pods) {
    double devices = 0;
    for (const DeviceAsk& ask : pod.shape.asks) {
      const double share =
          ask.memory_mib > 0 ? ask.cores_pct : std::max(ask.memory_pct, ask.cores_pct);
      devices += ask.count * share / 100;
    }
    pod.weight *= std::max(devices, 1.0);
  }
}

double SumOf(const std::vector<TypicalPod>& counts) {
  return std::accumulate(counts.begin(), counts.end(), 0.0,
                         [](double sum, const TypicalPod& count) { return sum + count.weight; });
}

}  // namespace

PodShape ShapeOf(const Request& request) {
  PodShape shape{.cpu_milli = request.cpu_milli, .asks = {}};
  for (const bool init : {false, true}) {
    for (const ContainerAsk& container : request.containers) {
      if ((container.kind == domain::ContainerKind::kInit) != init) continue;
      for (const vendor::Request& ask : container.requests) {
        shape.asks.push_back({.vendor = ask.vendor,
                              .count = ask.count,
                              .memory_mib = ask.memory_mib,
                              .memory_pct = ask.memory_mib > 0 ? 0 : ask.memory_pct,
                              .cores_pct = std::clamp(ask.cores, 0, 100)});
      }
    }
    if (!shape.asks.empty()) break;
  }
  return shape;
}

std::vector<TypicalPod> TypicalOf(std::vector<TypicalPod> counts) {
  double total = 0;
  for (const TypicalPod& pod : counts) total += pod.weight;
  base::StableSortBy(&counts, [](const TypicalPod& pod) { return -pod.weight; });
  double sum = 0;
  size_t size = 0;
  while (size < counts.size() && sum < kTypicalShare * total) sum += counts[size++].weight;
  counts.resize(size);
  for (TypicalPod& pod : counts) pod.weight /= sum;
  return counts;
}

void PodMix::Observe(const PodShape& shape) {
  const auto at = std::ranges::lower_bound(counts_, shape, {}, &TypicalPod::shape);
  if (at != counts_.end() && at->shape == shape) {
    at->weight += 1;
  } else {
    counts_.insert(at, {shape, 1});
  }
  total_ += 1;
  if (total_ >= 2 * kWindow) {
    for (TypicalPod& count : counts_) count.weight /= 2;
    departures_ /= 2;
    std::erase_if(counts_, [](const TypicalPod& count) { return count.weight < 0.5; });
    total_ = SumOf(counts_);
  }
  // At the first pods often, then at each tenth more, then each 512.
  if (++observed_ < next_look_) return;
  next_look_ = observed_ + std::min(512U, observed_ / 10 + 1);
  const bool turns_over = departures_ >= kTurnoverShare * total_;
  std::vector<TypicalPod> counts = counts_;
  if (turns_over) CountByDevices(&counts);
  if (!typical_.empty() && turns_over == turns_over_ && Drift(counts) <= kDriftWorthIt) return;
  typical_ = TypicalOf(std::move(counts));
  turns_over_ = turns_over;
  ++version_;
}

double PodMix::Drift(const std::vector<TypicalPod>& counts) const {
  const double total = SumOf(counts);
  double known = 0;
  double apart = 0;
  for (const TypicalPod& typical : typical_) {
    const auto at = std::ranges::lower_bound(counts, typical.shape, {}, &TypicalPod::shape);
    const double now = at != counts.end() && at->shape == typical.shape ? at->weight / total : 0;
    known += now;
    apart += std::abs(now - typical.weight * kTypicalShare);
  }
  return apart / 2 + std::max(0.0, kTypicalShare - known) / 2;
}

}  // namespace hami::placement
