// SPDX-License-Identifier: Apache-2.0
//
// Memory that graphs allocate (CUDA C++ Programming Guide, "Graph Memory Nodes"). Its addresses are
// fixed when the node is made. Physical memory comes at a launch, from one reservation of the
// device that grows in pages and shrinks when it is trimmed; an allocation that a launch does not
// free lives on until the program frees it.
//
// What is simplified: memory counts as free again as soon as the node that frees it is queued, so
// launches in several streams share more than hardware could. All functions need the process' lock.

#pragma once

#include "simgpu/cuda/graphs.h"

namespace hami::simgpu::cuda {

// Lives as long as a node names it or its memory is in use.
GraphAllocation* Keep(GraphAllocation* memory);
void Drop(GraphAllocation* memory);

bool HasMemoryNodes(const Graph& graph);
// Whether an executable graph of it lives: with memory nodes there can be one only.
bool IsInstantiated(const Graph& graph);

// Physical memory for a launch; also without launching.
CUresult TakeGraphMemory(const Exec& exec);
CUresult PrepareGraphMemory(const Exec& exec);

// What cuMemAllocAsync and cuMemFreeAsync are in a captured stream.
CUresult CaptureAllocation(Stream& stream, uint32_t device, uint64_t bytes, CUdeviceptr* address);
CUresult CaptureFree(Stream& stream, CUdeviceptr address);

}  // namespace hami::simgpu::cuda
