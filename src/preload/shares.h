// SPDX-License-Identifier: Apache-2.0
//
// What this process was granted: its share directories (api/share), their limits and regions, or
// HAMi's environment variables where there is none. Found once, at the first use of the driver.
//
// Written under the attach lock in process.cc, read by every hook afterwards. Limits are read again
// when the agent has counted the region's limits_generation up.

#pragma once

#include <cstdint>

#include "region/ledger.h"
#include "region/limits.h"
#include "region/mapping.h"

namespace hami::preload {

inline constexpr int kMaxShares = 8;

// How the slices were granted.
enum class Grant : uint8_t {
  kNone,         // nothing asks for limits: the library does nothing
  kLimitsFiles,  // share directories; devices by UUID; others are not granted
  kEnvironment,  // HAMi's variables; devices by position
  kBroken,       // limits were meant, but cannot be read or kept: allocations are refused
};

struct Share {
  char directory[region::kMaxPathBytes] = {};  // "" for the environment's
  region::Mapping mapping;
  region::Limits limits = {};
  uint32_t generation_seen = 0;  // of region ext.limits_generation
};

struct Shares {
  Grant grant = Grant::kNone;
  int count = 0;
  Share entries[kMaxShares] = {};
};

// Finds and maps everything. No slot is taken yet (TakeSlots does), so that a program that only
// looks (nvidia-smi) leaves no trace.
void FindShares(Shares* shares);

// Takes a process slot in every share. False: some region has none left or cannot be locked.
bool TakeSlots(Shares* shares);

// Reads limits files again whose generation was counted up. True if something changed.
bool RefreshLimits(Shares* shares);

// GPU_CORE_UTILIZATION_POLICY.
region::CorePolicy EnvironmentPolicy();

// Frees the slots of dead processes in every share. Returns how many.
int ReapShares(Shares* shares);

}  // namespace hami::preload
