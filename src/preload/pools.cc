// SPDX-License-Identifier: Apache-2.0

#include "preload/pools.h"

#include "preload/capture.h"
#include "preload/driver.h"
#include "preload/lock.h"
#include "preload/log.h"
#include "preload/memory_plain.h"
#include "preload/process.h"

namespace hami::preload {
namespace {

using region::ChargeKind;

// Pools are few: one per device, and those that an application makes for itself.
constexpr int kMaxPools = 256;

// Drivers grow a pool by steps of this size and return whole ones (seen on every driver with pools;
// a larger step is charged after the fact).
constexpr uint64_t kGrowthBytes = uint64_t{32} << 20;

struct Pool {
  CUmemoryPool handle = nullptr;
  int ordinal = -1;  // where its memory lies; kOnHost
  uint64_t charged_bytes = 0;
};

constexpr int kOnHost = -2;

constinit SpinLock pools_lock;
constinit Pool pools[kMaxPools] = {};
constinit std::atomic<int> pool_count = 0;

// The lock is held. nullptr: more pools than there are places.
Pool* FindOrAddPool(CUmemoryPool handle, int ordinal) {
  const int count = pool_count.load(std::memory_order_relaxed);
  Pool* vacant = nullptr;
  for (int i = 0; i < count; ++i) {
    if (pools[i].handle == handle) return &pools[i];
    if (pools[i].handle == nullptr) vacant = &pools[i];
  }
  if (vacant == nullptr) {
    if (count == kMaxPools) return nullptr;
    vacant = &pools[count];
    pool_count.store(count + 1, std::memory_order_release);
  }
  *vacant = {handle, ordinal, 0};
  return vacant;
}

// Where the memory of a pool lies that the driver made by itself; -1: it is none of these.
int OrdinalOfDefaultPool(CUmemoryPool handle) {
  CUmemoryPool found = nullptr;
  for (int ordinal = 0; ordinal < kMaxOrdinals && DeviceOfOrdinal(ordinal) != nullptr; ++ordinal) {
    if (cuda.cuDeviceGetDefaultMemPool(&found, ordinal) == CUDA_SUCCESS && found == handle) {
      return ordinal;
    }
  }
  CUmemLocation host = {CU_MEM_LOCATION_TYPE_HOST, 0};
  const bool is_host =
      cuda.cuMemGetDefaultMemPool(&found, &host, CU_MEM_ALLOCATION_TYPE_PINNED) == CUDA_SUCCESS &&
      found == handle;
  return is_host ? kOnHost : -1;
}

int OrdinalOfKnownPool(CUmemoryPool handle) {
  const SpinLock::Holder holder(pools_lock);
  const int count = pool_count.load(std::memory_order_relaxed);
  for (int i = 0; i < count; ++i) {
    if (pools[i].handle == handle) return pools[i].ordinal;
  }
  return -1;
}

// What a pool takes it takes where it lies, whatever context is current. `fallback` for pools that
// nobody has seen made.
int OrdinalOf(CUmemoryPool handle, int fallback) {
  int ordinal = OrdinalOfKnownPool(handle);
  if (ordinal == -1) ordinal = OrdinalOfDefaultPool(handle);
  return ordinal == -1 ? fallback : ordinal;
}

uint64_t ReadAttribute(CUmemoryPool handle, CUmemPool_attribute attribute) {
  cuuint64_t bytes = 0;
  // A pool that the driver does not know (any more) holds nothing.
  return cuda.cuMemPoolGetAttribute(handle, attribute, &bytes) == CUDA_SUCCESS ? bytes : 0;
}

// Brings the charge of a pool to what the driver says it holds. `reserved_bytes` were charged ahead
// for what it might grow by and are used first. Threads that allocate at the same time may find
// each other's growth: it is then charged twice for a moment, never too little. The lock is held.
void SettlePool(Device& device, Pool& pool, uint64_t reserved_bytes) {
  const uint64_t held_bytes = ReadAttribute(pool.handle, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT);
  const uint64_t charged_bytes = pool.charged_bytes + reserved_bytes;
  if (held_bytes > charged_bytes) {
    ChargeAnyway(device, held_bytes - charged_bytes, ChargeKind::kData);
  } else if (held_bytes < charged_bytes) {
    Refund(device, charged_bytes - held_bytes, ChargeKind::kData);
  }
  pool.charged_bytes = held_bytes;
}

// The lock is held. Returns how many bytes were given back.
uint64_t ReconcileLocked(Device& device) {
  uint64_t freed_bytes = 0;
  const int count = pool_count.load(std::memory_order_relaxed);
  for (int i = 0; i < count; ++i) {
    Pool& pool = pools[i];
    if (pool.handle == nullptr || pool.ordinal < 0 || DeviceOfOrdinal(pool.ordinal) != &device) {
      continue;
    }
    const uint64_t before = pool.charged_bytes;
    SettlePool(device, pool, 0);
    if (pool.charged_bytes < before) freed_bytes += before - pool.charged_bytes;
  }
  return freed_bytes;
}

// An allocation can make the pool grow by its own size in whole steps, or not at all.
uint64_t GrowthBound(uint64_t bytes) {
  if (bytes > UINT64_MAX - kGrowthBytes) return UINT64_MAX;
  return (bytes + kGrowthBytes - 1) / kGrowthBytes * kGrowthBytes;
}

// Whether the pool has this much unused inside what it holds already.
bool FitsInside(CUmemoryPool handle, uint64_t bytes) {
  const uint64_t held = ReadAttribute(handle, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT);
  const uint64_t used = ReadAttribute(handle, CU_MEMPOOL_ATTR_USED_MEM_CURRENT);
  return used <= held && bytes <= held - used;
}

// Charges what the pool may grow by, calls the driver, settles with what the pool holds then. No
// lock is held across the driver's call, which may wait for the GPU.
//
// Near the limit the growth step itself may not fit although the pool has room inside. Then the
// driver is asked with nothing charged ahead; if the pool grew all the same (its room was in
// pieces), `undo` gives the memory back at once and the call fails.
template <typename Allocate, typename Undo>
CUresult AllocatePooled(const CurrentDevice& current, CUmemoryPool handle, size_t bytes,
                        const Allocate& allocate, const Undo& undo) {
  Device& device = *current.device;
  uint64_t ahead_bytes = GrowthBound(bytes);
  if (!Charge(device, ahead_bytes, ChargeKind::kData)) {
    if (!FitsInside(handle, bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
    ahead_bytes = 0;
  }
  const CUresult result = allocate();
  const SpinLock::Holder holder(pools_lock);
  Pool* pool = FindOrAddPool(handle, current.ordinal);
  if (pool == nullptr) {
    Log(LogLevel::kWarning, "more than %d memory pools: %u bytes stay charged", kMaxPools,
        ahead_bytes);
    return result;
  }
  const uint64_t before_bytes = pool->charged_bytes;
  SettlePool(device, *pool, ahead_bytes);
  const MemoryView view = ViewMemory(device);
  const bool grew_beyond = ahead_bytes == 0 && pool->charged_bytes > before_bytes && view.limited &&
                           view.used_bytes > view.limit_bytes;
  if (result != CUDA_SUCCESS || !grew_beyond) return result;
  undo();
  SettlePool(device, *pool, 0);
  return CUDA_ERROR_OUT_OF_MEMORY;
}

// The common part of the four allocating hooks. `pool` nullptr: the device's current one.
template <typename Allocate, typename FreeAsync>
CUresult AllocateAsync(CUdeviceptr* pointer, size_t bytes, CUmemoryPool pool, CUstream stream,
                       StreamForm form, const Allocate& allocate, const FreeAsync& free_async) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  CurrentDevice current;
  const Mode mode = PrepareAllocation(&current);
  if (mode == Mode::kRefuse) return CUDA_ERROR_OUT_OF_MEMORY;
  // In a captured stream this makes a graph node; nothing is allocated now.
  if (mode != Mode::kLimit || pointer == nullptr || bytes == 0 || IsCapturing(stream, form)) {
    return allocate();
  }
  if (pool == nullptr && cuda.cuDeviceGetMemPool(&pool, current.ordinal) != CUDA_SUCCESS) {
    return allocate();  // no pools on this device: the driver is to say so
  }
  current.ordinal = OrdinalOf(pool, current.ordinal);
  if (current.ordinal == kOnHost) return allocate();
  current.device = DeviceOfOrdinal(current.ordinal);
  return AllocatePooled(current, pool, bytes, allocate, [&] {
    free_async(*pointer, stream);
    cuda.cuMemPoolTrimTo(pool, 0);
  });
}

// Plain memory may be freed in stream order too (CUDA documents it for pool memory; drivers accept
// both). Its pages are gone once the driver has taken them back, which is not before now.
template <typename Free>
CUresult FreeInOrder(CUdeviceptr pointer, const Free& free) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  if (EnterCuda() != Mode::kLimit) return free();
  return FreeTracked(pointer, free);
}

}  // namespace

bool ReconcilePools(Device& device) {
  if (pool_count.load(std::memory_order_acquire) == 0) return false;
  const SpinLock::Holder holder(pools_lock);
  return ReconcileLocked(device) > 0;
}

void ReconcilePoolsAfterFree() {
  const int count = pool_count.load(std::memory_order_acquire);
  if (count == 0) return;
  const SpinLock::Holder holder(pools_lock);
  for (int i = 0; i < count; ++i) {
    if (pools[i].handle != nullptr && pools[i].ordinal >= 0)
      SettlePool(*DeviceOfOrdinal(pools[i].ordinal), pools[i], 0);
  }
}

void ResetPoolsAfterFork() {
  pools_lock.ResetAfterFork();
  pool_count.store(0, std::memory_order_relaxed);
}

}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

HAMI_EXPORT CUresult cuMemAllocAsync(CUdeviceptr* pointer, size_t bytes, CUstream stream) {
  return AllocateAsync(
      pointer, bytes, nullptr, stream, StreamForm::kLegacy,
      [=] { return cuda.cuMemAllocAsync(pointer, bytes, stream); }, cuda.cuMemFreeAsync);
}

HAMI_EXPORT CUresult cuMemAllocAsync_ptsz(CUdeviceptr* pointer, size_t bytes, CUstream stream) {
  return AllocateAsync(
      pointer, bytes, nullptr, stream, StreamForm::kPerThread,
      [=] { return cuda.cuMemAllocAsync_ptsz(pointer, bytes, stream); }, cuda.cuMemFreeAsync_ptsz);
}

HAMI_EXPORT CUresult cuMemAllocFromPoolAsync(CUdeviceptr* pointer, size_t bytes, CUmemoryPool pool,
                                             CUstream stream) {
  return AllocateAsync(
      pointer, bytes, pool, stream, StreamForm::kLegacy,
      [=] { return cuda.cuMemAllocFromPoolAsync(pointer, bytes, pool, stream); },
      cuda.cuMemFreeAsync);
}

HAMI_EXPORT CUresult cuMemAllocFromPoolAsync_ptsz(CUdeviceptr* pointer, size_t bytes,
                                                  CUmemoryPool pool, CUstream stream) {
  return AllocateAsync(
      pointer, bytes, pool, stream, StreamForm::kPerThread,
      [=] { return cuda.cuMemAllocFromPoolAsync_ptsz(pointer, bytes, pool, stream); },
      cuda.cuMemFreeAsync_ptsz);
}

HAMI_EXPORT CUresult cuMemFreeAsync(CUdeviceptr pointer, CUstream stream) {
  return FreeInOrder(pointer, [=] { return cuda.cuMemFreeAsync(pointer, stream); });
}

HAMI_EXPORT CUresult cuMemFreeAsync_ptsz(CUdeviceptr pointer, CUstream stream) {
  return FreeInOrder(pointer, [=] { return cuda.cuMemFreeAsync_ptsz(pointer, stream); });
}

// Nothing is taken yet; where it will be is told only here.
HAMI_EXPORT CUresult cuMemPoolCreate(CUmemoryPool* pool, const CUmemPoolProps* props) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const CUresult result = cuda.cuMemPoolCreate(pool, props);
  if (result != CUDA_SUCCESS || EnterCuda() != Mode::kLimit) return result;
  const bool on_device = props->location.type == CU_MEM_LOCATION_TYPE_DEVICE;
  const SpinLock::Holder holder(pools_lock);
  if (FindOrAddPool(*pool, on_device ? props->location.id : kOnHost) == nullptr) {
    Log(LogLevel::kWarning, "more than %d memory pools", kMaxPools);
  }
  return result;
}

HAMI_EXPORT CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t keep_bytes) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const CUresult result = cuda.cuMemPoolTrimTo(pool, keep_bytes);
  if (EnterCuda() == Mode::kLimit) ReconcilePoolsAfterFree();
  return result;
}

// Memory of a destroyed pool that is still in use lives on where nobody can ask for it, in whole
// segments; these stay charged until the process ends. The rest is trimmed away first.
HAMI_EXPORT CUresult cuMemPoolDestroy(CUmemoryPool pool) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  if (EnterCuda() != Mode::kLimit) return cuda.cuMemPoolDestroy(pool);
  uint64_t kept_bytes = 0;
  if (ReadAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) > 0) {
    cuda.cuMemPoolTrimTo(pool, 0);
    kept_bytes = ReadAttribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT);
  }
  const CUresult result = cuda.cuMemPoolDestroy(pool);
  if (result != CUDA_SUCCESS) return result;
  const SpinLock::Holder holder(pools_lock);
  for (Pool& known : pools) {
    if (known.handle != pool) continue;
    if (known.ordinal == kOnHost) {
      known = Pool{};
      continue;
    }
    Device& device = *DeviceOfOrdinal(known.ordinal);
    if (kept_bytes < known.charged_bytes) {
      Refund(device, known.charged_bytes - kept_bytes, ChargeKind::kData);
    }
    known = Pool{};
  }
  return result;
}

}  // extern "C"
