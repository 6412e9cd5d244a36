// SPDX-License-Identifier: Apache-2.0
//
// What a program is told about memory: the slice. All views (these, and NVML's in nvml_memory.cc)
// show the same figures: the total is the limit, at most what the device has; used is what is
// charged; free is the rest, at most what the device has free.

#include "preload/devices.h"
#include "preload/driver.h"
#include "preload/process.h"

namespace hami::preload {
namespace {

// Stale charges would look like memory in use: dead processes and emptied pools are looked for
// first.
MemoryView FreshView(Device& device) {
  FollowLimits();
  Reclaim(device);
  return ViewMemory(device);
}

template <typename Size>
void Put(Size* out, uint64_t value) {
  constexpr auto kMax = static_cast<Size>(~Size{0});
  if (out != nullptr) *out = value < kMax ? static_cast<Size>(value) : kMax;
}

template <typename Size, typename Real>
CUresult ShowMemory(Size* free_bytes, Size* total_bytes, const Real& real) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  Size real_free = 0;
  Size real_total = 0;
  // The driver sees our variables: callers pass NULL for what they do not want (OptiX does).
  const CUresult result = real(&real_free, &real_total);
  if (result != CUDA_SUCCESS) return result;
  uint64_t free = real_free;
  uint64_t total = real_total;
  CurrentDevice current;
  if (PrepareAllocation(&current) == Mode::kLimit) {
    const MemoryView view = FreshView(*current.device);
    if (view.limited) {
      if (view.limit_bytes < total) total = view.limit_bytes;
      const uint64_t room = view.used_bytes < total ? total - view.used_bytes : 0;
      if (room < free) free = room;
    }
  }
  Put(free_bytes, free);
  Put(total_bytes, total);
  return result;
}

template <typename Size, typename Real>
CUresult ShowTotal(Size* bytes, CUdevice ordinal, const Real& real) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const CUresult result = real();
  if (result != CUDA_SUCCESS || bytes == nullptr || EnterCuda() != Mode::kLimit) return result;
  if (const Device* device = DeviceOfOrdinal(ordinal)) {
    const MemoryView view = ViewMemory(*device);
    if (view.limited && view.limit_bytes < *bytes) Put(bytes, view.limit_bytes);
  }
  return result;
}

}  // namespace
}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

HAMI_EXPORT CUresult cuMemGetInfo_v2(size_t* free_bytes, size_t* total_bytes) {
  return ShowMemory(free_bytes, total_bytes,
                    [](size_t* f, size_t* t) { return cuda.cuMemGetInfo_v2(f, t); });
}

HAMI_EXPORT CUresult cuMemGetInfo(unsigned int* free_bytes, unsigned int* total_bytes) {
  return ShowMemory(free_bytes, total_bytes,
                    [](unsigned int* f, unsigned int* t) { return cuda.cuMemGetInfo(f, t); });
}

HAMI_EXPORT CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice ordinal) {
  return ShowTotal(bytes, ordinal, [=] { return cuda.cuDeviceTotalMem_v2(bytes, ordinal); });
}

HAMI_EXPORT CUresult cuDeviceTotalMem(unsigned int* bytes, CUdevice ordinal) {
  return ShowTotal(bytes, ordinal, [=] { return cuda.cuDeviceTotalMem(bytes, ordinal); });
}

}  // extern "C"
