// SPDX-License-Identifier: Apache-2.0
//
// What grown limits of a context (its stack, its heap) take of the device (context_limits.cc).

#pragma once

#include <cstdint>

#include "api/cuda/types.h"

namespace hami::preload {

// The limits with memory behind them are the first ones of CUlimit.
inline constexpr int kCountedLimits = 5;

struct ContextLimits {
  uint64_t key;  // the context; 0: none of its limits was set
  uint64_t charged_bytes[kCountedLimits];
  uint64_t first_value[kCountedLimits];  // with which the context began; ~0: not known yet
  int32_t ordinal;
};

// For a context that is about to go: its handle may come back for another one as soon as the driver
// has destroyed it, so what it is charged leaves the table before.
ContextLimits TakeContextLimits(CUcontext context);
void RestoreContextLimits(const ContextLimits& limits);
void RefundContextLimits(const ContextLimits& limits);

void ResetContextLimitsAfterFork();

}  // namespace hami::preload
