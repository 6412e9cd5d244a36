// SPDX-License-Identifier: Apache-2.0
//
// What functions that add a node, or ask about one, have in common.

#pragma once

#include "simgpu/cuda/graphs.h"

namespace hami::simgpu::cuda {

// Where a new node goes, as every function that adds one is told.
struct NodePlace {
  CUgraphNode* out;
  CUgraph graph;
  const CUgraphNode* dependencies;
  size_t count;
};

// Adds a node that `fill` completes; without it if that fails.
template <typename Fill>
CUresult Add(const NodePlace& place, NodeType type, Fill fill) {
  HAMI_ENTER(Need::kInit);
  auto* graph = Find<Graph>(place.graph);
  if (graph == nullptr || place.out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  NodeList dependencies;
  const CUresult read = ReadNodes(graph, place.dependencies, place.count, &dependencies);
  if (read != CUDA_SUCCESS) return read;
  Node* node = NewNode(graph, type);
  CopyList(node->dependencies, dependencies);
  Free(dependencies);
  const CUresult result = fill(entry, node);
  if (result != CUDA_SUCCESS) {
    DestroyNode(node);
    return result;
  }
  *place.out = reinterpret_cast<CUgraphNode>(node);
  return CUDA_SUCCESS;
}

// Calls `act` for the node if it is of the type.
template <typename Act>
CUresult With(CUgraphNode handle, NodeType type, Act act) {
  HAMI_ENTER(Need::kInit);
  auto* node = Find<Node>(handle);
  if (node == nullptr || node->type != type) return CUDA_ERROR_INVALID_VALUE;
  return act(entry, node);
}

}  // namespace hami::simgpu::cuda

#define PLACE_PARAMETERS \
  CUgraphNode *out, CUgraph graph, const CUgraphNode *dependencies, size_t count
#define PLACE \
  hami::simgpu::cuda::NodePlace { out, graph, dependencies, count }
