// SPDX-License-Identifier: Apache-2.0
//
// Memory that graphs allocate. An executable graph says at its creation how much its nodes ask for;
// a launch may take that much of the device, and what it took before and has not freed stays
// reserved by the driver until it is trimmed. So a launch promises what its nodes ask for, and the
// charge follows the driver's own figures (CU_GRAPH_MEM_ATTR_*): never below what is reserved, nor
// below what is used and promised.

#pragma once

#include <atomic>
#include <cstdint>

#include "api/cuda/types.h"
#include "preload/devices.h"

namespace hami::preload {

// Executable graphs with memory nodes that live.
extern std::atomic<int> memory_graph_count;

// What a launch has promised; ends it after the driver's call.
struct GraphPromise {
  uint64_t ordinals = 0;  // a bit for each device
  uint64_t bytes = 0;     // on each of them
};
// False: no room, the launch is to be refused.
bool PromiseLaunch(CUgraphExec exec, GraphPromise* promise);
void EndPromise(const GraphPromise& promise);

// Calls the driver to launch the graph, or to take its memory without launching.
template <typename Call>
CUresult WithGraphMemory(CUgraphExec exec, const Call& call) {
  if (memory_graph_count.load(std::memory_order_acquire) == 0) [[likely]] {
    return call();
  }
  GraphPromise promise;
  if (!PromiseLaunch(exec, &promise)) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = call();
  EndPromise(promise);
  return result;
}

// Before and after an executable graph is destroyed: its handle may come back at once for another.
struct GraphEnd {
  bool known;
  uint64_t ordinals;
  uint64_t bytes;
};
GraphEnd BeginGraphEnd(CUgraphExec exec);
void FinishGraphEnd(CUgraphExec exec, const GraphEnd& end, bool destroyed);

// Brings the charge to what the driver says. True if something was given back.
bool ReconcileGraphMemory(Device& device);

void ResetGraphMemoryAfterFork();

}  // namespace hami::preload
