// SPDX-License-Identifier: Apache-2.0

#include "simgpu/cuda/graphs.h"

#include <string.h>

#include "api/cuda/functions.h"
#include "simgpu/cuda/graph_allocations.h"

namespace hami::simgpu::cuda {
namespace {

uint64_t newest_mark;

void FreeNode(Node* node) {
  if (node->child != nullptr) DestroyGraph(node->child);
  if (node->memory != nullptr) Drop(node->memory);
  FreeArgs(&node->args);
  Free(node->dependencies);
  DeleteObject(node);
}

}  // namespace

void Append(NodeList& list, Node* node) {
  if (list.count == list.capacity) {
    const uint32_t capacity = list.capacity == 0 ? 4 : list.capacity * 2;
    auto** items = static_cast<Node**>(AllocateZeroed(capacity * sizeof(Node*)));
    if (list.count > 0) memcpy(items, list.items, list.count * sizeof(Node*));
    Deallocate(list.items);
    list.items = items;
    list.capacity = capacity;
  }
  list.items[list.count++] = node;
}

bool Contains(const NodeList& list, const Node* node) {
  for (uint32_t i = 0; i < list.count; ++i) {
    if (list.items[i] == node) return true;
  }
  return false;
}

bool Remove(NodeList& list, const Node* node) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < list.count; ++i) {
    if (list.items[i] != node) list.items[kept++] = list.items[i];
  }
  const bool found = kept < list.count;
  list.count = kept;
  return found;
}

void CopyList(NodeList& to, const NodeList& from) {
  if (&to == &from) return;
  to.count = 0;
  for (uint32_t i = 0; i < from.count; ++i) Append(to, from.items[i]);
}

void Free(NodeList& list) {
  Deallocate(list.items);
  list = {};
}

Graph* NewGraph() {
  auto* graph = NewObject<Graph>(nullptr);
  graph->id = ++process.next_id;
  return graph;
}

void DestroyGraph(Graph* graph) {
  for (uint32_t i = 0; i < graph->nodes.count; ++i) FreeNode(graph->nodes.items[i]);
  Free(graph->nodes);
  DeleteObject(graph);
}

Node* NewNode(Graph* graph, NodeType type) {
  auto* node = NewObject<Node>(nullptr);
  node->graph = graph;
  node->type = type;
  node->id = ++process.next_id;
  node->index = graph->nodes.count;
  Append(graph->nodes, node);
  return node;
}

void DestroyNode(Node* node) {
  NodeList& nodes = node->graph->nodes;
  Remove(nodes, node);
  for (uint32_t i = 0; i < nodes.count; ++i) {
    nodes.items[i]->index = i;
    Remove(nodes.items[i]->dependencies, node);
  }
  FreeNode(node);
}

void FreeArgs(KernelArgs* args) {
  Deallocate(args->data);
  Deallocate(args->pointers);
  *args = {};
}

void CopyArgs(KernelArgs* to, const KernelArgs& from) {
  FreeArgs(to);
  if (from.count == 0) return;
  to->count = from.count;
  to->bytes = from.bytes;
  to->data = static_cast<char*>(AllocateZeroed(from.bytes));
  memcpy(to->data, from.data, from.bytes);
  to->pointers = static_cast<void**>(AllocateZeroed(from.count * sizeof(void*)));
  for (uint32_t i = 0; i < from.count; ++i) {
    to->pointers[i] = to->data + (static_cast<char*>(from.pointers[i]) - from.data);
  }
}

void CopyPayload(Node* to, const Node& from) {
  to->type = from.type;
  to->op = from.op;
  to->context = from.context;
  to->has_params = from.has_params;
  to->copy = from.copy;
  to->set = from.set;
  CopyArgs(&to->args, from.args);
  GraphAllocation* before = to->memory;
  to->memory = from.memory != nullptr ? Keep(from.memory) : nullptr;
  if (before != nullptr) Drop(before);
}

Graph* CloneGraph(const Graph& graph) {
  Graph* clone = NewGraph();
  clone->original = graph.id;
  for (uint32_t i = 0; i < graph.nodes.count; ++i) {
    const Node& from = *graph.nodes.items[i];
    Node* node = NewNode(clone, from.type);
    CopyPayload(node, from);
    node->original = from.id;
    node->disabled = from.disabled;
    if (from.child != nullptr) {
      node->child = CloneGraph(*from.child);
      node->child->owned = true;
    }
  }
  for (uint32_t i = 0; i < graph.nodes.count; ++i) {
    const NodeList& dependencies = graph.nodes.items[i]->dependencies;
    for (uint32_t k = 0; k < dependencies.count; ++k) {
      Append(clone->nodes.items[i]->dependencies, clone->nodes.items[dependencies.items[k]->index]);
    }
  }
  return clone;
}

uint64_t NextMark() {
  newest_mark += 2;
  return newest_mark;
}

bool AppendInOrder(Graph* graph, NodeList* order, Node** bad) {
  const uint64_t open = NextMark();
  const uint64_t done = open + 1;
  NodeList stack = {};
  bool sound = true;
  for (uint32_t i = 0; i < graph->nodes.count && sound; ++i) {
    if (graph->nodes.items[i]->mark == done) continue;
    graph->nodes.items[i]->mark = open;
    graph->nodes.items[i]->cursor = 0;
    Append(stack, graph->nodes.items[i]);
    while (stack.count > 0 && sound) {
      Node* node = stack.items[stack.count - 1];
      if (node->cursor < node->dependencies.count) {
        Node* dependency = node->dependencies.items[node->cursor++];
        if (dependency->mark == done) continue;
        if (dependency->mark == open) {
          *bad = dependency;
          sound = false;
          break;
        }
        dependency->mark = open;
        dependency->cursor = 0;
        Append(stack, dependency);
        continue;
      }
      node->mark = done;
      --stack.count;
      Append(*order, node);
      if (node->child != nullptr) sound = AppendInOrder(node->child, order, bad);
    }
  }
  Free(stack);
  return sound;
}

void MarkAncestors(const NodeList& nodes, uint64_t mark) {
  NodeList stack = {};
  CopyList(stack, nodes);
  for (uint32_t i = 0; i < stack.count; ++i) stack.items[i]->mark = mark;
  while (stack.count > 0) {
    const Node* node = stack.items[--stack.count];
    for (uint32_t i = 0; i < node->dependencies.count; ++i) {
      Node* dependency = node->dependencies.items[i];
      if (dependency->mark == mark) continue;
      dependency->mark = mark;
      Append(stack, dependency);
    }
  }
  Free(stack);
}

CUresult ReadNodes(const Graph* graph, const CUgraphNode* handles, size_t count, NodeList* nodes) {
  *nodes = {};
  if (count > 0 && handles == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const uint64_t mark = NextMark();
  for (size_t i = 0; i < count; ++i) {
    auto* node = Find<Node>(handles[i]);
    if (node == nullptr || node->graph != graph || node->mark == mark) {
      Free(*nodes);
      return CUDA_ERROR_INVALID_VALUE;
    }
    node->mark = mark;
    Append(*nodes, node);
  }
  return CUDA_SUCCESS;
}

CUresult CheckEdgeData(const CUgraphEdgeData* data, size_t count) {
  const CUgraphEdgeData nothing = {};
  for (size_t i = 0; data != nullptr && i < count; ++i) {
    if (memcmp(&data[i], &nothing, sizeof(nothing)) != 0) return CUDA_ERROR_NOT_SUPPORTED;
  }
  return CUDA_SUCCESS;
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuGraphCreate(CUgraph* out, unsigned flags) {
  HAMI_ENTER(Need::kInit);
  if (out == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  *out = reinterpret_cast<CUgraph>(NewGraph());
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuGraphDestroy(CUgraph handle) {
  HAMI_ENTER(Need::kInit);
  auto* graph = Find<Graph>(handle);
  // The graph of a capture goes with the capture.
  if (graph == nullptr || graph->owned || graph->captures > 0) return CUDA_ERROR_INVALID_VALUE;
  DestroyGraph(graph);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuGraphClone(CUgraph* out, CUgraph handle) {
  HAMI_ENTER(Need::kInit);
  auto* graph = Find<Graph>(handle);
  if (out == nullptr || graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (HasMemoryNodes(*graph)) return CUDA_ERROR_NOT_SUPPORTED;
  *out = reinterpret_cast<CUgraph>(CloneGraph(*graph));
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuGraphNodeFindInClone(CUgraphNode* out, CUgraphNode handle,
                                             CUgraph clone_handle) {
  HAMI_ENTER(Need::kInit);
  auto* node = Find<Node>(handle);
  auto* clone = Find<Graph>(clone_handle);
  if (out == nullptr || node == nullptr || clone == nullptr) return CUDA_ERROR_INVALID_VALUE;
  for (uint32_t i = 0; i < clone->nodes.count; ++i) {
    if (clone->nodes.items[i]->original != node->id) continue;
    *out = reinterpret_cast<CUgraphNode>(clone->nodes.items[i]);
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_INVALID_VALUE;
}
