// SPDX-License-Identifier: Apache-2.0

#include "gpu/cost_scale.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace hami::gpu {
namespace {

constexpr int kLooksAfterChange = 1;

// After so many looks beside idle neighbours the library has learnt what its launches take alone.
constexpr int kLooksUntilExact = 2;

// The library has learnt something else, and what was true of it before is not any more: the charge
// was far off in one direction, twice in a row.
constexpr double kFarOff = 1.6;
constexpr int kFarOffSteps = 2;

void Forget(CostScale* now, double quotient) {
  const int direction = quotient > kFarOff ? 1 : quotient < 1 / kFarOff ? -1 : 0;
  now->far_off = direction == 0                 ? 0
                 : now->far_off * direction > 0 ? now->far_off + direction
                                                : direction;
  if (std::abs(now->far_off) < kFarOffSteps) return;
  now->far_off = 0;
  now->true_sum_ns = kPriorNs * now->scale;
  now->unscaled_sum_ns = kPriorNs;
}

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
  const double unscaled = static_cast<double>(now.charged_ns) / now.scale;
  const double seen =
      std::clamp(static_cast<double>(now.true_ns), unscaled / kMostStep, unscaled * kMostStep);
  Forget(&now, seen / (unscaled * now.scale));
  now.true_sum_ns += seen;
  now.unscaled_sum_ns += unscaled;
  now.scale = std::clamp(now.true_sum_ns / now.unscaled_sum_ns, kLeastCostScale, kMostCostScale);
  now.unscaled_sum_ns = std::min(now.unscaled_sum_ns, kMemoryNs);
  now.true_sum_ns = now.unscaled_sum_ns * now.scale;  // not beyond the bounds either
  now.true_ns = now.charged_ns = 0;
  return now;
}

CostScales Learn(CostScales scales, bool is_busy, uint64_t true_ns, uint64_t charged_ns) {
  if (is_busy != scales.is_busy) {
    // Once: from then on what is learnt beside busy ones is of estimates that may be kept.
    if (is_busy && scales.idle_looks == kLooksUntilExact) {
      scales.busy = {};
      ++scales.idle_looks;
    }
    scales.is_busy = is_busy;
    scales.looks_to_skip = kLooksAfterChange;
  }
  if (scales.looks_to_skip > 0) {
    --scales.looks_to_skip;
    return scales;
  }
  if (!is_busy && charged_ns != 0 && scales.idle_looks < kLooksUntilExact) ++scales.idle_looks;
  CostScale& mine = is_busy ? scales.busy : scales.idle;
  mine = Learn(mine, true_ns, charged_ns);
  return scales;
}

uint32_t ToQ16(double scale) {
  return static_cast<uint32_t>(
      std::lround(std::clamp(scale, kLeastCostScale, kMostCostScale) * 65536));
}

}  // namespace hami::gpu
