// SPDX-License-Identifier: Apache-2.0
//
// What depends on what in a graph, and questions about it. Cycles are found when the graph is
// instantiated.

#include "api/cuda/functions.h"
#include "simgpu/cuda/graph_allocations.h"

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

namespace {

// Hands out a list as the driver does: without room for it only the count; else as much as fits,
// what room is left filled with null.
class Lister {
 public:
  Lister(CUgraphNode* first, CUgraphNode* second, CUgraphEdgeData* data, size_t* count)
      : first_(first), second_(second), data_(data), count_(count) {}

  void Add(Node* first, Node* second) {
    if (first_ != nullptr && found_ < *count_) Write(first, second);
    ++found_;
  }

  CUresult Finish() {
    if (first_ == nullptr) {
      *count_ = found_;
      return CUDA_SUCCESS;
    }
    const size_t total = found_;
    for (; found_ < *count_; ++found_) Write(nullptr, nullptr);
    if (total < *count_) *count_ = total;
    return CUDA_SUCCESS;
  }

 private:
  void Write(Node* first, Node* second) {
    first_[found_] = reinterpret_cast<CUgraphNode>(first);
    if (second_ != nullptr) second_[found_] = reinterpret_cast<CUgraphNode>(second);
    if (data_ != nullptr) data_[found_] = {};
  }

  CUgraphNode* first_;
  CUgraphNode* second_;
  CUgraphEdgeData* data_;
  size_t* count_;
  size_t found_ = 0;
};

struct Edges {
  CUgraph graph;
  const CUgraphNode* from;
  const CUgraphNode* to;
  const CUgraphEdgeData* data;
  size_t count;
};

// Finds the ends of an edge; both must be nodes of the graph.
bool FindEnds(const Graph* graph, const Edges& edges, size_t i, Node** from, Node** to) {
  *from = Find<Node>(edges.from[i]);
  *to = Find<Node>(edges.to[i]);
  return *from != nullptr && *to != nullptr && (*from)->graph == graph && (*to)->graph == graph;
}

CUresult AddEdges(const Edges& edges) {
  HAMI_ENTER(Need::kInit);
  auto* graph = Find<Graph>(edges.graph);
  if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (edges.count == 0) return CUDA_SUCCESS;
  if (edges.from == nullptr || edges.to == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult data = CheckEdgeData(edges.data, edges.count);
  if (data != CUDA_SUCCESS) return data;
  for (size_t i = 0; i < edges.count; ++i) {
    Node* from = nullptr;
    Node* to = nullptr;
    const bool found = FindEnds(graph, edges, i, &from, &to);
    if (found && from != to && !Contains(to->dependencies, from)) {
      Append(to->dependencies, from);
      continue;
    }
    // All or nothing.
    while (i-- > 0) {
      FindEnds(graph, edges, i, &from, &to);
      Remove(to->dependencies, from);
    }
    return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

CUresult RemoveEdges(const Edges& edges) {
  HAMI_ENTER(Need::kInit);
  auto* graph = Find<Graph>(edges.graph);
  if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (edges.count == 0) return CUDA_SUCCESS;
  if (edges.from == nullptr || edges.to == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult data = CheckEdgeData(edges.data, edges.count);
  if (data != CUDA_SUCCESS) return data;
  Node* from = nullptr;
  Node* to = nullptr;
  for (size_t i = 0; i < edges.count; ++i) {
    const bool found = FindEnds(graph, edges, i, &from, &to);
    if (!found || !Contains(to->dependencies, from)) return CUDA_ERROR_INVALID_VALUE;
  }
  for (size_t i = 0; i < edges.count; ++i) {
    FindEnds(graph, edges, i, &from, &to);
    Remove(to->dependencies, from);
  }
  return CUDA_SUCCESS;
}

CUresult ListNodes(CUgraph handle, CUgraphNode* nodes, size_t* count, bool roots) {
  HAMI_ENTER(Need::kInit);
  auto* graph = Find<Graph>(handle);
  if (graph == nullptr || count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Lister lister(nodes, nullptr, nullptr, count);
  for (uint32_t i = 0; i < graph->nodes.count; ++i) {
    Node* node = graph->nodes.items[i];
    if (!roots || node->dependencies.count == 0) lister.Add(node, nullptr);
  }
  return lister.Finish();
}

CUresult ListEdges(CUgraph handle, CUgraphNode* from, CUgraphNode* to, CUgraphEdgeData* data,
                   size_t* count) {
  HAMI_ENTER(Need::kInit);
  auto* graph = Find<Graph>(handle);
  if (graph == nullptr || count == nullptr || (from == nullptr) != (to == nullptr)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  Lister lister(from, to, data, count);
  for (uint32_t i = 0; i < graph->nodes.count; ++i) {
    Node* node = graph->nodes.items[i];
    for (uint32_t k = 0; k < node->dependencies.count; ++k) {
      lister.Add(node->dependencies.items[k], node);
    }
  }
  return lister.Finish();
}

CUresult ListDependencies(CUgraphNode handle, CUgraphNode* nodes, CUgraphEdgeData* data,
                          size_t* count) {
  HAMI_ENTER(Need::kInit);
  auto* node = Find<Node>(handle);
  if (node == nullptr || count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Lister lister(nodes, nullptr, data, count);
  for (uint32_t i = 0; i < node->dependencies.count; ++i) {
    lister.Add(node->dependencies.items[i], nullptr);
  }
  return lister.Finish();
}

CUresult ListDependents(CUgraphNode handle, CUgraphNode* nodes, CUgraphEdgeData* data,
                        size_t* count) {
  HAMI_ENTER(Need::kInit);
  auto* node = Find<Node>(handle);
  if (node == nullptr || count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Lister lister(nodes, nullptr, data, count);
  const NodeList& all = node->graph->nodes;
  for (uint32_t i = 0; i < all.count; ++i) {
    if (Contains(all.items[i]->dependencies, node)) lister.Add(all.items[i], nullptr);
  }
  return lister.Finish();
}

}  // namespace

HAMI_SIM_API CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode* from,
                                             const CUgraphNode* to, size_t count) {
  return AddEdges({graph, from, to, nullptr, count});
}
HAMI_SIM_API CUresult cuGraphAddDependencies_v2(CUgraph graph, const CUgraphNode* from,
                                                const CUgraphNode* to, const CUgraphEdgeData* data,
                                                size_t count) {
  return AddEdges({graph, from, to, data, count});
}
HAMI_SIM_API CUresult cuGraphRemoveDependencies(CUgraph graph, const CUgraphNode* from,
                                                const CUgraphNode* to, size_t count) {
  return RemoveEdges({graph, from, to, nullptr, count});
}
HAMI_SIM_API CUresult cuGraphRemoveDependencies_v2(CUgraph graph, const CUgraphNode* from,
                                                   const CUgraphNode* to,
                                                   const CUgraphEdgeData* data, size_t count) {
  return RemoveEdges({graph, from, to, data, count});
}

HAMI_SIM_API CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode* nodes, size_t* count) {
  return ListNodes(graph, nodes, count, false);
}
HAMI_SIM_API CUresult cuGraphGetRootNodes(CUgraph graph, CUgraphNode* nodes, size_t* count) {
  return ListNodes(graph, nodes, count, true);
}
HAMI_SIM_API CUresult cuGraphGetEdges(CUgraph graph, CUgraphNode* from, CUgraphNode* to,
                                      size_t* count) {
  return ListEdges(graph, from, to, nullptr, count);
}
HAMI_SIM_API CUresult cuGraphGetEdges_v2(CUgraph graph, CUgraphNode* from, CUgraphNode* to,
                                         CUgraphEdgeData* data, size_t* count) {
  return ListEdges(graph, from, to, data, count);
}
HAMI_SIM_API CUresult cuGraphNodeGetDependencies(CUgraphNode node, CUgraphNode* nodes,
                                                 size_t* count) {
  return ListDependencies(node, nodes, nullptr, count);
}
HAMI_SIM_API CUresult cuGraphNodeGetDependencies_v2(CUgraphNode node, CUgraphNode* nodes,
                                                    CUgraphEdgeData* data, size_t* count) {
  return ListDependencies(node, nodes, data, count);
}
HAMI_SIM_API CUresult cuGraphNodeGetDependentNodes(CUgraphNode node, CUgraphNode* nodes,
                                                   size_t* count) {
  return ListDependents(node, nodes, nullptr, count);
}
HAMI_SIM_API CUresult cuGraphNodeGetDependentNodes_v2(CUgraphNode node, CUgraphNode* nodes,
                                                      CUgraphEdgeData* data, size_t* count) {
  return ListDependents(node, nodes, data, count);
}

HAMI_SIM_API CUresult cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType* type) {
  HAMI_ENTER(Need::kInit);
  auto* node = Find<Node>(handle);
  if (node == nullptr || type == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *type = static_cast<CUgraphNodeType>(node->type);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuGraphDestroyNode(CUgraphNode handle) {
  HAMI_ENTER(Need::kInit);
  auto* node = Find<Node>(handle);
  // A capture may yet make other nodes depend on it.
  if (node == nullptr || node->graph->captures > 0) return CUDA_ERROR_INVALID_VALUE;
  if (HasMemoryNodes(*node->graph)) return CUDA_ERROR_NOT_SUPPORTED;
  DestroyNode(node);
  return CUDA_SUCCESS;
}
