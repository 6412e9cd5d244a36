// SPDX-License-Identifier: Apache-2.0
//
// Pools and virtual memory management.

#include "tests/tenant/families/calls.h"

namespace hami::families {
namespace {

constexpr int kFloats = 8 * static_cast<int>(kMib);

void ShowPool(CUmemoryPool pool) {
  cuuint64_t used = 0;
  cuuint64_t reserved = 0;
  Call("cuMemPoolGetAttribute", pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, static_cast<void*>(&used));
  Call("cuMemPoolGetAttribute", pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT,
       static_cast<void*>(&reserved));
  Say("used " + std::to_string(used) +
      " reserved at least as much: " + (reserved >= used ? "yes" : "no"));
}

CUmemAllocationProp OfDevice() {
  CUmemAllocationProp props = {};
  props.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  props.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  return props;
}

}  // namespace

void Pools(const Kernels& kernels) {
  CUstream stream = NewStream();
  CUstream other = NewStream();
  CUmemoryPool pool = nullptr;
  CUmemPoolProps props = {};
  props.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  props.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  cuuint64_t keep = UINT64_MAX;
  CUdeviceptr one = 0;
  CUdeviceptr two = 0;
  CUdeviceptr three = 0;
  kernels.Warm(stream);
  Call("cuMemAllocAsync", &one, 64 * kMib, stream);
  kernels.Fill(one, kFloats, stream);
  Call("cuMemPoolCreate", &pool, static_cast<const CUmemPoolProps*>(&props));
  Call("cuMemPoolSetAttribute", pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, static_cast<void*>(&keep));
  Call("cuMemAllocFromPoolAsync", &two, 128 * kMib, pool, stream);
  Call("cuMemAllocFromPoolAsync", &three, 64 * kMib, pool, stream);
  kernels.Add(one, two, kFloats, stream);
  Call("cuStreamSynchronize", stream);
  ShowPool(pool);
  Memory("with three allocations");
  Hold();
  Call("cuMemFreeAsync", two, stream);
  Call("cuMemFreeAsync", one, stream);
  Call("cuStreamSynchronize", stream);
  ShowPool(pool);
  Memory("the pool keeps its own");
  Call("cuMemPoolTrimTo", pool, 64 * kMib);
  Memory("trimmed");
  Call("cuMemFree_v2", three);
  Call("cuMemAllocFromPoolAsync", &two, size_t{1} << 50, pool, other);
  Call("cuMemPoolDestroy", pool);
  Call("cuStreamDestroy_v2", other);
  Call("cuStreamDestroy_v2", stream);
}

void Vmm(const Kernels& kernels) {
  const CUmemAllocationProp props = OfDevice();
  const CUmemAccessDesc access = {{CU_MEM_LOCATION_TYPE_DEVICE, 0},
                                  CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  size_t step = 0;
  CUdeviceptr address = 0;
  CUmemGenericAllocationHandle handles[2] = {};
  CUmemGenericAllocationHandle retained = 0;
  kernels.Warm(nullptr);
  Call("cuMemGetAllocationGranularity", &step, &props, CU_MEM_ALLOC_GRANULARITY_MINIMUM);
  Call("cuMemAddressReserve", &address, 128 * kMib, size_t{0}, CUdeviceptr{0}, 0ULL);
  Call("cuMemCreate", &handles[0], 64 * kMib, &props, 0ULL);
  Call("cuMemCreate", &handles[1], 64 * kMib, &props, 0ULL);
  Memory("created");
  Call("cuMemMap", address, 64 * kMib, size_t{0}, handles[0], 0ULL);
  Call("cuMemMap", address + 64 * kMib, 64 * kMib, size_t{0}, handles[1], 0ULL);
  Call("cuMemSetAccess", address, 128 * kMib, &access, size_t{1});
  kernels.Fill(address, 4 * kFloats, nullptr);
  kernels.Add(address, address + 64 * kMib, 2 * kFloats, nullptr);
  Call("cuCtxSynchronize");
  Hold();
  Call("cuMemRelease", handles[0]);
  Call("cuMemRetainAllocationHandle", &retained, reinterpret_cast<void*>(address));
  Call("cuMemUnmap", address, 64 * kMib);
  Memory("unmapped, held by a handle");
  Call("cuMemRelease", retained);
  Memory("released");
  Call("cuMemMap", address, 64 * kMib, size_t{0}, handles[1], 0ULL);  // a second time
  Call("cuMemUnmap", address, 128 * kMib);
  Call("cuMemRelease", handles[1]);
  Call("cuMemCreate", &handles[0], size_t{1} << 50, &props, 0ULL);
  Call("cuMemAddressFree", address, 128 * kMib);
}

}  // namespace hami::families
