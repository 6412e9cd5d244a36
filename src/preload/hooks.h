// SPDX-License-Identifier: Apache-2.0
//
// The table of hooks (hooks.def, refused.def) as values: an id, a name and our own function for
// each, and the look-up from a driver function's name to its hook. All of it is computed at compile
// time.

#pragma once

#include <cstdint>

#include "api/cuda/functions.h"
#include "api/nvml/functions.h"

#define HAMI_EXPORT __attribute__((visibility("default")))

// One prototype for everything in refused.def: what a function takes fewer of is passed on unread.
extern "C" {
#define HAMI_REFUSED(symbol) \
  nvmlReturn_t symbol(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
#include "preload/refused.def"
}

namespace hami::preload {

enum class HookId : uint16_t {
#define HAMI_CUDA_HOOK(symbol, on_failure) k_##symbol,
#define HAMI_NVML_HOOK(symbol, on_failure) k_##symbol,
#include "preload/hooks.def"
#define HAMI_REFUSED(symbol) k_##symbol,
#include "preload/refused.def"
  kCount,
};
inline constexpr int kHookCount = static_cast<int>(HookId::kCount);

enum class DriverLibrary : uint8_t { kCuda, kNvml };

struct Hook {
  const char* symbol;
  DriverLibrary library;
  void* function;  // what an application gets instead of the driver's
};

// In the order of HookId.
const Hook& GetHook(HookId id);

// The hook for an exported name, kCount if the name is not intercepted. No allocation, no locks;
// a name that is not the driver's costs one hash.
HookId FindHook(const char* symbol);

}  // namespace hami::preload
