// SPDX-License-Identifier: Apache-2.0
//
// Stream-ordered memory and virtual memory management.

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

constexpr int kPoolsSupported = 115;
constexpr int kVmmSupported = 102;

CASE(pools_keep_until_synchronised,
     "Driver API, Stream Ordered Memory Allocator: threshold 0, given back when synchronised") {
  Start();
  if (Attribute(kPoolsSupported) == 0) Skip("no memory pools");
  CUstream stream = NewStream(1);
  CUdeviceptr memory = 0;
  const size_t before = FreeBytes();
  OK("cuMemAllocAsync", &memory, 64 * kMib, stream);
  OK("cuStreamSynchronize", stream);
  CHECK(before - FreeBytes() >= 64 * kMib);
  OK("cuMemFreeAsync", memory, stream);
  OK("cuStreamSynchronize", stream);
  CHECK(FreeBytes() == before);
}

CASE(pools_threshold, "Driver API, cuMemPoolSetAttribute RELEASE_THRESHOLD, cuMemPoolTrimTo") {
  Start();
  if (Attribute(kPoolsSupported) == 0) Skip("no memory pools");
  CUmemoryPool pool = nullptr;
  cuuint64_t threshold = UINT64_MAX;
  cuuint64_t reserved = 0;
  cuuint64_t used = 1;
  CUdeviceptr memory = 0;
  CUstream stream = NewStream(1);
  OK("cuDeviceGetDefaultMemPool", &pool, CUdevice{0});
  OK("cuMemPoolSetAttribute", pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
     static_cast<void*>(&threshold));
  OK("cuMemAllocAsync", &memory, 64 * kMib, stream);
  OK("cuMemFreeAsync", memory, stream);
  OK("cuStreamSynchronize", stream);
  OK("cuMemPoolGetAttribute", pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT,
     static_cast<void*>(&reserved));
  OK("cuMemPoolGetAttribute", pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, static_cast<void*>(&used));
  CHECK(reserved >= 64 * kMib && used == 0);
  OK("cuMemPoolTrimTo", pool, size_t{0});
  OK("cuMemPoolGetAttribute", pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT,
     static_cast<void*>(&reserved));
  CHECK(reserved == 0);
}

CASE(pools_by_location, "Driver API, cuMemGetDefaultMemPool: the device's own; pools of the host") {
  Start();
  if (Attribute(kPoolsSupported) == 0) Skip("no memory pools");
  if (dlsym(RTLD_DEFAULT, "cuMemGetDefaultMemPool") == nullptr &&
      dlsym(dlopen("libcuda.so.1", RTLD_NOW), "cuMemGetDefaultMemPool") == nullptr) {
    Skip("a driver before CUDA 13.0");
  }
  CUmemoryPool by_device = nullptr;
  CUmemoryPool by_location = nullptr;
  CUmemLocation here = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  OK("cuDeviceGetDefaultMemPool", &by_device, CUdevice{0});
  OK("cuMemGetDefaultMemPool", &by_location, &here, CU_MEM_ALLOCATION_TYPE_PINNED);
  CHECK(by_device == by_location);
  const size_t before = FreeBytes();
  CUmemoryPool on_host = nullptr;
  CUmemPoolProps props = {};
  props.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  props.location = {CU_MEM_LOCATION_TYPE_HOST, 0};
  OK("cuMemPoolCreate", &on_host, static_cast<const CUmemPoolProps*>(&props));
  CUdeviceptr memory = 0;
  CUstream stream = NewStream(1);
  OK("cuMemAllocFromPoolAsync", &memory, 64 * kMib, on_host, stream);
  OK("cuStreamSynchronize", stream);
  CHECK(FreeBytes() == before);
  OK("cuMemFreeAsync", memory, stream);
  OK("cuStreamSynchronize", stream);
  OK("cuMemPoolDestroy", on_host);
}

CASE(vmm_counts_when_created, "Driver API, Virtual Memory Management: cuMemCreate takes memory") {
  Start();
  if (Attribute(kVmmSupported) == 0) Skip("no virtual memory management");
  CUmemAllocationProp props = {};
  props.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  props.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  size_t step = 0;
  OK("cuMemGetAllocationGranularity", &step, static_cast<const CUmemAllocationProp*>(&props), 0);
  CHECK(step == 2 * kMib);
  const size_t bytes = 64 * kMib;
  const size_t before = FreeBytes();
  CUdeviceptr address = 0;
  CUmemGenericAllocationHandle handle = 0;
  OK("cuMemAddressReserve", &address, bytes, size_t{0}, CUdeviceptr{0}, 0ULL);
  CHECK(FreeBytes() == before);  // addresses are not memory
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuMemCreate", &handle, step / 2,
        static_cast<const CUmemAllocationProp*>(&props), 0ULL);
  OK("cuMemCreate", &handle, bytes, static_cast<const CUmemAllocationProp*>(&props), 0ULL);
  CHECK(before - FreeBytes() == bytes);
  OK("cuMemMap", address, bytes, size_t{0}, handle, 0ULL);
  CUmemAccessDesc access = {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  OK("cuMemSetAccess", address, bytes, static_cast<const CUmemAccessDesc*>(&access), size_t{1});
  OK("cuMemsetD8_v2", address, static_cast<unsigned char>(1), bytes);
  OK("cuMemRelease", handle);  // still mapped: still there
  CHECK(before - FreeBytes() == bytes);
  OK("cuMemUnmap", address, bytes);
  CHECK(FreeBytes() == before);
  OK("cuMemAddressFree", address, bytes);
}

}  // namespace
}  // namespace hami::conformance
