// SPDX-License-Identifier: Apache-2.0

#include "preload/capture.h"

#include "preload/driver.h"
#include "preload/sampler.h"

namespace hami::preload {

bool IsCapturingSlow(CUstream stream, StreamForm form) {
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  const CUresult result = form == StreamForm::kPerThread
                              ? cuda.cuStreamIsCapturing_ptsz(stream, &status)
                              : cuda.cuStreamIsCapturing(stream, &status);
  // CUDA_ERROR_STREAM_CAPTURE_IMPLICIT: a legacy stream while others are captured; the launch
  // itself will be refused by the driver.
  return result != CUDA_SUCCESS || status != CU_STREAM_CAPTURE_STATUS_NONE;
}

RelaxedCapture::RelaxedCapture() { cuda.cuThreadExchangeStreamCaptureMode(&mode_); }
RelaxedCapture::~RelaxedCapture() { cuda.cuThreadExchangeStreamCaptureMode(&mode_); }

namespace {

CUresult CountBegin(CUresult result) {
  if (result == CUDA_SUCCESS) launch_words.active_captures.fetch_add(1, std::memory_order_relaxed);
  return result;
}

// An invalidated capture ends with an error and ends all the same.
CUresult CountEnd(CUresult result) {
  if (result == CUDA_SUCCESS || result == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED ||
      result == CUDA_ERROR_STREAM_CAPTURE_UNJOINED) {
    int seen = launch_words.active_captures.load(std::memory_order_relaxed);
    while (seen > 0 && !launch_words.active_captures.compare_exchange_weak(seen, seen - 1)) {
    }
  }
  return result;
}

// What a stream is given while it is captured for graphics (CIG) is run once by the graphics
// interface, where nobody charges it: it is charged as the launches that it looks like. Nothing can
// be measured there.
CUresult ChargeUnmeasured(CUresult result) {
  if (result == CUDA_SUCCESS) StopSampling();
  return result;
}

}  // namespace
}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

HAMI_EXPORT CUresult cuStreamBeginCapture(CUstream stream) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return CountBegin(cuda.cuStreamBeginCapture(stream));
}

HAMI_EXPORT CUresult cuStreamBeginCapture_ptsz(CUstream stream) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return CountBegin(cuda.cuStreamBeginCapture_ptsz(stream));
}

HAMI_EXPORT CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return CountBegin(cuda.cuStreamBeginCapture_v2(stream, mode));
}

HAMI_EXPORT CUresult cuStreamBeginCapture_v2_ptsz(CUstream stream, CUstreamCaptureMode mode) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return CountBegin(cuda.cuStreamBeginCapture_v2_ptsz(stream, mode));
}

HAMI_EXPORT CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph,
                                                 const CUgraphNode* dependencies,
                                                 const CUgraphEdgeData* edges, size_t count,
                                                 CUstreamCaptureMode mode) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return CountBegin(
      cuda.cuStreamBeginCaptureToGraph(stream, graph, dependencies, edges, count, mode));
}

HAMI_EXPORT CUresult cuStreamBeginCaptureToGraph_ptsz(CUstream stream, CUgraph graph,
                                                      const CUgraphNode* dependencies,
                                                      const CUgraphEdgeData* edges, size_t count,
                                                      CUstreamCaptureMode mode) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return CountBegin(
      cuda.cuStreamBeginCaptureToGraph_ptsz(stream, graph, dependencies, edges, count, mode));
}

HAMI_EXPORT CUresult cuStreamBeginRecaptureToGraph(CUstream stream, CUstreamCaptureMode mode,
                                                   CUgraph graph, CUgraphRecaptureCallback callback,
                                                   void* data) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return CountBegin(cuda.cuStreamBeginRecaptureToGraph(stream, mode, graph, callback, data));
}

HAMI_EXPORT CUresult cuStreamBeginRecaptureToGraph_ptsz(CUstream stream, CUstreamCaptureMode mode,
                                                        CUgraph graph,
                                                        CUgraphRecaptureCallback callback,
                                                        void* data) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return CountBegin(cuda.cuStreamBeginRecaptureToGraph_ptsz(stream, mode, graph, callback, data));
}

HAMI_EXPORT CUresult cuStreamBeginCaptureToCig(CUstream stream, CUstreamCigCaptureParams* params) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return ChargeUnmeasured(cuda.cuStreamBeginCaptureToCig(stream, params));
}

HAMI_EXPORT CUresult cuStreamBeginCaptureToCig_ptsz(CUstream stream,
                                                    CUstreamCigCaptureParams* params) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return ChargeUnmeasured(cuda.cuStreamBeginCaptureToCig_ptsz(stream, params));
}

HAMI_EXPORT CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return CountEnd(cuda.cuStreamEndCapture(stream, graph));
}

HAMI_EXPORT CUresult cuStreamEndCapture_ptsz(CUstream stream, CUgraph* graph) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return CountEnd(cuda.cuStreamEndCapture_ptsz(stream, graph));
}

}  // extern "C"
