// SPDX-License-Identifier: Apache-2.0
//
// Multicast objects have no memory of their own. What is bound to one was charged when it was
// created, and stays so while it is bound: a binding keeps physical memory alive as a mapping does.
//
// Memory of a pool that is bound by its address is the pool's to count.
//
// Logical endpoints (CUDA 13.3) are bound to in the same way; their numbers are kept apart from
// handles.

#include <atomic>

#include "preload/driver.h"
#include "preload/memory_vmm.h"
#include "preload/process.h"
#include "preload/table.h"

namespace hami::preload {
namespace {

struct Binding {
  uint64_t key;  // a number of ours
  CUmemGenericAllocationHandle multicast;
  CUmemGenericAllocationHandle memory;
  uint64_t offset;
  uint64_t bytes;
  int32_t ordinal;
};
constinit Table<Binding> bindings;
constinit std::atomic<uint64_t> last_key = 0;

void Remember(CUmemGenericAllocationHandle multicast, CUmemGenericAllocationHandle memory,
              uint64_t offset, uint64_t bytes) {
  Physical physical = {};
  // The reference first: should the binding not be remembered, the charge stays until the end.
  if (!FindPhysical(memory, &physical) || !AddReference(memory)) return;
  bindings.Insert({++last_key, multicast, memory, offset, bytes, physical.ordinal});
}

template <typename Call>
CUresult BindMemory(CUmemGenericAllocationHandle multicast, CUmemGenericAllocationHandle memory,
                    uint64_t offset, uint64_t bytes, const Call& call) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const CUresult result = call();
  if (result != CUDA_SUCCESS || EnterCuda() != Mode::kLimit) return result;
  Remember(multicast, memory, offset, bytes);
  return result;
}

template <typename Call>
CUresult BindAddress(CUmemGenericAllocationHandle multicast, CUdeviceptr address, uint64_t offset,
                     uint64_t bytes, const Call& call) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const CUresult result = call();
  if (result != CUDA_SUCCESS || EnterCuda() != Mode::kLimit) return result;
  CUmemGenericAllocationHandle memory = 0;
  void* pointer = reinterpret_cast<void*>(address);
  if (cuda.cuMemRetainAllocationHandle(&memory, pointer) != CUDA_SUCCESS) return result;
  Remember(multicast, memory, offset, bytes);
  cuda.cuMemRelease(memory);
  return result;
}

CUmemGenericAllocationHandle KeyOf(CUlogicalEndpointId endpoint) {
  return uint64_t{1} << 63 | endpoint;
}

// Removes what was bound on this device within the range.
template <typename Call>
CUresult Unbind(CUmemGenericAllocationHandle multicast, CUdevice device, uint64_t offset,
                uint64_t bytes, const Call& call) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  if (EnterCuda() != Mode::kLimit) return call();
  const auto take = [&](const Binding& seen, Binding* binding) {
    return seen.multicast == multicast && seen.ordinal == device && seen.offset >= offset &&
           seen.offset - offset < bytes && bindings.Take(seen.key, binding);
  };
  // One call removes one binding, but where a driver takes the range for several.
  constexpr int kMaxAtOnce = 16;
  Binding taken[kMaxAtOnce];
  Dropped dropped[kMaxAtOnce];
  int count = 0;
  bindings.VisitAll([&](const Binding& seen) {
    if (count < kMaxAtOnce && take(seen, &taken[count])) {
      dropped[count] = Drop(taken[count].memory);
      ++count;
    }
  });
  const CUresult result = call();
  for (int i = 0; i < count; ++i) {
    if (result == CUDA_SUCCESS) {
      Finish(dropped[i]);
    } else {
      Restore(dropped[i]);
      bindings.Insert(taken[i]);
    }
  }
  if (result != CUDA_SUCCESS || count < kMaxAtOnce) return result;
  bindings.VisitAll([&](const Binding& seen) {
    Binding binding;
    if (take(seen, &binding)) Finish(Drop(binding.memory));
  });
  return result;
}

}  // namespace

void ForgetBindings(CUmemGenericAllocationHandle multicast) {
  bindings.VisitAll([=](const Binding& seen) {
    Binding binding;
    if (seen.multicast != multicast || !bindings.Take(seen.key, &binding)) return;
    Finish(Drop(binding.memory));
  });
}

void ResetMulticastAfterFork() { bindings.ResetAfterFork(); }

}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

HAMI_EXPORT CUresult cuMulticastCreate(CUmemGenericAllocationHandle* multicast,
                                       const CUmulticastObjectProp* props) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const CUresult result = cuda.cuMulticastCreate(multicast, props);
  // Without room for the entry what is bound stays charged until the process ends.
  if (result == CUDA_SUCCESS && EnterCuda() == Mode::kLimit) AddMulticast(*multicast, 0);
  return result;
}

HAMI_EXPORT CUresult cuMulticastBindMem(CUmemGenericAllocationHandle multicast, size_t offset,
                                        CUmemGenericAllocationHandle memory, size_t memory_offset,
                                        size_t bytes, unsigned long long flags) {
  return BindMemory(multicast, memory, offset, bytes, [=] {
    return cuda.cuMulticastBindMem(multicast, offset, memory, memory_offset, bytes, flags);
  });
}

HAMI_EXPORT CUresult cuMulticastBindMem_v2(CUmemGenericAllocationHandle multicast, CUdevice device,
                                           size_t offset, CUmemGenericAllocationHandle memory,
                                           size_t memory_offset, size_t bytes,
                                           unsigned long long flags) {
  return BindMemory(multicast, memory, offset, bytes, [=] {
    return cuda.cuMulticastBindMem_v2(multicast, device, offset, memory, memory_offset, bytes,
                                      flags);
  });
}

HAMI_EXPORT CUresult cuMulticastBindAddr(CUmemGenericAllocationHandle multicast, size_t offset,
                                         CUdeviceptr pointer, size_t bytes,
                                         unsigned long long flags) {
  return BindAddress(multicast, pointer, offset, bytes, [=] {
    return cuda.cuMulticastBindAddr(multicast, offset, pointer, bytes, flags);
  });
}

HAMI_EXPORT CUresult cuMulticastBindAddr_v2(CUmemGenericAllocationHandle multicast, CUdevice device,
                                            size_t offset, CUdeviceptr pointer, size_t bytes,
                                            unsigned long long flags) {
  return BindAddress(multicast, pointer, offset, bytes, [=] {
    return cuda.cuMulticastBindAddr_v2(multicast, device, offset, pointer, bytes, flags);
  });
}

HAMI_EXPORT CUresult cuMulticastUnbind(CUmemGenericAllocationHandle multicast, CUdevice device,
                                       size_t offset, size_t bytes) {
  return Unbind(multicast, device, offset, bytes,
                [=] { return cuda.cuMulticastUnbind(multicast, device, offset, bytes); });
}

HAMI_EXPORT CUresult cuLogicalEndpointBindMem(CUlogicalEndpointId endpoint, CUdevice device,
                                              cuuint64_t offset,
                                              CUmemGenericAllocationHandle memory,
                                              cuuint64_t memory_offset, cuuint64_t bytes,
                                              unsigned long long flags) {
  return BindMemory(KeyOf(endpoint), memory, offset, bytes, [=] {
    return cuda.cuLogicalEndpointBindMem(endpoint, device, offset, memory, memory_offset, bytes,
                                         flags);
  });
}

HAMI_EXPORT CUresult cuLogicalEndpointBindAddr(CUlogicalEndpointId endpoint, CUdevice device,
                                               cuuint64_t offset, void* pointer, cuuint64_t bytes,
                                               unsigned long long flags) {
  return BindAddress(KeyOf(endpoint), reinterpret_cast<CUdeviceptr>(pointer), offset, bytes, [=] {
    return cuda.cuLogicalEndpointBindAddr(endpoint, device, offset, pointer, bytes, flags);
  });
}

HAMI_EXPORT CUresult cuLogicalEndpointUnbind(CUlogicalEndpointId endpoint, CUdevice device,
                                             cuuint64_t offset, cuuint64_t bytes) {
  return Unbind(KeyOf(endpoint), device, offset, bytes,
                [=] { return cuda.cuLogicalEndpointUnbind(endpoint, device, offset, bytes); });
}

HAMI_EXPORT CUresult cuLogicalEndpointDestroy(CUlogicalEndpointId endpoint) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const CUresult result = cuda.cuLogicalEndpointDestroy(endpoint);
  if (result == CUDA_SUCCESS && EnterCuda() == Mode::kLimit) ForgetBindings(KeyOf(endpoint));
  return result;
}

}  // extern "C"
