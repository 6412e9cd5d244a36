// SPDX-License-Identifier: Apache-2.0
//
// Modules and libraries. Loading code takes device memory: the code, its constants and its
// __device__ variables. Before the driver is called the image is charged what its headers say
// (image_size.h); what compression, lazy loading and the driver's pages hide from us counts once
// the agent has seen it in the driver's figure (hidden_bytes of the region).
//
// A library is loaded into every context that uses it; it is charged once, on the device of the
// current context at the time of the load.

#include "preload/modules.h"

#include "preload/devices.h"
#include "preload/driver.h"
#include "preload/image_size.h"
#include "preload/process.h"
#include "preload/table.h"

namespace hami::preload {
namespace {

using region::ChargeKind;

// Modules and libraries -> what they are charged.
constinit Table<CountEntry> modules;

// Charges `bytes`, calls the driver, remembers the charge under the handle that it made.
template <typename Handle, typename Load>
CUresult LoadCharged(Handle* handle, uint64_t bytes, const Load& load) {
  CurrentDevice current;
  const Mode mode = PrepareAllocation(&current);
  if (mode == Mode::kRefuse) return CUDA_ERROR_OUT_OF_MEMORY;
  if (mode != Mode::kLimit || handle == nullptr || bytes == 0) return load();
  if (!Charge(*current.device, bytes, ChargeKind::kModule)) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = load();
  if (result != CUDA_SUCCESS) {
    Refund(*current.device, bytes, ChargeKind::kModule);
    return result;
  }
  // Without room for the entry the charge stays until the process ends.
  modules.Insert(
      {reinterpret_cast<uint64_t>(*handle), bytes, static_cast<uint8_t>(current.ordinal)});
  return result;
}

template <typename Handle, typename Unload>
CUresult UnloadCharged(Handle handle, const Unload& unload) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  if (EnterCuda() != Mode::kLimit) return unload();
  CountEntry entry;
  const bool known = modules.Take(reinterpret_cast<uint64_t>(handle), &entry);
  const CUresult result = unload();
  if (!known) return result;
  if (result == CUDA_SUCCESS) {
    Refund(*DeviceOfOrdinal(entry.ordinal), entry.count, ChargeKind::kModule);
  } else {
    modules.Insert(entry);
  }
  return result;
}

}  // namespace

void ResetModulesAfterFork() { modules.ResetAfterFork(); }

}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

HAMI_EXPORT CUresult cuModuleLoad(CUmodule* module, const char* path) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return LoadCharged(module, FileImageBytes(path), [=] { return cuda.cuModuleLoad(module, path); });
}

HAMI_EXPORT CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return LoadCharged(module, ImageBytes(image),
                     [=] { return cuda.cuModuleLoadData(module, image); });
}

HAMI_EXPORT CUresult cuModuleLoadDataEx(CUmodule* module, const void* image,
                                        unsigned int option_count, CUjit_option* options,
                                        void** option_values) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return LoadCharged(module, ImageBytes(image), [=] {
    return cuda.cuModuleLoadDataEx(module, image, option_count, options, option_values);
  });
}

HAMI_EXPORT CUresult cuModuleLoadFatBinary(CUmodule* module, const void* fatbin) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return LoadCharged(module, ImageBytes(fatbin),
                     [=] { return cuda.cuModuleLoadFatBinary(module, fatbin); });
}

HAMI_EXPORT CUresult cuModuleUnload(CUmodule module) {
  return UnloadCharged(module, [=] { return cuda.cuModuleUnload(module); });
}

HAMI_EXPORT CUresult cuLibraryLoadData(CUlibrary* library, const void* code,
                                       CUjit_option* jit_options, void** jit_values,
                                       unsigned int jit_count, CUlibraryOption* options,
                                       void** values, unsigned int count) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return LoadCharged(library, ImageBytes(code), [=] {
    return cuda.cuLibraryLoadData(library, code, jit_options, jit_values, jit_count, options,
                                  values, count);
  });
}

HAMI_EXPORT CUresult cuLibraryLoadFromFile(CUlibrary* library, const char* path,
                                           CUjit_option* jit_options, void** jit_values,
                                           unsigned int jit_count, CUlibraryOption* options,
                                           void** values, unsigned int count) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return LoadCharged(library, FileImageBytes(path), [=] {
    return cuda.cuLibraryLoadFromFile(library, path, jit_options, jit_values, jit_count, options,
                                      values, count);
  });
}

HAMI_EXPORT CUresult cuLibraryUnload(CUlibrary library) {
  return UnloadCharged(library, [=] { return cuda.cuLibraryUnload(library); });
}

}  // extern "C"
