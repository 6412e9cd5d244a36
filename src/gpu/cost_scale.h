// SPDX-License-Identifier: Apache-2.0
//
// The slow correction of what a tenant's library charges for compute: true GPU time by the driver's
// samples over the GPU time charged. Pure values; one owner.
//
// What was charged already contains the scale of its moment, so the quotient corrects the scale
// instead of replacing it. One second of integer percents is rough; hence the minimum of charged
// time per step, the smoothing, and the bounds. The first steps are the largest: an estimate can be
// wrong by a factor at the beginning, and by a little later.

#pragma once

#include <cstdint>

namespace hami::gpu {

inline constexpr double kLeastCostScale = 0.25;
inline constexpr double kMostCostScale = 4.0;

// GPU time that must have been charged before a step is taken.
inline constexpr uint64_t kStepChargedNs = 200'000'000;

// How much of the difference the first step takes away; the second half of that, the third a third,
// but none less than the last weight.
inline constexpr double kFirstStepWeight = 1.0;
inline constexpr double kLeastStepWeight = 0.25;

struct CostScale {
  double scale = 1.0;
  int steps = 0;
  uint64_t true_ns = 0;     // gathered for the next step
  uint64_t charged_ns = 0;  // likewise
};

// Adds one look. Without any true time (the driver did not tell) nothing is learnt from it.
CostScale Learn(CostScale now, uint64_t true_ns, uint64_t charged_ns);

// As the region keeps it: 65536 is 1.0.
uint32_t ToQ16(double scale);

}  // namespace hami::gpu
