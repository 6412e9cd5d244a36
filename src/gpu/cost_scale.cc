// SPDX-License-Identifier: Apache-2.0

#include "gpu/cost_scale.h"

#include <algorithm>
#include <cmath>

namespace hami::gpu {
namespace {

constexpr int kLooksAfterChange = 1;

}  // namespace

CostScale Learn(CostScale now, uint64_t true_ns, uint64_t charged_ns) {
  now.true_ns += true_ns;
  now.charged_ns += charged_ns;
  if (true_ns == 0 && charged_ns != 0 && ++now.unseen >= kMostUnseen) {
    now.true_ns = now.charged_ns = 0;
    return now;
  }
  if (true_ns != 0) now.unseen = 0;
  if (now.charged_ns < kStepChargedNs || now.true_ns == 0) return now;
  const auto charged = static_cast<double>(now.charged_ns);
  now.true_sum_ns +=
      std::clamp(static_cast<double>(now.true_ns), charged / kMostStep, charged * kMostStep);
  now.unscaled_sum_ns += charged / now.scale;
  now.scale = std::clamp(now.true_sum_ns / now.unscaled_sum_ns, kLeastCostScale, kMostCostScale);
  if (now.unscaled_sum_ns > kMemoryNs) {
    now.true_sum_ns *= kMemoryNs / now.unscaled_sum_ns;
    now.unscaled_sum_ns = kMemoryNs;
  }
  now.true_ns = now.charged_ns = 0;
  return now;
}

CostScales Learn(CostScales scales, bool is_busy, uint64_t true_ns, uint64_t charged_ns) {
  if (is_busy != scales.is_busy) {
    scales.is_busy = is_busy;
    scales.looks_to_skip = kLooksAfterChange;
  }
  if (scales.looks_to_skip > 0) {
    --scales.looks_to_skip;
    return scales;
  }
  CostScale& mine = is_busy ? scales.busy : scales.idle;
  mine = Learn(mine, true_ns, charged_ns);
  return scales;
}

uint32_t ToQ16(double scale) {
  return static_cast<uint32_t>(
      std::lround(std::clamp(scale, kLeastCostScale, kMostCostScale) * 65536));
}

}  // namespace hami::gpu
