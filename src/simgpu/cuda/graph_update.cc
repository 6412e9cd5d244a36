// SPDX-License-Identifier: Apache-2.0
//
// Changes of an executable graph: a whole update from a graph of the same shape, or the parameters
// of one node. A node is named by the one of the original graph.

#include "api/cuda/functions.h"
#include "simgpu/cuda/graphs.h"

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

namespace {

// CUgraphExecUpdateResult.
enum class Verdict : uint32_t {
  kSuccess = 0,
  kError = 1,
  kTopologyChanged = 2,
  kTypeChanged = 3,
  kParametersChanged = 5,
  kFunctionChanged = 7,
};

// CUgraphExecUpdateResultInfo.
struct UpdateInfo {
  Verdict verdict;
  CUgraphNode node;
  CUgraphNode from_node;
};
static_assert(sizeof(UpdateInfo) == 24);

CUgraphNode HandleOf(Node* node) { return reinterpret_cast<CUgraphNode>(node); }

UpdateInfo CompareGraphs(const Graph& old, const Graph& now);

UpdateInfo CompareNodes(const Node& old, Node* now) {
  UpdateInfo info = {Verdict::kSuccess, HandleOf(now), nullptr};
  if (old.type != now->type) {
    info.verdict = Verdict::kTypeChanged;
    return info;
  }
  if (old.dependencies.count != now->dependencies.count) {
    info.verdict = Verdict::kTopologyChanged;
    return info;
  }
  for (uint32_t i = 0; i < old.dependencies.count; ++i) {
    Node* from = now->dependencies.items[i];
    if (old.dependencies.items[i]->index == from->index) continue;
    return {Verdict::kTopologyChanged, HandleOf(now), HandleOf(from)};
  }
  if (old.child != nullptr) return CompareGraphs(*old.child, *now->child);
  if (old.memory != now->memory) {
    info.verdict = Verdict::kParametersChanged;
    return info;
  }
  if (now->type == NodeType::kKernel && old.context != now->context) {
    info.verdict = Verdict::kFunctionChanged;
  } else if (old.op.work != now->op.work || (now->has_params && old.context != now->context)) {
    info.verdict = Verdict::kParametersChanged;
  }
  return info;
}

// Nodes are paired in the order in which they were added: two captures of the same work agree.
UpdateInfo CompareGraphs(const Graph& old, const Graph& now) {
  if (old.nodes.count != now.nodes.count) return {Verdict::kTopologyChanged, nullptr, nullptr};
  for (uint32_t i = 0; i < old.nodes.count; ++i) {
    const UpdateInfo info = CompareNodes(*old.nodes.items[i], now.nodes.items[i]);
    if (info.verdict != Verdict::kSuccess) return info;
  }
  return {Verdict::kSuccess, nullptr, nullptr};
}

void TakePayloads(const Graph& to, const Graph& from) {
  for (uint32_t i = 0; i < to.nodes.count; ++i) {
    CopyPayload(to.nodes.items[i], *from.nodes.items[i]);
    if (to.nodes.items[i]->child == nullptr) continue;
    TakePayloads(*to.nodes.items[i]->child, *from.nodes.items[i]->child);
  }
}

CUresult Update(CUgraphExec exec_handle, CUgraph handle, UpdateInfo* info) {
  HAMI_ENTER(Need::kInit);
  *info = {Verdict::kError, nullptr, nullptr};
  auto* exec = Find<Exec>(exec_handle);
  auto* graph = Find<Graph>(handle);
  if (exec == nullptr || graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *info = CompareGraphs(*exec->graph, *graph);
  if (info->verdict != Verdict::kSuccess) return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
  TakePayloads(*exec->graph, *graph);
  return CUDA_SUCCESS;
}

// The executable graph's node for one of the original graph.
Node* FindCopy(const Exec& exec, const Node& node) {
  const NodeList& nodes = exec.graph->nodes;
  if (node.index < nodes.count && nodes.items[node.index]->original == node.id) {
    return nodes.items[node.index];
  }
  for (uint32_t i = 0; i < exec.order.count; ++i) {
    if (exec.order.items[i]->original == node.id) return exec.order.items[i];
  }
  return nullptr;
}

// Calls `act` for the executable graph's node.
template <typename Act>
CUresult With(CUgraphExec exec_handle, CUgraphNode handle, Act act) {
  HAMI_ENTER(Need::kInit);
  auto* exec = Find<Exec>(exec_handle);
  auto* node = Find<Node>(handle);
  if (exec == nullptr || node == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Node* copy = FindCopy(*exec, *node);
  if (copy == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return act(entry, copy);
}

CUresult ChangeKernel(CUgraphExec exec, CUgraphNode handle, const KernelNodeParamsV1* params,
                      bool second) {
  return With(exec, handle, [&](Entry& entry, Node* node) {
    if (node->type != NodeType::kKernel) return CUDA_ERROR_INVALID_VALUE;
    return SetKernel(entry, node, params, second);
  });
}

CUresult ChangeEvent(CUgraphExec exec, CUgraphNode handle, NodeType type, CUevent event) {
  return With(exec, handle, [&](Entry&, Node* node) {
    return node->type == type ? SetEvent(node, event) : CUDA_ERROR_INVALID_VALUE;
  });
}

bool MayBeDisabled(const Node& node) {
  return node.type == NodeType::kKernel || node.type == NodeType::kCopy ||
         node.type == NodeType::kSet;
}

}  // namespace

HAMI_SIM_API CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode* error_node,
                                        Verdict* verdict) {
  if (error_node == nullptr || verdict == nullptr) return CUDA_ERROR_INVALID_VALUE;
  UpdateInfo info = {};
  const CUresult result = Update(exec, graph, &info);
  *error_node = info.node;
  *verdict = info.verdict;
  return result;
}
HAMI_SIM_API CUresult cuGraphExecUpdate_v2(CUgraphExec exec, CUgraph graph, UpdateInfo* info) {
  return info == nullptr ? CUDA_ERROR_INVALID_VALUE : Update(exec, graph, info);
}

HAMI_SIM_API CUresult cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                                     const KernelNodeParamsV1* params) {
  return ChangeKernel(exec, node, params, false);
}
HAMI_SIM_API CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec exec, CUgraphNode node,
                                                        const KernelNodeParams* params) {
  return ChangeKernel(exec, node, params, true);
}

HAMI_SIM_API CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec exec, CUgraphNode handle,
                                                     const CopyParams* params, CUcontext context) {
  return With(exec, handle, [&](Entry& entry, Node* node) {
    if (node->type != NodeType::kCopy) return CUDA_ERROR_INVALID_VALUE;
    return SetCopy(entry, node, params, context);
  });
}
HAMI_SIM_API CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec exec, CUgraphNode handle,
                                                     const SetParams* params, CUcontext context) {
  return With(exec, handle, [&](Entry& entry, Node* node) {
    if (node->type != NodeType::kSet) return CUDA_ERROR_INVALID_VALUE;
    return SetSet(entry, node, params, context);
  });
}

HAMI_SIM_API CUresult cuGraphExecHostNodeSetParams(CUgraphExec exec, CUgraphNode handle,
                                                   const void* params) {
  return With(exec, handle, [&](Entry&, Node* node) {
    return node->type == NodeType::kHost ? SetHost(node, params) : CUDA_ERROR_INVALID_VALUE;
  });
}

HAMI_SIM_API CUresult cuGraphExecEventRecordNodeSetEvent(CUgraphExec exec, CUgraphNode node,
                                                         CUevent event) {
  return ChangeEvent(exec, node, NodeType::kRecord, event);
}
HAMI_SIM_API CUresult cuGraphExecEventWaitNodeSetEvent(CUgraphExec exec, CUgraphNode node,
                                                       CUevent event) {
  return ChangeEvent(exec, node, NodeType::kWait, event);
}

HAMI_SIM_API CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode handle,
                                                         CUgraph child_handle) {
  return With(exec, handle, [&](Entry&, Node* node) {
    auto* child = Find<Graph>(child_handle);
    if (node->child == nullptr || child == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (CompareGraphs(*node->child, *child).verdict != Verdict::kSuccess) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    TakePayloads(*node->child, *child);
    return CUDA_SUCCESS;
  });
}

HAMI_SIM_API CUresult cuGraphNodeSetEnabled(CUgraphExec exec, CUgraphNode handle,
                                            unsigned enabled) {
  return With(exec, handle, [&](Entry&, Node* node) {
    if (!MayBeDisabled(*node)) return CUDA_ERROR_INVALID_VALUE;
    node->disabled = enabled == 0;
    return CUDA_SUCCESS;
  });
}
HAMI_SIM_API CUresult cuGraphNodeGetEnabled(CUgraphExec exec, CUgraphNode handle,
                                            unsigned* enabled) {
  return With(exec, handle, [&](Entry&, Node* node) {
    if (enabled == nullptr || !MayBeDisabled(*node)) return CUDA_ERROR_INVALID_VALUE;
    *enabled = node->disabled ? 0 : 1;
    return CUDA_SUCCESS;
  });
}
