// SPDX-License-Identifier: Apache-2.0
//
// Order matters twice. An allocation is charged before the driver is called, so that the limit is
// never exceeded, and refunded after a free has succeeded, so that nothing is given to somebody
// else too early. An entry leaves the table before the driver frees its address, because another
// thread may be handed the same address the moment it is free.

#include "preload/memory_plain.h"

#include "preload/devices.h"
#include "preload/driver.h"
#include "preload/pages.h"
#include "preload/pools.h"
#include "preload/process.h"

namespace hami::preload {
namespace {

using region::ChargeKind;

constinit Table<CountEntry> plain;    // address -> length
constinit Table<CountEntry> managed;  // address -> what is charged

constexpr uint64_t kManagedGranuleBytes = 65536;  // what unified memory moves at least

// Makes the charge for an allocation that exists fit the pages that it really took. False: it
// cannot be accounted for and must be freed; the charge is gone then.
bool Settle(const CurrentDevice& current, uint64_t address, uint64_t bytes,
            uint64_t reserved_pages) {
  Device& device = *current.device;
  const int64_t added = AddPages(device, current.ordinal, address, bytes);
  const uint64_t reserved_bytes = reserved_pages * device.page_bytes;
  if (added < 0) {
    Refund(device, reserved_bytes, ChargeKind::kData);
    return false;
  }
  const uint64_t taken_bytes = static_cast<uint64_t>(added) * device.page_bytes;
  if (taken_bytes > reserved_bytes &&
      !Charge(device, taken_bytes - reserved_bytes, ChargeKind::kData)) {
    DropPages(device, address, bytes);
    Refund(device, reserved_bytes, ChargeKind::kData);
    return false;
  }
  if (taken_bytes < reserved_bytes) Refund(device, reserved_bytes - taken_bytes, ChargeKind::kData);
  if (plain.Insert({address, bytes, static_cast<uint8_t>(current.ordinal)})) return true;
  Refund(device, static_cast<uint64_t>(DropPages(device, address, bytes)) * device.page_bytes,
         ChargeKind::kData);
  return false;
}

// `reserve_bytes` bounds what is asked for; `allocate` calls the driver and tells where the memory
// lies and how long it is.
template <typename Allocate>
CUresult AllocatePlain(uint64_t reserve_bytes, const Allocate& allocate) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  CUdeviceptr address = 0;
  uint64_t bytes = reserve_bytes;
  CurrentDevice current;
  switch (PrepareAllocation(&current)) {
    case Mode::kRefuse:
      return CUDA_ERROR_OUT_OF_MEMORY;
    case Mode::kLimit:
      break;
    default:
      return allocate(&address, &bytes);
  }
  if (reserve_bytes == 0) return allocate(&address, &bytes);  // an error, for the driver to report

  Device& device = *current.device;
  const uint64_t pages = PagesToReserve(device, reserve_bytes);
  uint64_t charged_bytes = 0;
  if (__builtin_mul_overflow(pages, device.page_bytes, &charged_bytes)) charged_bytes = UINT64_MAX;
  if (!Charge(device, charged_bytes, ChargeKind::kData)) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = allocate(&address, &bytes);
  if (result != CUDA_SUCCESS) {
    Refund(device, charged_bytes, ChargeKind::kData);
    return result;
  }
  if (Settle(current, address, bytes, pages)) [[likely]] {
    return CUDA_SUCCESS;
  }
  cuda.cuMemFree_v2(address);
  return CUDA_ERROR_OUT_OF_MEMORY;
}

// Counts a freed allocation out. Returns what is to be refunded for it.
uint64_t DropFreed(const Freed& freed) {
  if (freed.is_managed) return freed.entry.count;
  const Device& device = *DeviceOfOrdinal(freed.entry.ordinal);
  return static_cast<uint64_t>(DropPages(device, freed.entry.key, freed.entry.count)) *
         device.page_bytes;
}

// Rows start at multiples of the pitch, at least of 512 bytes (the texture alignment of every GPU
// so far). Should the driver choose a larger pitch, Settle charges the rest.
uint64_t PitchedBytes(uint64_t width_bytes, uint64_t height) {
  constexpr uint64_t kPitchBytes = 512;
  uint64_t bytes;
  const uint64_t row = (width_bytes + kPitchBytes - 1) / kPitchBytes * kPitchBytes;
  return __builtin_mul_overflow(row, height, &bytes) ? UINT64_MAX : bytes;
}

template <typename Free>
CUresult FreePlain(CUdeviceptr pointer, const Free& free) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  if (EnterCuda() != Mode::kLimit) return free();
  const CUresult result = FreeTracked(pointer, free);
  // cuMemFree takes stream-ordered memory too, and may empty its pool.
  ReconcilePoolsAfterFree();
  return result;
}

bool DriverKnows(CUdeviceptr pointer) {
  CUcontext context = nullptr;
  return cuda.cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, pointer) ==
         CUDA_SUCCESS;
}

// One pass over a table. True if something was removed, which may have hidden other entries.
bool PurgeOnce(Table<CountEntry>& table, bool is_managed, int ordinal) {
  bool removed = false;
  table.VisitAll([&](const CountEntry& seen) {
    if (seen.ordinal != static_cast<uint64_t>(ordinal) || DriverKnows(seen.key)) return;
    Freed freed = {{}, is_managed};
    if (!table.Take(seen.key, &freed.entry)) return;
    removed = true;
    RefundFreed(freed);
  });
  return removed;
}

}  // namespace

bool TakeForFree(CUdeviceptr pointer, Freed* freed) {
  freed->is_managed = false;
  if (plain.Take(pointer, &freed->entry)) return true;
  freed->is_managed = true;
  return managed.Take(pointer, &freed->entry);
}

void RestoreFreed(const Freed& freed) { (freed.is_managed ? managed : plain).Insert(freed.entry); }

void RefundFreed(const Freed& freed) {
  if (const uint64_t bytes = DropFreed(freed)) {
    Refund(*DeviceOfOrdinal(freed.entry.ordinal), bytes, ChargeKind::kData);
  }
}

void PurgeDeadMemory(int ordinal) {
  while (PurgeOnce(plain, false, ordinal)) {
  }
  while (PurgeOnce(managed, true, ordinal)) {
  }
}

void ResetPlainMemoryAfterFork() {
  plain.ResetAfterFork();
  managed.ResetAfterFork();
  ResetPagesAfterFork();
}

}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

HAMI_EXPORT CUresult cuMemAlloc_v2(CUdeviceptr* pointer, size_t bytes) {
  return AllocatePlain(pointer != nullptr ? bytes : 0, [=](CUdeviceptr* address, uint64_t*) {
    const CUresult result = cuda.cuMemAlloc_v2(pointer, bytes);
    if (result == CUDA_SUCCESS) *address = *pointer;
    return result;
  });
}

HAMI_EXPORT CUresult cuMemAlloc(unsigned int* pointer, unsigned int bytes) {
  return AllocatePlain(pointer != nullptr ? bytes : 0, [=](CUdeviceptr* address, uint64_t*) {
    const CUresult result = cuda.cuMemAlloc(pointer, bytes);
    if (result == CUDA_SUCCESS) *address = *pointer;
    return result;
  });
}

HAMI_EXPORT CUresult cuMemAllocPitch_v2(CUdeviceptr* pointer, size_t* pitch, size_t width_bytes,
                                        size_t height, unsigned int element_bytes) {
  const bool valid = pointer != nullptr && pitch != nullptr;
  return AllocatePlain(
      valid ? PitchedBytes(width_bytes, height) : 0, [=](CUdeviceptr* address, uint64_t* taken) {
        const CUresult result =
            cuda.cuMemAllocPitch_v2(pointer, pitch, width_bytes, height, element_bytes);
        if (result == CUDA_SUCCESS) {
          *address = *pointer;
          *taken = *pitch * height;
        }
        return result;
      });
}

HAMI_EXPORT CUresult cuMemAllocPitch(unsigned int* pointer, unsigned int* pitch,
                                     unsigned int width_bytes, unsigned int height,
                                     unsigned int element_bytes) {
  const bool valid = pointer != nullptr && pitch != nullptr;
  return AllocatePlain(
      valid ? PitchedBytes(width_bytes, height) : 0, [=](CUdeviceptr* address, uint64_t* taken) {
        const CUresult result =
            cuda.cuMemAllocPitch(pointer, pitch, width_bytes, height, element_bytes);
        if (result == CUDA_SUCCESS) {
          *address = *pointer;
          *taken = uint64_t{*pitch} * height;
        }
        return result;
      });
}

// Managed memory may lie on the device in whole or not at all, as it is used; the whole is charged.
HAMI_EXPORT CUresult cuMemAllocManaged(CUdeviceptr* pointer, size_t bytes, unsigned int flags) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  CurrentDevice current;
  const Mode mode = PrepareAllocation(&current);
  if (mode == Mode::kRefuse) return CUDA_ERROR_OUT_OF_MEMORY;
  if (mode != Mode::kLimit || pointer == nullptr || bytes == 0) {
    return cuda.cuMemAllocManaged(pointer, bytes, flags);
  }
  const uint64_t charged_bytes =
      bytes > UINT64_MAX - kManagedGranuleBytes
          ? UINT64_MAX
          : (bytes + kManagedGranuleBytes - 1) / kManagedGranuleBytes * kManagedGranuleBytes;
  if (!Charge(*current.device, charged_bytes, ChargeKind::kData)) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = cuda.cuMemAllocManaged(pointer, bytes, flags);
  if (result == CUDA_SUCCESS) {
    const CountEntry entry = {*pointer, charged_bytes, static_cast<uint8_t>(current.ordinal)};
    if (managed.Insert(entry)) return CUDA_SUCCESS;
    cuda.cuMemFree_v2(*pointer);
  }
  Refund(*current.device, charged_bytes, ChargeKind::kData);
  return result != CUDA_SUCCESS ? result : CUDA_ERROR_OUT_OF_MEMORY;
}

HAMI_EXPORT CUresult cuMemFree_v2(CUdeviceptr pointer) {
  return FreePlain(pointer, [=] { return cuda.cuMemFree_v2(pointer); });
}

HAMI_EXPORT CUresult cuMemFree(unsigned int pointer) {
  return FreePlain(pointer, [=] { return cuda.cuMemFree(pointer); });
}

}  // extern "C"
