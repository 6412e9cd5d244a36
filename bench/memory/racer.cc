// SPDX-License-Identifier: Apache-2.0

#include "bench/memory/racer.h"

#include <dlfcn.h>

#include <array>
#include <functional>
#include <iostream>
#include <random>

#include "api/cuda/functions.h"

namespace hami::bench {
namespace {

constexpr size_t kMib = size_t{1} << 20;
constexpr size_t kMostBytes = 512 * kMib;
constexpr size_t kHeld = 24;  // things at a time

void* Look(const char* name) {
  static void* const driver = dlopen("libcuda.so.1", RTLD_NOW);
  void* found = driver != nullptr ? dlsym(driver, name) : nullptr;
  if (found == nullptr) {
    std::cerr << "racer: no " << name << '\n';
    std::exit(1);
  }
  return found;
}
#define DRIVER(name) (reinterpret_cast<decltype(&::name)>(Look(#name)))
// Those that api/cuda does not declare.
template <typename... Arguments>
CUresult Call(const char* name, Arguments... arguments) {
  return reinterpret_cast<CUresult (*)(Arguments...)>(Look(name))(arguments...);
}

class Racer {
 public:
  Racer(uint64_t seed, Counters* counters) : random_(seed), counters_(*counters) {}

  int Run() {
    CUcontext context = nullptr;
    if (DRIVER(cuInit)(0) != CUDA_SUCCESS ||
        DRIVER(cuDevicePrimaryCtxRetain)(&context, 0) != CUDA_SUCCESS ||
        Call("cuCtxSetCurrent", context) != CUDA_SUCCESS) {
      return 1;
    }
    while (true) Step(held_[random_() % kHeld]);
  }

 private:
  using Free = std::function<void()>;

  // Gives back what is there, or takes something new.
  void Step(Free& place) {
    if (place) {
      place();
      place = nullptr;
      return;
    }
    switch (random_() % 7) {
      case 0:
        return Plain(place);
      case 1:
        return Pitched(place);
      case 2:
        return Managed(place);
      case 3:
        return Pooled(place);
      case 4:
        return Created(place);
      case 5:
        return Array(place);
      default:
        return Graph(place);
    }
  }

  // From a byte to half a gigabyte, small ones more often.
  size_t Size() { return 1 + random_() % (kMostBytes >> random_() % 20); }

  bool Count(CUresult result) {
    counters_.calls.fetch_add(1, std::memory_order_relaxed);
    if (result == CUDA_SUCCESS) return true;
    (result == CUDA_ERROR_OUT_OF_MEMORY ? counters_.refused : counters_.failed)
        .fetch_add(1, std::memory_order_relaxed);
    return false;
  }

  void FreeLater(Free& place, CUdeviceptr pointer) {
    place = [this, pointer] { Count(DRIVER(cuMemFree_v2)(pointer)); };
  }

  void Plain(Free& place) {
    CUdeviceptr pointer = 0;
    if (Count(DRIVER(cuMemAlloc_v2)(&pointer, Size()))) FreeLater(place, pointer);
  }
  void Pitched(Free& place) {
    CUdeviceptr pointer = 0;
    size_t pitch = 0;
    if (Count(DRIVER(cuMemAllocPitch_v2)(&pointer, &pitch, 1 + random_() % 8192,
                                         1 + random_() % 8192, 4))) {
      FreeLater(place, pointer);
    }
  }
  void Managed(Free& place) {
    CUdeviceptr pointer = 0;
    if (Count(DRIVER(cuMemAllocManaged)(&pointer, Size(), 1))) FreeLater(place, pointer);
  }
  void Pooled(Free& place) {
    CUdeviceptr pointer = 0;
    if (!Count(DRIVER(cuMemAllocAsync)(&pointer, Size(), nullptr))) return;
    place = [this, pointer] {
      Count(DRIVER(cuMemFreeAsync)(pointer, nullptr));
      if (random_() % 4 == 0) Count(Call("cuCtxSynchronize"));
    };
  }
  void Created(Free& place) {
    CUmemAllocationProp props = {};
    props.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    props.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    const size_t bytes = (Size() + 2 * kMib - 1) / (2 * kMib) * (2 * kMib);
    CUmemGenericAllocationHandle handle = 0;
    if (!Count(DRIVER(cuMemCreate)(&handle, bytes, &props, 0))) return;
    place = [this, handle] { Count(DRIVER(cuMemRelease)(handle)); };
  }
  void Array(Free& place) {
    // In pages of their own: what small ones share is an estimate (docs/adr/0017).
    const CUDA_ARRAY_DESCRIPTOR shape = {4096, 24 + random_() % 4096, CU_AD_FORMAT_FLOAT, 4};
    CUarray array = nullptr;
    if (!Count(DRIVER(cuArrayCreate_v2)(&array, &shape))) return;
    place = [this, array] { Count(DRIVER(cuArrayDestroy)(array)); };
  }
  void Graph(Free& place) {
    CUgraph graph = nullptr;
    CUgraphNode node = nullptr;
    CUgraphExec exec = nullptr;
    CUDA_MEM_ALLOC_NODE_PARAMS params = {};
    params.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    params.poolProps.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    params.bytesize = Size();
    Call("cuGraphCreate", &graph, 0U);
    const bool made = Count(Call("cuGraphAddMemAllocNode", &node, graph,
                                 static_cast<const CUgraphNode*>(nullptr), size_t{0}, &params)) &&
                      Count(DRIVER(cuGraphInstantiateWithFlags)(&exec, graph, 0));
    const bool launched = made && Count(DRIVER(cuGraphLaunch)(exec, nullptr));
    if (exec != nullptr) DRIVER(cuGraphExecDestroy)(exec);
    Call("cuGraphDestroy", graph);
    if (!launched) return;
    place = [this, pointer = params.dptr] {
      Count(DRIVER(cuMemFreeAsync)(pointer, nullptr));
      Count(DRIVER(cuDeviceGraphMemTrim)(0));
    };
  }

  std::mt19937_64 random_;
  Counters& counters_;
  std::array<Free, kHeld> held_;
};

}  // namespace

int Race(uint64_t seed, Counters* counters) { return Racer(seed, counters).Run(); }

}  // namespace hami::bench
