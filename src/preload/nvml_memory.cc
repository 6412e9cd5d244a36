// SPDX-License-Identifier: Apache-2.0
//
// NVML's view of memory: the slice's, whichever function is asked. It comes from the region, so it
// agrees with the processes (nvml_processes.cc) and with CUDA.

#include "preload/driver.h"
#include "preload/nvml_devices.h"
#include "preload/process.h"

namespace hami::preload {
namespace {

// The device's memory as NVML is to show it. False: show what the driver says.
bool ViewOf(nvmlDevice_t handle, MemoryView* view) {
  Device* device = DeviceOfHandle(handle);
  if (device == nullptr) return false;
  FollowLimits();
  Reclaim(*device);
  *view = ViewMemory(*device);
  return view->limited;
}

template <typename Memory>
void Show(const MemoryView& view, Memory* memory) {
  if (view.limit_bytes < memory->total) memory->total = view.limit_bytes;
  memory->used = view.used_bytes;
  const uint64_t room = view.used_bytes < memory->total ? memory->total - view.used_bytes : 0;
  if (room < memory->free) memory->free = room;
}

// Of a part of the device's memory, that which the slice can have; KiB for KiB.
void ShowProtection(const MemoryView& view, nvmlConfComputeMemSizeInfo_t* info) {
  const unsigned long long limit_kib = view.limit_bytes / 1024;
  if (info->protectedMemSizeKib > limit_kib) info->protectedMemSizeKib = limit_kib;
  const unsigned long long rest = limit_kib - info->protectedMemSizeKib;
  if (info->unprotectedMemSizeKib > rest) info->unprotectedMemSizeKib = rest;
}

template <typename Real>
nvmlReturn_t Attributes(nvmlDevice_t device, nvmlDeviceAttributes_t* attributes, const Real& real) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  const nvmlReturn_t result = real(device, attributes);
  MemoryView view;
  if (result == NVML_SUCCESS && ViewOf(device, &view)) {
    const unsigned long long limit_mib = view.limit_bytes >> 20;
    if (limit_mib < attributes->memorySizeMB) attributes->memorySizeMB = limit_mib;
  }
  return result;
}

}  // namespace
}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t* memory) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  const nvmlReturn_t result = nvml.nvmlDeviceGetMemoryInfo(device, memory);
  MemoryView view;
  if (result == NVML_SUCCESS && ViewOf(device, &view)) Show(view, memory);
  return result;
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t* memory) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  const nvmlReturn_t result = nvml.nvmlDeviceGetMemoryInfo_v2(device, memory);
  MemoryView view;
  if (result == NVML_SUCCESS && ViewOf(device, &view)) {
    Show(view, memory);
    memory->reserved = 0;  // the driver's own part is not in the slice
  }
  return result;
}

// The window through which the CPU sees the device's memory: of a slice at most the slice. What is
// mapped through it the driver knows only of all tenants together; a slice's part is at most what
// the slice holds.
HAMI_EXPORT nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device,
                                                     nvmlBAR1Memory_t* memory) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  const nvmlReturn_t result = nvml.nvmlDeviceGetBAR1MemoryInfo(device, memory);
  MemoryView view;
  if (result == NVML_SUCCESS && ViewOf(device, &view)) {
    if (view.limit_bytes < memory->bar1Total) memory->bar1Total = view.limit_bytes;
    if (view.used_bytes < memory->bar1Used) memory->bar1Used = view.used_bytes;
    if (memory->bar1Total < memory->bar1Used) memory->bar1Used = memory->bar1Total;
    memory->bar1Free = memory->bar1Total - memory->bar1Used;
  }
  return result;
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetAttributes(nvmlDevice_t device,
                                                 nvmlDeviceAttributes_t* attributes) {
  return Attributes(device, attributes, [](nvmlDevice_t d, nvmlDeviceAttributes_t* a) {
    return nvml.nvmlDeviceGetAttributes(d, a);
  });
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t device,
                                                    nvmlDeviceAttributes_t* attributes) {
  return Attributes(device, attributes, [](nvmlDevice_t d, nvmlDeviceAttributes_t* a) {
    return nvml.nvmlDeviceGetAttributes_v2(d, a);
  });
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetConfComputeMemSizeInfo(nvmlDevice_t device,
                                                             nvmlConfComputeMemSizeInfo_t* info) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  const nvmlReturn_t result = nvml.nvmlDeviceGetConfComputeMemSizeInfo(device, info);
  MemoryView view;
  if (result == NVML_SUCCESS && ViewOf(device, &view)) ShowProtection(view, info);
  return result;
}

// Without confidential computing there is no protected memory, and all figures are 0.
HAMI_EXPORT nvmlReturn_t nvmlDeviceGetConfComputeProtectedMemoryUsage(nvmlDevice_t device,
                                                                      nvmlMemory_t* memory) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  const nvmlReturn_t result = nvml.nvmlDeviceGetConfComputeProtectedMemoryUsage(device, memory);
  MemoryView view;
  if (result == NVML_SUCCESS && memory->total != 0 && ViewOf(device, &view)) Show(view, memory);
  return result;
}

// The driver's own limit of a cgroup, where there is one: never more than the slice.
HAMI_EXPORT nvmlReturn_t nvmlDeviceGetMemoryLimits_v1(nvmlDevice_t device,
                                                      nvmlGetMemoryLimits_v1_t* limits) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  const nvmlReturn_t result = nvml.nvmlDeviceGetMemoryLimits_v1(device, limits);
  MemoryView view;
  if (result == NVML_SUCCESS && ViewOf(device, &view)) {
    if (view.limit_bytes < limits->hardLimit) limits->hardLimit = view.limit_bytes;
    if (view.limit_bytes < limits->softLimit) limits->softLimit = view.limit_bytes;
    limits->currentUsed = view.used_bytes;
  }
  return result;
}

}  // extern "C"
