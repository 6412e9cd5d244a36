// SPDX-License-Identifier: Apache-2.0
//
// Nodes of graphs: adding them, their parameters.

#include "simgpu/cuda/graph_nodes.h"

#include <string.h>

#include "api/cuda/functions.h"
#include "simgpu/cuda/graph_allocations.h"
#include "simgpu/cuda/launch.h"

namespace hami::simgpu::cuda {
namespace {

// The context of a node: as asked for, else the thread's.
Context* ContextFor(const Entry& entry, CUcontext handle) {
  return Find<Context>(handle != nullptr ? reinterpret_cast<void*>(handle) : entry.context);
}

// Where the values lie in a buffer, as given by CU_LAUNCH_PARAM_BUFFER_POINTER, which is 1, and
// CU_LAUNCH_PARAM_BUFFER_SIZE, which is 2.
const char* BufferOf(void** extra, size_t* bytes) {
  const char* buffer = nullptr;
  *bytes = 0;
  for (; extra != nullptr && *extra != nullptr; extra += 2) {
    const auto key = reinterpret_cast<uint64_t>(extra[0]);
    if (key == 1) buffer = static_cast<const char*>(extra[1]);
    if (key == 2) *bytes = *static_cast<const size_t*>(extra[1]);
  }
  return buffer;
}

}  // namespace

KernelArgs MakeArgs(const Function& function, void** params, void** extra) {
  size_t buffer_bytes = 0;
  const char* buffer = BufferOf(extra, &buffer_bytes);
  KernelArgs kept = {};
  if (function.param_count == 0 || (params == nullptr && buffer == nullptr)) return kept;
  kept.count = function.param_count;
  for (uint32_t i = 0; i < kept.count; ++i) {
    const uint32_t end = function.params[i].offset + function.params[i].bytes;
    if (end > kept.bytes) kept.bytes = end;
  }
  kept.data = static_cast<char*>(AllocateZeroed(kept.bytes));
  kept.pointers = static_cast<void**>(AllocateZeroed(kept.count * sizeof(void*)));
  for (uint32_t i = 0; i < kept.count; ++i) {
    const KernelParam& param = function.params[i];
    kept.pointers[i] = kept.data + param.offset;
    if (params != nullptr) {
      memcpy(kept.pointers[i], params[i], param.bytes);
    } else if (param.offset + param.bytes <= buffer_bytes) {
      memcpy(kept.pointers[i], buffer + param.offset, param.bytes);
    }
  }
  return kept;
}

CUresult SetKernel(Entry& entry, Node* node, const KernelNodeParamsV1* params, bool second) {
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto* more = second ? static_cast<const KernelNodeParams*>(params) : nullptr;
  Context* context = ContextFor(entry, second ? more->context : nullptr);
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  CUfunction function = params->function;
  // A launch takes a CUkernel in the place of a function.
  if (function == nullptr && second) function = reinterpret_cast<CUfunction>(more->kernel);
  if (function == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Op op;
  const CUresult result = MakeKernelOp(context, function, params->grid, params->block,
                                       params->shared_bytes, params->params, params->extra, &op);
  if (result != CUDA_SUCCESS) return result;
  // The new values may be the old ones, as GetParams gave them.
  const KernelArgs args = MakeArgs(*op.launch.function, params->params, params->extra);
  FreeArgs(&node->args);
  node->args = args;
  node->op = op;
  node->context = context;
  return CUDA_SUCCESS;
}

CUresult SetCopy(Entry& entry, Node* node, const CopyParams* params, CUcontext handle) {
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Context* context = ContextFor(entry, handle);
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  const CUresult result = MakeCopyOp(*context, *params, &node->op);
  if (result != CUDA_SUCCESS) return result;
  node->copy = *params;
  node->has_params = true;
  node->context = context;
  return CUDA_SUCCESS;
}

CUresult SetSet(Entry& entry, Node* node, const SetParams* params, CUcontext handle) {
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Context* context = ContextFor(entry, handle);
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  const CUresult result = MakeSetOp(*context, *params, &node->op);
  if (result != CUDA_SUCCESS) return result;
  node->set = *params;
  node->has_params = true;
  node->context = context;
  return CUDA_SUCCESS;
}

CUresult SetEvent(Node* node, CUevent handle) {
  auto* event = Find<Event>(handle);
  if (event == nullptr) return CUDA_ERROR_INVALID_VALUE;
  node->op = {};
  node->op.event = event;
  node->op.kind = node->type == NodeType::kRecord ? OpKind::kRecord : OpKind::kWait;
  node->op.work = node->type == NodeType::kRecord ? WorkKind::kMark : WorkKind::kWait;
  return CUDA_SUCCESS;
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

namespace {

CUresult AddKernel(const NodePlace& place, const KernelNodeParamsV1* params, bool second) {
  return Add(place, NodeType::kKernel,
             [&](Entry& entry, Node* node) { return SetKernel(entry, node, params, second); });
}

CUresult AddEvent(const NodePlace& place, NodeType type, CUevent event) {
  return Add(place, type, [&](Entry&, Node* node) { return SetEvent(node, event); });
}

void GiveKernel(const Node& node, KernelNodeParamsV1* params) {
  const KernelLaunch& launch = node.op.launch;
  params->function = reinterpret_cast<CUfunction>(launch.function);
  memcpy(params->grid, launch.grid, sizeof(launch.grid));
  memcpy(params->block, launch.block, sizeof(launch.block));
  params->shared_bytes = launch.shared_bytes;
  params->params = node.args.pointers;
  params->extra = nullptr;
}

CUresult GetKernel(CUgraphNode handle, KernelNodeParamsV1* params, bool second) {
  return With(handle, NodeType::kKernel, [&](Entry&, Node* node) {
    if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
    GiveKernel(*node, params);
    if (second) {
      auto* more = static_cast<KernelNodeParams*>(params);
      more->kernel = nullptr;
      more->context = reinterpret_cast<CUcontext>(node->context);
    }
    return CUDA_SUCCESS;
  });
}

CUresult ChangeKernel(CUgraphNode handle, const KernelNodeParamsV1* params, bool second) {
  return With(handle, NodeType::kKernel,
              [&](Entry& entry, Node* node) { return SetKernel(entry, node, params, second); });
}

CUcontext HandleOf(const Node* node) { return reinterpret_cast<CUcontext>(node->context); }

CUresult GetEvent(CUgraphNode handle, NodeType type, CUevent* event) {
  return With(handle, type, [&](Entry&, Node* node) {
    if (event == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *event = reinterpret_cast<CUevent>(node->op.event);
    return CUDA_SUCCESS;
  });
}

CUresult ChangeEvent(CUgraphNode handle, NodeType type, CUevent event) {
  return With(handle, type, [&](Entry&, Node* node) { return SetEvent(node, event); });
}

}  // namespace

HAMI_SIM_API CUresult cuGraphAddKernelNode(PLACE_PARAMETERS, const KernelNodeParamsV1* params) {
  return AddKernel(PLACE, params, false);
}
HAMI_SIM_API CUresult cuGraphAddKernelNode_v2(PLACE_PARAMETERS, const KernelNodeParams* params) {
  return AddKernel(PLACE, params, true);
}
HAMI_SIM_API CUresult cuGraphKernelNodeGetParams(CUgraphNode node, KernelNodeParamsV1* params) {
  return GetKernel(node, params, false);
}
HAMI_SIM_API CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode node, KernelNodeParams* params) {
  return GetKernel(node, params, true);
}
HAMI_SIM_API CUresult cuGraphKernelNodeSetParams(CUgraphNode node,
                                                 const KernelNodeParamsV1* params) {
  return ChangeKernel(node, params, false);
}
HAMI_SIM_API CUresult cuGraphKernelNodeSetParams_v2(CUgraphNode node,
                                                    const KernelNodeParams* params) {
  return ChangeKernel(node, params, true);
}

HAMI_SIM_API CUresult cuGraphAddMemcpyNode(PLACE_PARAMETERS, const CopyParams* params,
                                           CUcontext context) {
  return Add(PLACE, NodeType::kCopy,
             [&](Entry& entry, Node* node) { return SetCopy(entry, node, params, context); });
}
HAMI_SIM_API CUresult cuGraphMemcpyNodeGetParams(CUgraphNode handle, CopyParams* params) {
  return With(handle, NodeType::kCopy, [&](Entry&, Node* node) {
    if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *params = node->copy;
    return CUDA_SUCCESS;
  });
}
HAMI_SIM_API CUresult cuGraphMemcpyNodeSetParams(CUgraphNode handle, const CopyParams* params) {
  return With(handle, NodeType::kCopy, [&](Entry& entry, Node* node) {
    return SetCopy(entry, node, params, HandleOf(node));
  });
}

HAMI_SIM_API CUresult cuGraphAddMemsetNode(PLACE_PARAMETERS, const SetParams* params,
                                           CUcontext context) {
  return Add(PLACE, NodeType::kSet,
             [&](Entry& entry, Node* node) { return SetSet(entry, node, params, context); });
}
HAMI_SIM_API CUresult cuGraphMemsetNodeGetParams(CUgraphNode handle, SetParams* params) {
  return With(handle, NodeType::kSet, [&](Entry&, Node* node) {
    if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *params = node->set;
    return CUDA_SUCCESS;
  });
}
HAMI_SIM_API CUresult cuGraphMemsetNodeSetParams(CUgraphNode handle, const SetParams* params) {
  return With(handle, NodeType::kSet, [&](Entry& entry, Node* node) {
    return SetSet(entry, node, params, HandleOf(node));
  });
}

HAMI_SIM_API CUresult cuGraphAddEmptyNode(PLACE_PARAMETERS) {
  return Add(PLACE, NodeType::kEmpty, [](Entry&, Node*) { return CUDA_SUCCESS; });
}

HAMI_SIM_API CUresult cuGraphAddEventRecordNode(PLACE_PARAMETERS, CUevent event) {
  return AddEvent(PLACE, NodeType::kRecord, event);
}
HAMI_SIM_API CUresult cuGraphAddEventWaitNode(PLACE_PARAMETERS, CUevent event) {
  return AddEvent(PLACE, NodeType::kWait, event);
}
HAMI_SIM_API CUresult cuGraphEventRecordNodeGetEvent(CUgraphNode node, CUevent* event) {
  return GetEvent(node, NodeType::kRecord, event);
}
HAMI_SIM_API CUresult cuGraphEventRecordNodeSetEvent(CUgraphNode node, CUevent event) {
  return ChangeEvent(node, NodeType::kRecord, event);
}
HAMI_SIM_API CUresult cuGraphEventWaitNodeGetEvent(CUgraphNode node, CUevent* event) {
  return GetEvent(node, NodeType::kWait, event);
}
HAMI_SIM_API CUresult cuGraphEventWaitNodeSetEvent(CUgraphNode node, CUevent event) {
  return ChangeEvent(node, NodeType::kWait, event);
}

HAMI_SIM_API CUresult cuGraphAddChildGraphNode(PLACE_PARAMETERS, CUgraph child_handle) {
  return Add(PLACE, NodeType::kGraph, [&](Entry&, Node* node) {
    auto* child = Find<Graph>(child_handle);
    if (child == nullptr || child == node->graph) return CUDA_ERROR_INVALID_VALUE;
    if (HasMemoryNodes(*child)) return CUDA_ERROR_NOT_SUPPORTED;
    node->child = CloneGraph(*child);
    node->child->owned = true;
    node->op.kind = OpKind::kChild;
    return CUDA_SUCCESS;
  });
}
HAMI_SIM_API CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode handle, CUgraph* out) {
  return With(handle, NodeType::kGraph, [&](Entry&, Node* node) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = reinterpret_cast<CUgraph>(node->child);
    return CUDA_SUCCESS;
  });
}
