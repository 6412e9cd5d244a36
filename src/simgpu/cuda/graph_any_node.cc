// SPDX-License-Identifier: Apache-2.0
//
// The functions of CUDA 12 that add, change and show a node of any type: each hands on to the
// function of the type, and knows nothing but the layout of CUgraphNodeParams. Node types that no
// older function adds (conditional, batches) are not simulated, nor is a child graph that moves to
// its parent.

#include "api/cuda/functions.h"
#include "simgpu/cuda/graph_nodes.h"

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

namespace {

struct AnyNodeParams {
  int type;  // CUgraphNodeType
  int reserved0[3];
  union {
    KernelNodeParams kernel;
    struct {
      int flags;
      int reserved;
      CUcontext context;
      CopyParams params;
    } copy;
    struct {
      SetParams params;
      CUcontext context;
    } set;
    HostNodeParams host;
    struct {
      CUgraph graph;
      int ownership;
    } child;
    struct {
      CUevent event;
    } event;
    CUDA_MEM_ALLOC_NODE_PARAMS allocation;
    struct {
      CUdeviceptr address;
    } free;
    char bytes[232];
  };
  long long reserved2;
};
static_assert(sizeof(AnyNodeParams) == 256);

constexpr int kNewest = 18;  // CUgraphNodeType of CUDA 13.5

constexpr int kCloned = 0;  // CU_GRAPH_CHILD_GRAPH_OWNERSHIP_CLONE

bool IsSound(const AnyNodeParams* params) {
  return params != nullptr && params->type >= 0 && params->type <= kNewest &&
         (params->reserved0[0] | params->reserved0[1] | params->reserved0[2]) == 0 &&
         params->reserved2 == 0;
}

}  // namespace

extern "C" {

CUresult cuGraphAddKernelNode_v2(PLACE_PARAMETERS, const KernelNodeParams* params);
CUresult cuGraphAddMemcpyNode(PLACE_PARAMETERS, const CopyParams* params, CUcontext context);
CUresult cuGraphAddMemsetNode(PLACE_PARAMETERS, const SetParams* params, CUcontext context);
CUresult cuGraphAddHostNode(PLACE_PARAMETERS, const HostNodeParams* params);
CUresult cuGraphAddChildGraphNode(PLACE_PARAMETERS, CUgraph child);
CUresult cuGraphAddEmptyNode(PLACE_PARAMETERS);
CUresult cuGraphAddEventWaitNode(PLACE_PARAMETERS, CUevent event);
CUresult cuGraphAddEventRecordNode(PLACE_PARAMETERS, CUevent event);
CUresult cuGraphAddMemAllocNode(PLACE_PARAMETERS, CUDA_MEM_ALLOC_NODE_PARAMS* params);
CUresult cuGraphAddMemFreeNode(PLACE_PARAMETERS, CUdeviceptr address);

CUresult cuGraphKernelNodeSetParams_v2(CUgraphNode node, const KernelNodeParams* params);
CUresult cuGraphMemcpyNodeSetParams(CUgraphNode node, const CopyParams* params);
CUresult cuGraphMemsetNodeSetParams(CUgraphNode node, const SetParams* params);
CUresult cuGraphHostNodeSetParams(CUgraphNode node, const HostNodeParams* params);
CUresult cuGraphEventWaitNodeSetEvent(CUgraphNode node, CUevent event);
CUresult cuGraphEventRecordNodeSetEvent(CUgraphNode node, CUevent event);

CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode node, KernelNodeParams* params);
CUresult cuGraphMemcpyNodeGetParams(CUgraphNode node, CopyParams* params);
CUresult cuGraphMemsetNodeGetParams(CUgraphNode node, SetParams* params);
CUresult cuGraphHostNodeGetParams(CUgraphNode node, HostNodeParams* params);
CUresult cuGraphEventWaitNodeGetEvent(CUgraphNode node, CUevent* event);
CUresult cuGraphEventRecordNodeGetEvent(CUgraphNode node, CUevent* event);
CUresult cuGraphMemFreeNodeGetParams(CUgraphNode node, CUdeviceptr* address);

CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec exec, CUgraphNode node,
                                           const KernelNodeParams* params);
CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                        const CopyParams* params, CUcontext context);
CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec exec, CUgraphNode node, const SetParams* params,
                                        CUcontext context);
CUresult cuGraphExecHostNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                      const HostNodeParams* params);
CUresult cuGraphExecEventWaitNodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent event);
CUresult cuGraphExecEventRecordNodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent event);
CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraph child);

}  // extern "C"

HAMI_SIM_API CUresult cuGraphAddNode(PLACE_PARAMETERS, AnyNodeParams* params) {
  if (!IsSound(params)) return CUDA_ERROR_INVALID_VALUE;
  switch (static_cast<NodeType>(params->type)) {
    case NodeType::kKernel:
      return cuGraphAddKernelNode_v2(out, graph, dependencies, count, &params->kernel);
    case NodeType::kCopy:
      return cuGraphAddMemcpyNode(out, graph, dependencies, count, &params->copy.params,
                                  params->copy.context);
    case NodeType::kSet:
      return cuGraphAddMemsetNode(out, graph, dependencies, count, &params->set.params,
                                  params->set.context);
    case NodeType::kHost:
      return cuGraphAddHostNode(out, graph, dependencies, count, &params->host);
    case NodeType::kGraph:
      if (params->child.ownership != kCloned) return CUDA_ERROR_NOT_SUPPORTED;
      return cuGraphAddChildGraphNode(out, graph, dependencies, count, params->child.graph);
    case NodeType::kEmpty:
      return cuGraphAddEmptyNode(out, graph, dependencies, count);
    case NodeType::kWait:
      return cuGraphAddEventWaitNode(out, graph, dependencies, count, params->event.event);
    case NodeType::kRecord:
      return cuGraphAddEventRecordNode(out, graph, dependencies, count, params->event.event);
    case NodeType::kAllocate:
      return cuGraphAddMemAllocNode(out, graph, dependencies, count, &params->allocation);
    case NodeType::kFree:
      return cuGraphAddMemFreeNode(out, graph, dependencies, count, params->free.address);
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}

HAMI_SIM_API CUresult cuGraphAddNode_v2(CUgraphNode* out, CUgraph graph,
                                        const CUgraphNode* dependencies,
                                        const CUgraphEdgeData* edges, size_t count,
                                        AnyNodeParams* params) {
  const CUresult result = CheckEdgeData(edges, count);
  if (result != CUDA_SUCCESS) return result;
  return cuGraphAddNode(out, graph, dependencies, count, params);
}
HAMI_SIM_API CUresult cuGraphAddNode_v3(CUgraphNode* out, CUgraph graph,
                                        const CUgraphNode* dependencies,
                                        const CUgraphEdgeData* edges, size_t count,
                                        AnyNodeParams* params) {
  return cuGraphAddNode_v2(out, graph, dependencies, edges, count, params);
}

HAMI_SIM_API CUresult cuGraphNodeSetParams(CUgraphNode node, AnyNodeParams* params) {
  if (!IsSound(params)) return CUDA_ERROR_INVALID_VALUE;
  switch (static_cast<NodeType>(params->type)) {
    case NodeType::kKernel:
      return cuGraphKernelNodeSetParams_v2(node, &params->kernel);
    case NodeType::kCopy:
      return cuGraphMemcpyNodeSetParams(node, &params->copy.params);
    case NodeType::kSet:
      return cuGraphMemsetNodeSetParams(node, &params->set.params);
    case NodeType::kHost:
      return cuGraphHostNodeSetParams(node, &params->host);
    case NodeType::kWait:
      return cuGraphEventWaitNodeSetEvent(node, params->event.event);
    case NodeType::kRecord:
      return cuGraphEventRecordNodeSetEvent(node, params->event.event);
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}
HAMI_SIM_API CUresult cuGraphNodeSetParams_v2(CUgraphNode node, AnyNodeParams* params) {
  return cuGraphNodeSetParams(node, params);
}

HAMI_SIM_API CUresult cuGraphNodeGetParams(CUgraphNode node, AnyNodeParams* params) {
  CUgraphNodeType type;
  const CUresult known = cuGraphNodeGetType(node, &type);
  if (known != CUDA_SUCCESS) return known;
  AnyNodeParams found = {};
  found.type = static_cast<int>(type);
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  CUresult result = CUDA_SUCCESS;
  switch (static_cast<NodeType>(found.type)) {
    case NodeType::kKernel:
      result = cuGraphKernelNodeGetParams_v2(node, &found.kernel);
      break;
    case NodeType::kCopy:
      result = cuGraphMemcpyNodeGetParams(node, &found.copy.params);
      break;
    case NodeType::kSet:
      result = cuGraphMemsetNodeGetParams(node, &found.set.params);
      break;
    case NodeType::kHost:
      result = cuGraphHostNodeGetParams(node, &found.host);
      break;
    case NodeType::kGraph:
      result = cuGraphChildGraphNodeGetGraph(node, &found.child.graph);
      found.child.ownership = -1;  // CU_GRAPH_CHILD_GRAPH_OWNERSHIP_INVALID: it is the driver's
      break;
    case NodeType::kEmpty:
      break;
    case NodeType::kWait:
      result = cuGraphEventWaitNodeGetEvent(node, &found.event.event);
      break;
    case NodeType::kRecord:
      result = cuGraphEventRecordNodeGetEvent(node, &found.event.event);
      break;
    case NodeType::kAllocate:
      result = cuGraphMemAllocNodeGetParams(node, &found.allocation);
      break;
    case NodeType::kFree:
      result = cuGraphMemFreeNodeGetParams(node, &found.free.address);
      break;
    default:
      result = CUDA_ERROR_NOT_SUPPORTED;
  }
  if (result == CUDA_SUCCESS) *params = found;
  return result;
}

HAMI_SIM_API CUresult cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                               AnyNodeParams* params) {
  if (!IsSound(params)) return CUDA_ERROR_INVALID_VALUE;
  switch (static_cast<NodeType>(params->type)) {
    case NodeType::kKernel:
      return cuGraphExecKernelNodeSetParams_v2(exec, node, &params->kernel);
    case NodeType::kCopy:
      return cuGraphExecMemcpyNodeSetParams(exec, node, &params->copy.params, params->copy.context);
    case NodeType::kSet:
      return cuGraphExecMemsetNodeSetParams(exec, node, &params->set.params, params->set.context);
    case NodeType::kHost:
      return cuGraphExecHostNodeSetParams(exec, node, &params->host);
    case NodeType::kGraph:
      return cuGraphExecChildGraphNodeSetParams(exec, node, params->child.graph);
    case NodeType::kWait:
      return cuGraphExecEventWaitNodeSetEvent(exec, node, params->event.event);
    case NodeType::kRecord:
      return cuGraphExecEventRecordNodeSetEvent(exec, node, params->event.event);
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}
