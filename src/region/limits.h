// SPDX-License-Identifier: Apache-2.0
//
// Reading the limits file (api/limits/README.md). Shared by the preload library, which must not
// trust its environment, and by hosts that show a slice. No allocation, no libc.

#pragma once

#include <cstddef>
#include <cstdint>

#include "api/region/region.h"

namespace hami::region {

// kBurst: the limit holds unless nobody else uses the device.
enum class CorePolicy : uint8_t { kDefault, kForce, kDisable, kBurst };

struct DeviceLimit {
  char uuid[api::kUuidBytes];
  uint64_t memory_bytes;
  uint32_t cores_pct;  // 0: no compute limit
  CorePolicy policy;
  uint8_t priority;
  uint64_t context_bytes;  // 0: not known
};

struct Limits {
  uint32_t generation;
  int device_count;
  DeviceLimit devices[api::kMaxDevices];
};

inline constexpr size_t kMaxLimitsBytes = 65536;

struct LimitsError {
  const char* what;  // nullptr: none
  int line;          // 1-based
};

// Parses `bytes` of text. On an error `*limits` is not to be used.
LimitsError ParseLimits(const char* text, size_t bytes, Limits* limits);

// Reads and parses a file. {"cannot be read", 0} if there is none.
LimitsError LoadLimits(const char* path, Limits* limits);

}  // namespace hami::region
