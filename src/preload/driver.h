// SPDX-License-Identifier: Apache-2.0
//
// The real driver: typed tables of its functions, bound to the libcuda and libnvidia-ml that this
// process has loaded, and the translation from a pointer that the driver hands out to our hook.
//
// Bound once, at the first use of any driver function; never opens a driver by itself, so a program
// without one is left alone. A function that the driver does not have is bound to one that returns
// CUDA_ERROR_NOT_SUPPORTED or NVML_ERROR_FUNCTION_NOT_FOUND. Thread-safe.

#pragma once

#include <atomic>

#include "preload/hooks.h"
#include "preload/objects.h"

namespace hami::preload {

struct CudaDriver {
#define HAMI_CUDA_HOOK(symbol, on_failure) decltype(&::symbol) symbol;
#include "preload/hooks.def"
#define HAMI_CUDA_CALL(symbol) decltype(&::symbol) symbol;
#include "preload/calls.def"
};

struct NvmlDriver {
#define HAMI_NVML_HOOK(symbol, on_failure) decltype(&::symbol) symbol;
#include "preload/hooks.def"
#define HAMI_NVML_CALL(symbol) decltype(&::symbol) symbol;
#include "preload/calls.def"
#define HAMI_REFUSED(symbol) decltype(&::symbol) symbol;
#include "preload/refused.def"
};

extern CudaDriver cuda;  // valid after BindCuda() returned true
extern NvmlDriver nvml;  // valid after BindNvml() returned true

extern std::atomic<bool> cuda_is_bound;
extern std::atomic<bool> nvml_is_bound;

bool BindCudaSlow();
bool BindNvmlSlow();

// False while no driver library is loaded, and for calls that the driver makes while it is bound.
inline bool BindCuda() {
  if (cuda_is_bound.load(std::memory_order_acquire)) [[likely]] {
    return true;
  }
  return BindCudaSlow();
}
inline bool BindNvml() {
  if (nvml_is_bound.load(std::memory_order_acquire)) [[likely]] {
    return true;
  }
  return BindNvmlSlow();
}

// The driver object that a library's table is bound to; not loaded() before.
const Object& DriverObject(DriverLibrary library);

// Whether the bound driver has this function.
bool DriverHas(HookId id);

// Our hook for a function pointer that came from the CUDA driver (from its symbol table or from
// cuGetProcAddress, whose answers may differ from the exported addresses), or nullptr.
void* HookForDriverPointer(void* pointer);

// What a request to cuGetProcAddress means by the table of entry points, whatever address the
// driver has answered: our hook, or nullptr if that variant is not intercepted. `known` false: the
// request is for a version newer than the table.
void* HookForRequest(const char* base, int cuda_version, bool per_thread, bool* known);

}  // namespace hami::preload
