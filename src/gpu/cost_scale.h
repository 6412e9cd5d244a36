// SPDX-License-Identifier: Apache-2.0
//
// The slow correction of what a tenant's library charges for compute: true GPU time by the driver's
// samples over the GPU time charged. Pure values; one owner.
//
// What was charged already contains the scale of its moment, which is taken out. The scale is the
// quotient of two sums over the last while, and not a mean of quotients: of a long kernel the
// charge falls into one look and the work into the next, and only sums do not mind. Before anything
// is known they agree; one step is bounded, whatever a sample says.

#pragma once

#include <cstdint>

namespace hami::gpu {

inline constexpr double kLeastCostScale = 0.25;
inline constexpr double kMostCostScale = 4.0;

// GPU time that must have been charged before a step is taken.
inline constexpr uint64_t kStepChargedNs = 50'000'000;

// How much GPU time of agreement there is at the beginning, and how much is remembered.
inline constexpr double kPriorNs = 25e6;
inline constexpr double kMemoryNs = 1e9;

// One step takes a quotient of at most so much, and at least its inverse.
inline constexpr double kMostStep = 8;

// Looks in a row at which something was charged and nothing seen to run: then samples are missing.
inline constexpr int kMostUnseen = 4;

struct CostScale {
  double scale = 1.0;
  double true_sum_ns = kPriorNs;
  double unscaled_sum_ns = kPriorNs;
  uint64_t true_ns = 0;     // gathered for the next step
  uint64_t charged_ns = 0;  // likewise
  int unseen = 0;
  int far_off = 0;  // steps in a row, negative: charged too much
};

// Adds one look.
CostScale Learn(CostScale now, uint64_t true_ns, uint64_t charged_ns);

// Beside idle neighbours the library's estimates are exact; it keeps them when neighbours become
// busy. What it learns beside busy ones contains their time. So what was learnt beside the ones
// says nothing beside the others, and what was learnt beside busy ones before there were idle ones
// is not true when they come back.
struct CostScales {
  CostScale idle;
  CostScale busy;
  bool is_busy = false;
  int looks_to_skip = 0;  // they are of the time before the change, or of both
  int idle_looks = 0;     // at which something was charged, up to what counts

  const CostScale& now() const { return is_busy ? busy : idle; }
};

CostScales Learn(CostScales scales, bool is_busy, uint64_t true_ns, uint64_t charged_ns);

// As the region keeps it: 65536 is 1.0.
uint32_t ToQ16(double scale);

}  // namespace hami::gpu
