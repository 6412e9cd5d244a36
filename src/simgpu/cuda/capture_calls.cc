// SPDX-License-Identifier: Apache-2.0
//
// The driver's functions of stream capture. What they do is in capture.cc.

#include "api/cuda/functions.h"
#include "simgpu/cuda/capture.h"

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

namespace {

constexpr unsigned kAddDependencies = 0;
constexpr unsigned kSetDependencies = 1;

CUresult Begin(CUstream handle, CUstreamCaptureMode mode, bool per_thread) {
  HAMI_ENTER(Need::kContext);
  Stream* stream = ResolveStream(entry.context, handle, per_thread);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (mode < CU_STREAM_CAPTURE_MODE_GLOBAL || mode > CU_STREAM_CAPTURE_MODE_RELAXED) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  return BeginCapture(stream, nullptr, {}, mode);
}

CUresult BeginToGraph(CUstream handle, CUgraph graph_handle, const CUgraphNode* dependencies,
                      const CUgraphEdgeData* data, size_t count, CUstreamCaptureMode mode,
                      bool per_thread) {
  HAMI_ENTER(Need::kContext);
  Stream* stream = ResolveStream(entry.context, handle, per_thread);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  auto* graph = Find<Graph>(graph_handle);
  if (graph == nullptr || mode < CU_STREAM_CAPTURE_MODE_GLOBAL ||
      mode > CU_STREAM_CAPTURE_MODE_RELAXED) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const CUresult edges = CheckEdgeData(data, count);
  if (edges != CUDA_SUCCESS) return edges;
  NodeList leaves;
  CUresult result = ReadNodes(graph, dependencies, count, &leaves);
  if (result == CUDA_SUCCESS) result = BeginCapture(stream, graph, leaves, mode);
  Free(leaves);
  return result;
}

// What the nodes are to do may change; a program that wants to be asked about that is not served.
CUresult BeginAgain(CUstream handle, CUstreamCaptureMode mode, CUgraph graph_handle,
                    CUgraphRecaptureCallback callback, bool per_thread) {
  HAMI_ENTER(Need::kContext);
  Stream* stream = ResolveStream(entry.context, handle, per_thread);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  auto* graph = Find<Graph>(graph_handle);
  if (graph == nullptr || mode < CU_STREAM_CAPTURE_MODE_GLOBAL ||
      mode > CU_STREAM_CAPTURE_MODE_RELAXED) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (callback != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  return BeginRecapture(stream, graph, mode);
}

CUresult End(CUstream handle, CUgraph* out, bool per_thread) {
  HAMI_ENTER(Need::kContext);
  Stream* stream = ResolveStream(entry.context, handle, per_thread);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Graph* graph = nullptr;
  const CUresult result = EndCapture(stream, &graph);
  *out = reinterpret_cast<CUgraph>(graph);
  return result;
}

// What a program wants to know of a capture; null where it does not.
struct Wanted {
  CUstreamCaptureStatus* status = nullptr;
  cuuint64_t* id = nullptr;
  CUgraph* graph = nullptr;
  const CUgraphNode** dependencies = nullptr;
  const CUgraphEdgeData** edges = nullptr;
  size_t* count = nullptr;
};

CUresult GetInfo(CUstream handle, const Wanted& wanted, bool per_thread) {
  HAMI_ENTER(Need::kContext);
  Stream* stream = ResolveStream(entry.context, handle, per_thread);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (wanted.status == nullptr) return CUDA_ERROR_INVALID_VALUE;
  // Asking does not break the capture.
  if (stream->lane == hami::simgpu::kLegacyLane && HasBlockingCapture(stream->owner)) {
    return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
  }
  const Capture* capture = stream->capture;
  *wanted.status = capture == nullptr     ? CU_STREAM_CAPTURE_STATUS_NONE
                   : capture->invalidated ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                          : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  if (*wanted.status != CU_STREAM_CAPTURE_STATUS_ACTIVE) return CUDA_SUCCESS;
  Participant* participant = ParticipantOf(*stream);
  const NodeList& leaves = participant->leaves;
  if (wanted.id != nullptr) *wanted.id = capture->id;
  if (wanted.graph != nullptr) *wanted.graph = reinterpret_cast<CUgraph>(capture->graph);
  if (wanted.dependencies != nullptr) {
    *wanted.dependencies = reinterpret_cast<const CUgraphNode*>(leaves.items);
  }
  if (wanted.edges != nullptr) {
    Deallocate(participant->edges);
    participant->edges =
        static_cast<CUgraphEdgeData*>(AllocateZeroed((leaves.count + 1) * sizeof(CUgraphEdgeData)));
    *wanted.edges = participant->edges;
  }
  if (wanted.count != nullptr) *wanted.count = leaves.count;
  return CUDA_SUCCESS;
}

CUresult UpdateDependencies(CUstream handle, const CUgraphNode* dependencies,
                            const CUgraphEdgeData* data, size_t count, unsigned flags,
                            bool per_thread) {
  HAMI_ENTER(Need::kContext);
  Stream* stream = ResolveStream(entry.context, handle, per_thread);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture == nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  if (flags != kAddDependencies && flags != kSetDependencies) return CUDA_ERROR_INVALID_VALUE;
  if (stream->capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  const CUresult edges = CheckEdgeData(data, count);
  if (edges != CUDA_SUCCESS) return edges;
  NodeList nodes;
  const CUresult result = ReadNodes(stream->capture->graph, dependencies, count, &nodes);
  if (result != CUDA_SUCCESS) return result;
  NodeList& leaves = ParticipantOf(*stream)->leaves;
  if (flags == kSetDependencies) leaves.count = 0;
  for (uint32_t i = 0; i < nodes.count; ++i) {
    if (!Contains(leaves, nodes.items[i])) Append(leaves, nodes.items[i]);
  }
  Free(nodes);
  return CUDA_SUCCESS;
}

}  // namespace

// Both forms of a function: for the legacy and for the per-thread default stream.
#define BOTH(name, parameters, legacy_call, thread_call)        \
  HAMI_SIM_API CUresult name parameters { return legacy_call; } \
  HAMI_SIM_API CUresult name##_ptsz parameters { return thread_call; }

BOTH(cuStreamBeginCapture, (CUstream s), Begin(s, CU_STREAM_CAPTURE_MODE_GLOBAL, false),
     Begin(s, CU_STREAM_CAPTURE_MODE_GLOBAL, true))
BOTH(cuStreamBeginCapture_v2, (CUstream s, CUstreamCaptureMode mode), Begin(s, mode, false),
     Begin(s, mode, true))
BOTH(cuStreamBeginCaptureToGraph,
     (CUstream s, CUgraph graph, const CUgraphNode* dependencies, const CUgraphEdgeData* data,
      size_t count, CUstreamCaptureMode mode),
     BeginToGraph(s, graph, dependencies, data, count, mode, false),
     BeginToGraph(s, graph, dependencies, data, count, mode, true))
BOTH(cuStreamBeginRecaptureToGraph,
     (CUstream s, CUstreamCaptureMode mode, CUgraph graph, CUgraphRecaptureCallback callback,
      void*),
     BeginAgain(s, mode, graph, callback, false), BeginAgain(s, mode, graph, callback, true))
BOTH(cuStreamEndCapture, (CUstream s, CUgraph* graph), End(s, graph, false), End(s, graph, true))
BOTH(cuStreamIsCapturing, (CUstream s, CUstreamCaptureStatus* status), GetInfo(s, {status}, false),
     GetInfo(s, {status}, true))
BOTH(cuStreamGetCaptureInfo, (CUstream s, CUstreamCaptureStatus* status, cuuint64_t* id),
     GetInfo(s, {status, id}, false), GetInfo(s, {status, id}, true))
BOTH(cuStreamGetCaptureInfo_v2,
     (CUstream s, CUstreamCaptureStatus* status, cuuint64_t* id, CUgraph* graph,
      const CUgraphNode** dependencies, size_t* count),
     GetInfo(s, {status, id, graph, dependencies, nullptr, count}, false),
     GetInfo(s, {status, id, graph, dependencies, nullptr, count}, true))
BOTH(cuStreamGetCaptureInfo_v3,
     (CUstream s, CUstreamCaptureStatus* status, cuuint64_t* id, CUgraph* graph,
      const CUgraphNode** dependencies, const CUgraphEdgeData** edges, size_t* count),
     GetInfo(s, {status, id, graph, dependencies, edges, count}, false),
     GetInfo(s, {status, id, graph, dependencies, edges, count}, true))
BOTH(cuStreamUpdateCaptureDependencies,
     (CUstream s, CUgraphNode* dependencies, size_t count, unsigned flags),
     UpdateDependencies(s, dependencies, nullptr, count, flags, false),
     UpdateDependencies(s, dependencies, nullptr, count, flags, true))
BOTH(cuStreamUpdateCaptureDependencies_v2,
     (CUstream s, CUgraphNode* dependencies, const CUgraphEdgeData* data, size_t count,
      unsigned flags),
     UpdateDependencies(s, dependencies, data, count, flags, false),
     UpdateDependencies(s, dependencies, data, count, flags, true))
