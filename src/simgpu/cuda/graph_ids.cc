// SPDX-License-Identifier: Apache-2.0
//
// Numbers by which tools know graphs and their nodes (CUDA 13.1). A node keeps its own whatever
// else of the graph goes; with the graph's number in front of it, it is the tools'.

#include "api/cuda/functions.h"
#include "simgpu/cuda/graphs.h"

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

namespace {

unsigned Short(uint64_t id) { return static_cast<unsigned>(id); }

template <typename T, typename Value, typename Give>
CUresult Ask(void* handle, Value* out, Give give) {
  HAMI_ENTER(Need::kInit);
  auto* object = Find<T>(handle);
  if (object == nullptr || out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *out = give(*object);
  return CUDA_SUCCESS;
}

}  // namespace

HAMI_SIM_API CUresult cuGraphGetId(CUgraph graph, unsigned int* id) {
  return Ask<Graph>(graph, id, [](const Graph& of) { return Short(of.id); });
}
HAMI_SIM_API CUresult cuGraphExecGetId(CUgraphExec exec, unsigned int* id) {
  return Ask<Exec>(exec, id, [](const Exec& of) { return Short(of.graph->id); });
}
HAMI_SIM_API CUresult cuGraphNodeGetContainingGraph(CUgraphNode node, CUgraph* graph) {
  return Ask<Node>(node, graph, [](const Node& of) { return reinterpret_cast<CUgraph>(of.graph); });
}
HAMI_SIM_API CUresult cuGraphNodeGetLocalId(CUgraphNode node, unsigned int* id) {
  return Ask<Node>(node, id, [](const Node& of) { return Short(of.id); });
}
HAMI_SIM_API CUresult cuGraphNodeGetToolsId(CUgraphNode node, unsigned long long* id) {
  return Ask<Node>(node, id, [](const Node& of) {
    return static_cast<unsigned long long>(of.graph->id << 32 | Short(of.id));
  });
}
