// SPDX-License-Identifier: Apache-2.0
//
// Memory that graphs allocate.

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

constexpr int kPoolsSupported = 115;
constexpr unsigned long long kAutoFreeOnLaunch = 1;

CUgraph NewGraph() {
  CUgraph graph = nullptr;
  OK("cuGraphCreate", &graph, 0U);
  return graph;
}

CUgraphNode AddAllocation(CUgraph graph, size_t bytes, CUdeviceptr* address) {
  CUDA_MEM_ALLOC_NODE_PARAMS params = {};
  params.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  params.poolProps.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  params.bytesize = bytes;
  CUgraphNode node = nullptr;
  OK("cuGraphAddMemAllocNode", &node, graph, static_cast<const CUgraphNode*>(nullptr), size_t{0},
     &params);
  *address = params.dptr;
  CHECK(*address != 0);
  return node;
}

void AddFree(CUgraph graph, CUgraphNode after, CUdeviceptr address) {
  CUgraphNode node = nullptr;
  OK("cuGraphAddMemFreeNode", &node, graph, static_cast<const CUgraphNode*>(&after), size_t{1},
     address);
}

CUgraphExec Instantiate(CUgraph graph, unsigned long long flags = 0) {
  CUgraphExec exec = nullptr;
  OK("cuGraphInstantiateWithFlags", &exec, graph, flags);
  return exec;
}

cuuint64_t GraphMemory(CUgraphMem_attribute attribute) {
  cuuint64_t bytes = 0;
  OK("cuDeviceGetGraphMemAttribute", CUdevice{0}, attribute, static_cast<void*>(&bytes));
  return bytes;
}

void RequirePools() {
  Start();
  if (Attribute(kPoolsSupported) == 0) Skip("no memory pools");
}

CASE(graph_memory_comes_at_launch,
     "CUDA C++ Programming Guide, Graph Memory Nodes: physical memory is taken when it is "
     "launched") {
  RequirePools();
  const size_t before = FreeBytes();
  CUgraph graph = NewGraph();
  CUdeviceptr address = 0;
  CUgraphNode node = AddAllocation(graph, 64 * kMib, &address);
  AddFree(graph, node, address);
  CHECK(FreeBytes() == before);
  CUgraphExec exec = Instantiate(graph);
  OK("cuGraphLaunch", exec, CUstream{nullptr});
  OK("cuCtxSynchronize");
  CHECK(GraphMemory(CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT) >= 64 * kMib);
  CHECK(GraphMemory(CU_GRAPH_MEM_ATTR_USED_MEM_HIGH) >= 64 * kMib);
  CHECK(before - FreeBytes() >= 64 * kMib);
  OK("cuGraphExecDestroy", exec);
  OK("cuDeviceGraphMemTrim", CUdevice{0});
  CHECK(GraphMemory(CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT) == 0);
  CHECK(FreeBytes() == before);
}

CASE(graph_memory_outlives_the_graph,
     "CUDA C++ Programming Guide, Graph Memory Nodes: what is not freed in the graph lives on") {
  RequirePools();
  CUgraph graph = NewGraph();
  CUdeviceptr address = 0;
  AddAllocation(graph, 8 * kMib, &address);
  CUgraphExec exec = Instantiate(graph);
  OK("cuGraphLaunch", exec, CUstream{nullptr});
  OK("cuCtxSynchronize");
  // In use: a second launch would allocate it again.
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuGraphLaunch", exec, CUstream{nullptr});
  OK("cuGraphExecDestroy", exec);
  OK("cuMemsetD8_v2", address, static_cast<unsigned char>(1), size_t{8 * kMib});
  CHECK(GraphMemory(CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT) >= 8 * kMib);
  OK("cuMemFree_v2", address);
  CHECK(GraphMemory(CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT) == 0);
}

CASE(graph_memory_auto_free, "Driver API, CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH") {
  RequirePools();
  CUgraph graph = NewGraph();
  CUdeviceptr address = 0;
  AddAllocation(graph, 8 * kMib, &address);
  CUgraphExec exec = Instantiate(graph, kAutoFreeOnLaunch);
  for (int i = 0; i < 3; ++i) OK("cuGraphLaunch", exec, CUstream{nullptr});
  OK("cuCtxSynchronize");
  CHECK(GraphMemory(CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT) < 16 * kMib);
}

CASE(graph_memory_captured, "Driver API, cuMemAllocAsync: in a captured stream a graph node") {
  RequirePools();
  CUstream stream = NewStream(1);
  CUdeviceptr address = 0;
  CUgraph graph = nullptr;
  const size_t before = FreeBytes();
  OK("cuStreamBeginCapture_v2", stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
  OK("cuMemAllocAsync", &address, size_t{4 * kMib}, stream);
  OK("cuMemsetD8Async", address, static_cast<unsigned char>(5), size_t{4 * kMib}, stream);
  OK("cuMemFreeAsync", address, stream);
  OK("cuStreamEndCapture", stream, &graph);
  CHECK(FreeBytes() == before);
  size_t count = 0;
  OK("cuGraphGetNodes", graph, static_cast<CUgraphNode*>(nullptr), &count);
  CHECK(count == 3);
  CUgraphNode nodes[3];
  OK("cuGraphGetNodes", graph, static_cast<CUgraphNode*>(nodes), &count);
  int allocations = 0;
  for (CUgraphNode node : nodes) {
    CUgraphNodeType type;
    CUDA_MEM_ALLOC_NODE_PARAMS params = {};
    OK("cuGraphNodeGetType", node, &type);
    if (type != CU_GRAPH_NODE_TYPE_MEM_ALLOC) continue;
    ++allocations;
    OK("cuGraphMemAllocNodeGetParams", node, &params);
    CHECK(params.bytesize >= 4 * kMib && params.dptr == address);
  }
  CHECK(allocations == 1);
  CUgraphExec exec = Instantiate(graph);
  OK("cuGraphLaunch", exec, stream);
  OK("cuStreamSynchronize", stream);
}

CASE(graph_memory_one_instance,
     "Driver API, cuGraphAddMemAllocNode: one instantiation, no clone, no deleted nodes") {
  RequirePools();
  CUgraph graph = NewGraph();
  CUdeviceptr address = 0;
  CUgraphNode node = AddAllocation(graph, kMib, &address);
  CUgraphExec exec = Instantiate(graph);
  CUgraphExec second = nullptr;
  CUgraph clone = nullptr;
  CHECK(Cu("cuGraphInstantiateWithFlags", &second, graph, 0ULL) != CUDA_SUCCESS);
  CHECK(Cu("cuGraphClone", &clone, graph) != CUDA_SUCCESS);
  CHECK(Cu("cuGraphDestroyNode", node) != CUDA_SUCCESS);
  OK("cuGraphExecDestroy", exec);
  Instantiate(graph);
}

CASE(graph_memory_too_much, "Driver API, cuGraphLaunch: out of memory is an error of the launch") {
  RequirePools();
  const size_t free_bytes = FreeBytes();
  CUgraph graph = NewGraph();
  CUdeviceptr first = 0;
  CUdeviceptr second = 0;
  AddAllocation(graph, free_bytes / 3 * 2, &first);
  AddAllocation(graph, free_bytes / 3 * 2, &second);
  CUgraphExec exec = nullptr;
  const CUresult made = Cu("cuGraphInstantiateWithFlags", &exec, graph, 0ULL);
  if (made == CUDA_SUCCESS) {
    GIVES(CUDA_ERROR_OUT_OF_MEMORY, "cuGraphLaunch", exec, CUstream{nullptr});
  } else {
    CHECK(made == CUDA_ERROR_OUT_OF_MEMORY);
  }
}

}  // namespace
}  // namespace hami::conformance
