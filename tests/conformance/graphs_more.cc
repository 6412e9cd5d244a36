// SPDX-License-Identifier: Apache-2.0
//
// Rules of captures and graphs that are easy to get wrong, and what a stream does with work that is
// pending when something goes.

#include <thread>

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

CASE(capture_end_without_begin, "Driver API, cuStreamEndCapture: the stream must be capturing") {
  Start();
  CUgraph graph = nullptr;
  CUstream stream = NewStream(1);
  GIVES(CUDA_ERROR_ILLEGAL_STATE, "cuStreamEndCapture", stream, &graph);
  OK("cuStreamBeginCapture_v2", stream, 0);
  GIVES(CUDA_ERROR_ILLEGAL_STATE, "cuStreamBeginCapture_v2", stream, 0);
}

CASE(graph_numbers,
     "Driver API, cuGraphGetId, cuGraphNodeGetLocalId, cuGraphNodeGetContainingGraph") {
  Start();
  Symbol("cuGraphNodeGetLocalId");
  CUgraph graphs[2] = {};
  CUgraph of = nullptr;
  CUgraphNode nodes[3] = {};
  unsigned ids[2] = {};
  unsigned numbers[3] = {};
  unsigned again = 0;
  unsigned long long tools[3] = {};
  const CUgraphNode* const none = nullptr;
  for (int i = 0; i < 2; ++i) {
    OK("cuGraphCreate", &graphs[i], 0U);
    OK("cuGraphGetId", graphs[i], &ids[i]);
  }
  CHECK(ids[0] != ids[1]);
  for (int i = 0; i < 3; ++i) {
    OK("cuGraphAddEmptyNode", &nodes[i], graphs[i / 2], none, size_t{0});
    OK("cuGraphNodeGetLocalId", nodes[i], &numbers[i]);
    OK("cuGraphNodeGetToolsId", nodes[i], &tools[i]);
    OK("cuGraphNodeGetContainingGraph", nodes[i], &of);
    CHECK(of == graphs[i / 2]);
  }
  CHECK(numbers[0] != numbers[1]);
  CHECK(tools[0] != tools[1] && tools[1] != tools[2] && tools[0] != tools[2]);
  OK("cuGraphDestroyNode", nodes[0]);
  OK("cuGraphNodeGetLocalId", nodes[1], &again);
  CHECK(again == numbers[1]);
}

CASE(functions_count_parameters, "Driver API, cuFuncGetParamCount") {
  Start();
  const Spinner spinner;
  size_t count = 0;
  OK("cuFuncGetParamCount", spinner.function(), &count);
  CHECK(count == 1);
}

CASE(capture_wrong_thread, "Driver API, cuStreamEndCapture: same thread unless relaxed") {
  CUcontext context = Start();
  CUstream stream = NewStream(1);
  OK("cuStreamBeginCapture_v2", stream, 0);
  std::thread([&] {
    CUgraph graph = nullptr;
    OK("cuCtxSetCurrent", context);
    GIVES(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, "cuStreamEndCapture", stream, &graph);
  }).join();
}

CASE(capture_captured_event, "Programming Guide, Stream Capture: no query of a captured event") {
  Start();
  CUstream stream = NewStream(1);
  CUevent event = NewEvent();
  OK("cuStreamBeginCapture_v2", stream, 0);
  OK("cuEventRecord", event, stream);
  GIVES(CUDA_ERROR_CAPTURED_EVENT, "cuEventQuery", event);
  CUgraph graph = nullptr;
  GIVES(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "cuStreamEndCapture", stream, &graph);
}

CASE(capture_merge, "Programming Guide, Stream Capture: two captures must not be merged") {
  Start();
  CUstream a = NewStream(1);
  CUstream b = NewStream(1);
  CUevent event = NewEvent();
  CUgraph graph = nullptr;
  OK("cuStreamBeginCapture_v2", a, 0);
  OK("cuStreamBeginCapture_v2", b, 0);
  OK("cuEventRecord", event, a);
  GIVES(CUDA_ERROR_STREAM_CAPTURE_MERGE, "cuStreamWaitEvent", b, event, 0U);
  GIVES(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "cuStreamEndCapture", a, &graph);
  GIVES(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "cuStreamEndCapture", b, &graph);
}

CASE(capture_isolation, "Programming Guide, Stream Capture: no wait for what is not captured") {
  Start();
  CUstream a = NewStream(1);
  CUevent event = NewEvent();
  CUgraph graph = nullptr;
  OK("cuEventRecord", event, NewStream(1));
  OK("cuStreamBeginCapture_v2", a, 0);
  GIVES(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "cuStreamWaitEvent", a, event, 0U);
  GIVES(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "cuStreamEndCapture", a, &graph);
}

CASE(graphs_cycle, "Driver API, Graph Management, cuGraphInstantiate: no cycles") {
  Start();
  CUgraph graph = nullptr;
  CUgraphNode nodes[2] = {};
  CUgraphExec exec = nullptr;
  OK("cuGraphCreate", &graph, 0U);
  OK("cuGraphAddEmptyNode", &nodes[0], graph, static_cast<const CUgraphNode*>(nullptr), size_t{0});
  OK("cuGraphAddEmptyNode", &nodes[1], graph, static_cast<const CUgraphNode*>(&nodes[0]),
     size_t{1});
  const CUgraphNode* from = &nodes[1];
  const CUgraphNode* to = &nodes[0];
  const CUresult added = Cu("cuGraphAddDependencies", graph, from, to, size_t{1});
  CHECK(added != CUDA_SUCCESS ||
        Cu("cuGraphInstantiateWithFlags", &exec, graph, 0ULL) != CUDA_SUCCESS);
}

CASE(graphs_launches_in_order, "Driver API, cuGraphLaunch: one launch of an exec at a time") {
  Start();
  const Spinner spinner;
  CUstream a = NewStream(1);
  CUstream b = NewStream(1);
  CUgraph graph = nullptr;
  CUgraphExec exec = nullptr;
  OK("cuStreamBeginCapture_v2", a, 0);
  spinner.Launch(a, 40);
  OK("cuStreamEndCapture", a, &graph);
  OK("cuGraphInstantiateWithFlags", &exec, graph, 0ULL);
  CUevent first = NewEvent();
  CUevent second = NewEvent();
  OK("cuGraphLaunch", exec, a);
  OK("cuEventRecord", first, a);
  OK("cuGraphLaunch", exec, b);
  OK("cuEventRecord", second, b);
  OK("cuCtxSynchronize");
  CHECK(Milliseconds(first, second) > 20);
}

CASE(streams_destroyed_with_work, "Driver API, cuStreamDestroy: returns; its work is completed") {
  Start();
  const Spinner spinner;
  CUstream stream = NewStream(1);
  CUevent done = NewEvent();
  spinner.Launch(stream, 200);
  OK("cuEventRecord", done, stream);
  OK("cuStreamDestroy_v2", stream);
  GIVES(CUDA_ERROR_NOT_READY, "cuEventQuery", done);
  OK("cuEventSynchronize", done);
}

CASE(streams_legacy_query, "Programming Guide, Default Stream: legacy comes behind blocking work") {
  Start();
  const Spinner spinner;
  CUstream blocking = NewStream(0);
  spinner.Launch(blocking, 100);
  OK("cuStreamSynchronize", CUstream{nullptr});
  GIVES(CUDA_SUCCESS, "cuStreamQuery", blocking);
}

CASE(memory_free_waits, "Programming Guide, stream-ordered allocator: a plain free synchronises") {
  Start();
  const Spinner spinner;
  CUstream stream = NewStream(1);
  CUdeviceptr memory = 0;
  OK("cuMemAlloc_v2", &memory, 8 * kMib);
  spinner.Launch(stream, 100);
  OK("cuMemFree_v2", memory);
  GIVES(CUDA_SUCCESS, "cuStreamQuery", stream);
}

}  // namespace
}  // namespace hami::conformance
