// SPDX-License-Identifier: Apache-2.0
//
// Nodes of graphs by the functions that take any type (CUDA 12.2): what they add is what the
// function of the type adds.

#include <cstring>

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

// CUgraphNodeParams; what a type needs lies at `bytes`.
struct AnyNode {
  int type = 0;
  int reserved[3] = {};
  alignas(8) unsigned char bytes[232] = {};
  long long last = 0;
};
static_assert(sizeof(AnyNode) == 256);

constexpr int kMemset = 2;
constexpr int kEmpty = 5;
constexpr int kAllocate = 10;
constexpr int kFree = 11;

CUgraphNode AddAny(CUgraph graph, CUgraphNode after, AnyNode* params) {
  CUgraphNode node = nullptr;
  const CUgraphNode* const before = &after;
  OK("cuGraphAddNode", &node, graph, before, size_t{after != nullptr ? 1U : 0U}, params);
  int type = -1;
  OK("cuGraphNodeGetType", node, &type);
  CHECK(type == params->type);
  return node;
}

AnyNode Set(CUdeviceptr address, unsigned value, size_t bytes) {
  struct {
    CUdeviceptr address;
    size_t pitch;
    unsigned value;
    unsigned element_bytes;
    size_t width;
    size_t height;
    CUcontext context;
  } set = {address, bytes, value, 1, bytes, 1, nullptr};
  OK("cuCtxGetCurrent", &set.context);
  AnyNode node;
  node.type = kMemset;
  std::memcpy(node.bytes, &set, sizeof(set));
  return node;
}

CASE(graph_nodes_of_any_type, "Driver API, cuGraphAddNode, cuGraphExecNodeSetParams") {
  Start();
  Symbol("cuGraphAddNode");
  CUdeviceptr memory = 0;
  CUgraph graph = nullptr;
  CUgraphExec exec = nullptr;
  OK("cuMemAlloc_v2", &memory, size_t{4096});
  OK("cuGraphCreate", &graph, 0U);
  AnyNode empty;
  empty.type = kEmpty;
  AnyNode set = Set(memory, 7, 4096);
  const CUgraphNode node = AddAny(graph, AddAny(graph, nullptr, &empty), &set);
  OK("cuGraphInstantiateWithFlags", &exec, graph, 0ULL);
  OK("cuGraphLaunch", exec, CUstream{nullptr});
  OK("cuCtxSynchronize");
  unsigned char byte = 0;
  OK("cuMemcpyDtoH_v2", static_cast<void*>(&byte), memory + 4095, size_t{1});
  CHECK(byte == 7);
  set = Set(memory, 9, 4096);
  OK("cuGraphExecNodeSetParams", exec, node, &set);
  OK("cuGraphLaunch", exec, CUstream{nullptr});
  OK("cuCtxSynchronize");
  OK("cuMemcpyDtoH_v2", static_cast<void*>(&byte), memory, size_t{1});
  CHECK(byte == 9);
  set.reserved[1] = 1;
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuGraphNodeSetParams", node, &set);
}

CASE(graph_memory_of_any_type, "Driver API, cuGraphAddNode: memory allocation and free nodes") {
  Start();
  Symbol("cuGraphAddNode");
  constexpr size_t kBytes = 64 * kMib;
  CUDA_MEM_ALLOC_NODE_PARAMS params = {};
  params.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  params.poolProps.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  params.bytesize = kBytes;
  AnyNode allocate;
  allocate.type = kAllocate;
  std::memcpy(allocate.bytes, &params, sizeof(params));
  CUgraph graph = nullptr;
  CUgraphExec exec = nullptr;
  OK("cuGraphCreate", &graph, 0U);
  const CUgraphNode allocation = AddAny(graph, nullptr, &allocate);
  std::memcpy(&params, allocate.bytes, sizeof(params));
  CHECK(params.dptr != 0);  // told at once
  AnyNode free;
  free.type = kFree;
  std::memcpy(free.bytes, &params.dptr, sizeof(params.dptr));
  AddAny(graph, allocation, &free);
  const size_t before = FreeBytes();
  OK("cuGraphInstantiateWithFlags", &exec, graph, 0ULL);
  OK("cuGraphLaunch", exec, CUstream{nullptr});
  OK("cuCtxSynchronize");
  CHECK(before - FreeBytes() >= kBytes);  // kept for the next launch
  OK("cuGraphExecDestroy", exec);
  OK("cuDeviceGraphMemTrim", CUdevice{0});
  CHECK(FreeBytes() >= before);
}

}  // namespace
}  // namespace hami::conformance
