// SPDX-License-Identifier: Apache-2.0
//
// Executable graphs: instantiating, launching, changing them.

#include "api/cuda/functions.h"
#include "simgpu/cuda/capture.h"
#include "simgpu/cuda/graph_allocations.h"
#include "simgpu/cuda/memory.h"

namespace hami::simgpu::cuda {
namespace {

void FreeExec(Exec* exec) {
  DestroyGraph(exec->graph);
  Free(exec->order);
  Deallocate(exec);
}

// Launches of one executable graph follow one another, on whatever streams.
void QueueBehindLast(Entry& entry, Exec* exec, Stream& stream) {
  const auto& place = exec->last.place;
  const bool same = place.lane == stream.lane && place.context == stream.owner->queue;
  if (!exec->last.recorded || same) return;
  Op op = {};
  op.kind = OpKind::kWait;
  op.work = WorkKind::kWait;
  op.event = &exec->last;
  Queue(entry, stream, op);
}

bool QueueNode(Entry& entry, const Node& node, Stream* stream) {
  if (node.disabled) return true;
  const Op op = node.op;
  const bool with_event = op.kind == OpKind::kRecord || op.kind == OpKind::kWait;
  // What was destroyed since is left out.
  if (with_event && !IsLive(op.event, Kind::kEvent)) return true;
  if (op.kind == OpKind::kWait && !op.event->recorded) return true;
  if (op.kind == OpKind::kRecord) op.event->capture = nullptr;
  MoveContent(node);
  Queue(entry, *stream, op);
  return IsLive(stream, Kind::kStream);
}

CUresult LaunchIntoCapture(Exec* exec, Stream& stream) {
  Node* node = nullptr;
  const CUresult result = CaptureNode(stream, NodeType::kGraph, &node);
  if (result != CUDA_SUCCESS) return result;
  node->child = CloneGraph(*exec->graph);
  node->child->owned = true;
  node->op.kind = OpKind::kChild;
  return CUDA_SUCCESS;
}

}  // namespace

void DestroyExec(Exec* exec) {
  Unregister(exec);
  exec->destroyed = true;
  if (exec->launches == 0) FreeExec(exec);
}

void DestroyGraphObject(Object* object) {
  switch (object->kind) {
    case Kind::kGraph:
      return DestroyGraph(reinterpret_cast<Graph*>(object));
    case Kind::kNode:
      return DestroyNode(reinterpret_cast<Node*>(object));
    default:
      return DestroyExec(reinterpret_cast<Exec*>(object));
  }
}

// Queueing may release the lock: the executable graph may be destroyed meanwhile, so it is counted,
// and updated, which keeps its nodes; the stream may go, and then the rest has no place.
CUresult LaunchExec(Entry& entry, Exec* exec, Stream* stream) {
  if (stream->capture != nullptr) return LaunchIntoCapture(exec, *stream);
  if (stream->lane == kLegacyLane) {
    const CUresult implicit = CheckLegacyUse(stream->owner);
    if (implicit != CUDA_SUCCESS) return implicit;
  }
  const CUresult memory = TakeGraphMemory(*exec);
  if (memory != CUDA_SUCCESS) return memory;
  ++exec->launches;
  QueueBehindLast(entry, exec, *stream);
  bool live = IsLive(stream, Kind::kStream);
  for (uint32_t i = 0; i < exec->order.count && live; ++i) {
    live = QueueNode(entry, *exec->order.items[i], stream);
  }
  if (live) {
    exec->last.place = EndOf(*stream);
    exec->last.recorded = true;
  }
  if (--exec->launches == 0 && exec->destroyed) FreeExec(exec);
  return CUDA_SUCCESS;
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

namespace {

// CUgraphInstantiate_flags.
constexpr uint64_t kAutoFree = 1;
constexpr uint64_t kUpload = 2;
constexpr uint64_t kDeviceLaunch = 4;
constexpr uint64_t kAllFlags = 15;

// A node of the private copy stands for the node that it was made from.
Node* OriginalOf(const Node* copy) {
  for (Object* at = process.contexts; at != nullptr; at = at->next) {
    if (at->kind == Kind::kNode && reinterpret_cast<Node*>(at)->id == copy->original) {
      return reinterpret_cast<Node*>(at);
    }
  }
  return nullptr;
}

// Of device memory, or of host memory that the device can reach.
bool IsSideForDevice(const CopySide& side) {
  if (side.type == MemoryType::kArray) return false;
  return side.type != MemoryType::kHost ||
         FindHost(reinterpret_cast<uint64_t>(side.host)) != nullptr;
}

bool IsCopyForDevice(const CopyParams& copy) {
  return IsSideForDevice(copy.from) && IsSideForDevice(copy.to);
}

// A graph for launches from the device (CUDA manual, cuGraphInstantiateWithParams): some work, of
// one context, and nothing but kernels, copies, sets and child graphs.
CUresult CheckDeviceLaunch(const NodeList& order, CUDA_GRAPH_INSTANTIATE_PARAMS* params) {
  const Context* context = nullptr;
  for (uint32_t i = 0; i < order.count; ++i) {
    const Node* node = order.items[i];
    if (node->type == NodeType::kGraph) continue;
    const bool known =
        node->type == NodeType::kKernel || node->type == NodeType::kSet ||
        (node->type == NodeType::kCopy && (!node->has_params || IsCopyForDevice(node->copy)));
    if (known && (context == nullptr || context == node->context)) {
      context = node->context;
      continue;
    }
    params->result_out = known ? CUDA_GRAPH_INSTANTIATE_MULTIPLE_CTXS_NOT_SUPPORTED
                               : CUDA_GRAPH_INSTANTIATE_NODE_OPERATION_NOT_SUPPORTED;
    params->hErrNode_out = reinterpret_cast<CUgraphNode>(OriginalOf(node));
    return CUDA_ERROR_NOT_SUPPORTED;
  }
  return context != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult Instantiate(CUgraphExec* out, CUgraph handle, CUDA_GRAPH_INSTANTIATE_PARAMS* params) {
  HAMI_ENTER(Need::kInit);
  params->result_out = CUDA_GRAPH_INSTANTIATE_ERROR;
  params->hErrNode_out = nullptr;
  auto* graph = Find<Graph>(handle);
  if (out == nullptr || graph == nullptr || params->flags > kAllFlags) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const bool device_launch = (params->flags & kDeviceLaunch) != 0;
  if (device_launch && (params->flags & kAutoFree) != 0) return CUDA_ERROR_INVALID_VALUE;
  const bool with_memory = HasMemoryNodes(*graph);
  if (with_memory && IsInstantiated(*graph)) return CUDA_ERROR_NOT_SUPPORTED;
  Graph* copy = CloneGraph(*graph);
  copy->owned = true;
  NodeList order = {};
  Node* bad = nullptr;
  if (!AppendInOrder(copy, &order, &bad)) {
    params->result_out = CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE;
    params->hErrNode_out = reinterpret_cast<CUgraphNode>(OriginalOf(bad));
    Free(order);
    DestroyGraph(copy);
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (device_launch) {
    const CUresult result = CheckDeviceLaunch(order, params);
    if (result != CUDA_SUCCESS) {
      Free(order);
      DestroyGraph(copy);
      return result;
    }
  }
  auto* exec = NewObject<Exec>(nullptr);
  exec->graph = copy;
  exec->order = order;
  exec->flags = params->flags;
  params->result_out = CUDA_GRAPH_INSTANTIATE_SUCCESS;
  *out = reinterpret_cast<CUgraphExec>(exec);
  return CUDA_SUCCESS;
}

CUresult InstantiateOld(CUgraphExec* out, CUgraph graph, CUgraphNode* error_node, char* log,
                        size_t log_bytes) {
  CUDA_GRAPH_INSTANTIATE_PARAMS params = {};
  const CUresult result = Instantiate(out, graph, &params);
  if (error_node != nullptr) *error_node = params.hErrNode_out;
  if (log != nullptr && log_bytes > 0) *log = 0;
  return result;
}

CUresult InstantiateWithParams(CUgraphExec* out, CUgraph graph,
                               CUDA_GRAPH_INSTANTIATE_PARAMS* params, bool per_thread) {
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if ((params->flags & kUpload) != 0) {
    HAMI_ENTER(Need::kContext);
    if (ResolveStream(entry.context, params->hUploadStream, per_thread) == nullptr) {
      params->result_out = CUDA_GRAPH_INSTANTIATE_ERROR;
      params->hErrNode_out = nullptr;
      return CUDA_ERROR_INVALID_HANDLE;
    }
  }
  return Instantiate(out, graph, params);
}

CUresult Launch(CUgraphExec handle, CUstream stream_handle, bool per_thread) {
  HAMI_ENTER(Need::kContext);
  auto* exec = Find<Exec>(handle);
  if (exec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Stream* stream = ResolveStream(entry.context, stream_handle, per_thread);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  return LaunchExec(entry, exec, stream);
}

// What there is to prepare on a simulated device is memory.
CUresult Upload(CUgraphExec handle, CUstream stream_handle, bool per_thread) {
  HAMI_ENTER(Need::kContext);
  const auto* exec = Find<Exec>(handle);
  if (exec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Stream* stream = ResolveStream(entry.context, stream_handle, per_thread);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const CUresult captured = CheckNotCaptured(entry.context, stream);
  return captured != CUDA_SUCCESS ? captured : PrepareGraphMemory(*exec);
}

}  // namespace

HAMI_SIM_API CUresult cuGraphInstantiate(CUgraphExec* out, CUgraph graph, CUgraphNode* error_node,
                                         char* log, size_t log_bytes) {
  return InstantiateOld(out, graph, error_node, log, log_bytes);
}
HAMI_SIM_API CUresult cuGraphInstantiate_v2(CUgraphExec* out, CUgraph graph,
                                            CUgraphNode* error_node, char* log, size_t log_bytes) {
  return InstantiateOld(out, graph, error_node, log, log_bytes);
}
HAMI_SIM_API CUresult cuGraphInstantiateWithFlags(CUgraphExec* out, CUgraph graph,
                                                  unsigned long long flags) {
  // An upload needs a stream, which only the form with parameters has.
  if ((flags & kUpload) != 0) return CUDA_ERROR_INVALID_VALUE;
  CUDA_GRAPH_INSTANTIATE_PARAMS params = {};
  params.flags = flags;
  return Instantiate(out, graph, &params);
}
HAMI_SIM_API CUresult cuGraphInstantiateWithParams(CUgraphExec* out, CUgraph graph,
                                                   CUDA_GRAPH_INSTANTIATE_PARAMS* params) {
  return InstantiateWithParams(out, graph, params, false);
}
HAMI_SIM_API CUresult cuGraphInstantiateWithParams_ptsz(CUgraphExec* out, CUgraph graph,
                                                        CUDA_GRAPH_INSTANTIATE_PARAMS* params) {
  return InstantiateWithParams(out, graph, params, true);
}

HAMI_SIM_API CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  return Launch(exec, stream, false);
}
HAMI_SIM_API CUresult cuGraphLaunch_ptsz(CUgraphExec exec, CUstream stream) {
  return Launch(exec, stream, true);
}
HAMI_SIM_API CUresult cuGraphUpload(CUgraphExec exec, CUstream stream) {
  return Upload(exec, stream, false);
}
HAMI_SIM_API CUresult cuGraphUpload_ptsz(CUgraphExec exec, CUstream stream) {
  return Upload(exec, stream, true);
}

HAMI_SIM_API CUresult cuGraphExecDestroy(CUgraphExec handle) {
  HAMI_ENTER(Need::kInit);
  auto* exec = Find<Exec>(handle);
  if (exec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  DestroyExec(exec);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuGraphExecGetFlags(CUgraphExec handle, cuuint64_t* flags) {
  HAMI_ENTER(Need::kInit);
  auto* exec = Find<Exec>(handle);
  if (exec == nullptr || flags == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *flags = exec->flags;
  return CUDA_SUCCESS;
}
