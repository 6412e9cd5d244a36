// SPDX-License-Identifier: Apache-2.0
//
// Stream capture and graphs.

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

CUgraphExec Instantiate(CUgraph graph) {
  CUgraphExec exec = nullptr;
  OK("cuGraphInstantiateWithFlags", &exec, graph, 0ULL);
  return exec;
}

CASE(capture_does_not_run, "Driver API, Streams, cuStreamBeginCapture: captured, not run") {
  Start();
  const Spinner spinner;
  CUstream stream = NewStream(1);
  CUgraph graph = nullptr;
  int status = -1;
  size_t nodes = 0;
  OK("cuStreamBeginCapture_v2", stream, 0);
  OK("cuStreamIsCapturing", stream, &status);
  CHECK(status == CU_STREAM_CAPTURE_STATUS_ACTIVE);
  spinner.Launch(stream, 50);
  spinner.Launch(stream, 50);
  OK("cuStreamEndCapture", stream, &graph);
  GIVES(CUDA_SUCCESS, "cuStreamQuery", stream);
  OK("cuGraphGetNodes", graph, static_cast<CUgraphNode*>(nullptr), &nodes);
  CHECK(nodes == 2);
  CUevent start = NewEvent();
  CUevent end = NewEvent();
  CUgraphExec exec = Instantiate(graph);
  OK("cuEventRecord", start, stream);
  OK("cuGraphLaunch", exec, stream);
  OK("cuEventRecord", end, stream);
  OK("cuStreamSynchronize", stream);
  CHECK(Milliseconds(start, end) > 50);  // both, one after the other
  OK("cuGraphExecDestroy", exec);
  OK("cuGraphDestroy", graph);
}

CASE(capture_forbids_synchronising, "Driver API, cuStreamSynchronize: not while capturing") {
  Start();
  CUstream stream = NewStream(1);
  CUgraph graph = nullptr;
  OK("cuStreamBeginCapture_v2", stream, 0);
  GIVES(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "cuStreamSynchronize", stream);
  GIVES(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "cuStreamEndCapture", stream, &graph);
  CHECK(graph == nullptr);
  OK("cuStreamSynchronize", stream);  // the stream is free again
}

CASE(capture_legacy_stream, "Driver API, cuStreamBeginCapture: not the legacy stream; IMPLICIT") {
  Start();
  const Spinner spinner;
  GIVES(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "cuStreamBeginCapture_v2", CUstream{nullptr}, 0);
  CUstream stream = NewStream(0);
  CUevent event = NewEvent();
  CUgraph graph = nullptr;
  OK("cuStreamBeginCapture_v2", stream, 2);
  GIVES(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "cuEventRecord", event, CUstream{nullptr});
  GIVES(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "cuStreamEndCapture", stream, &graph);
}

CASE(capture_unjoined, "Driver API, cuStreamEndCapture: forked streams must be joined: UNJOINED") {
  Start();
  const Spinner spinner;
  CUstream a = NewStream(1);
  CUstream b = NewStream(1);
  CUevent fork = NewEvent();
  CUevent join = NewEvent();
  CUgraph graph = nullptr;
  for (const bool joined : {true, false}) {
    OK("cuStreamBeginCapture_v2", a, 0);
    OK("cuEventRecord", fork, a);
    OK("cuStreamWaitEvent", b, fork, 0U);
    spinner.Launch(b, 1);
    if (joined) {
      OK("cuEventRecord", join, b);
      OK("cuStreamWaitEvent", a, join, 0U);
    }
    GIVES(joined ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "cuStreamEndCapture", a,
          &graph);
  }
}

CASE(capture_unsafe_call, "Driver API, cuThreadExchangeStreamCaptureMode: no cuMemAlloc") {
  Start();
  CUstream stream = NewStream(1);
  CUgraph graph = nullptr;
  CUdeviceptr memory = 0;
  OK("cuStreamBeginCapture_v2", stream, 2);  // relaxed
  OK("cuMemAlloc_v2", &memory, kMib);
  OK("cuStreamEndCapture", stream, &graph);
  OK("cuStreamBeginCapture_v2", stream, 0);  // global
  GIVES(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "cuMemAlloc_v2", &memory, kMib);
}

CASE(graphs_clone_and_empty, "Driver API, Graph Management, cuGraphCreate, AddEmptyNode, Clone") {
  Start();
  CUgraph graph = nullptr;
  CUgraph clone = nullptr;
  CUgraphNode first = nullptr;
  CUgraphNode second = nullptr;
  size_t count = 0;
  OK("cuGraphCreate", &graph, 0U);
  OK("cuGraphAddEmptyNode", &first, graph, static_cast<const CUgraphNode*>(nullptr), size_t{0});
  OK("cuGraphAddEmptyNode", &second, graph, static_cast<const CUgraphNode*>(&first), size_t{1});
  OK("cuGraphClone", &clone, graph);
  OK("cuGraphDestroy", graph);
  OK("cuGraphGetNodes", clone, static_cast<CUgraphNode*>(nullptr), &count);
  CHECK(count == 2);
  OK("cuGraphLaunch", Instantiate(clone), NewStream(1));
  OK("cuCtxSynchronize");
}

CASE(capture_again,
     "Driver API, cuStreamBeginRecaptureToGraph: the same topology, new parameters") {
  Start();
  const Spinner spinner;
  CUstream stream = NewStream(1);
  CUgraph graph = nullptr;
  CUgraph again = nullptr;
  size_t nodes = 0;
  Symbol("cuStreamBeginRecaptureToGraph");
  OK("cuStreamBeginCapture_v2", stream, 2);
  spinner.Launch(stream, 5);
  spinner.Launch(stream, 5);
  OK("cuStreamEndCapture", stream, &graph);
  OK("cuStreamBeginRecaptureToGraph", stream, 2, graph, CUgraphRecaptureCallback{nullptr},
     static_cast<void*>(nullptr));
  spinner.Launch(stream, 40);
  spinner.Launch(stream, 40);
  OK("cuStreamEndCapture", stream, &again);
  CHECK(again == graph);
  OK("cuGraphGetNodes", graph, static_cast<CUgraphNode*>(nullptr), &nodes);
  CHECK(nodes == 2);
  CUevent start = NewEvent();
  CUevent end = NewEvent();
  CUgraphExec exec = Instantiate(graph);
  OK("cuEventRecord", start, stream);
  OK("cuGraphLaunch", exec, stream);
  OK("cuEventRecord", end, stream);
  OK("cuStreamSynchronize", stream);
  CHECK(Milliseconds(start, end) > 40);
  // Fewer nodes than the graph has.
  OK("cuStreamBeginRecaptureToGraph", stream, 2, graph, CUgraphRecaptureCallback{nullptr},
     static_cast<void*>(nullptr));
  spinner.Launch(stream, 5);
  GIVES(CUDA_ERROR_GRAPH_RECAPTURE_FAILURE, "cuStreamEndCapture", stream, &again);
}

}  // namespace
}  // namespace hami::conformance
