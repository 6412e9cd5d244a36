// SPDX-License-Identifier: Apache-2.0
//
// Functions of the program that streams and graphs call.

#include <pthread.h>
#include <unistd.h>

#include <atomic>

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

using HostFunction = void (*)(void* data);
using StreamCallback = void (*)(CUstream stream, CUresult status, void* data);

// CUDA_HOST_NODE_PARAMS.
struct HostNodeParams {
  HostFunction function;
  void* data;
};

struct Count {
  std::atomic<int> calls = 0;
  pthread_t thread = {};
};

void CountOne(void* data) {
  auto* count = static_cast<Count*>(data);
  count->thread = pthread_self();
  ++count->calls;
}

void CountTen(void* data) { static_cast<Count*>(data)->calls += 10; }

void TakeLong(void* data) {
  usleep(100'000);
  CountOne(data);
}

CUresult LaunchHost(CUstream stream, HostFunction function, void* data) {
  return Cu("cuLaunchHostFunc", stream, function, data);
}

CUgraphExec Instantiate(CUgraph graph) {
  CUgraphExec exec = nullptr;
  OK("cuGraphInstantiateWithFlags", &exec, graph, 0ULL);
  return exec;
}

CASE(host_functions_in_order, "Driver API, cuLaunchHostFunc: after the work before it") {
  Start();
  const Spinner spinner;
  CUstream stream = NewStream(1);
  Count count;
  spinner.Launch(stream, 100);
  CHECK(LaunchHost(stream, CountOne, &count) == CUDA_SUCCESS);
  CHECK(count.calls == 0);
  OK("cuStreamSynchronize", stream);
  CHECK(count.calls == 1);
  CHECK(pthread_equal(count.thread, pthread_self()) == 0);
  CHECK(LaunchHost(stream, nullptr, &count) == CUDA_ERROR_INVALID_VALUE);
}

CASE(host_functions_hold_the_stream,
     "Driver API, cuLaunchHostFunc: blocks what is queued in the stream after it") {
  Start();
  const Spinner spinner;
  CUstream stream = NewStream(1);
  CUstream other = NewStream(1);
  CUevent before = NewEvent();
  CUevent after = NewEvent();
  Count count;
  OK("cuEventRecord", before, stream);
  CHECK(LaunchHost(stream, TakeLong, &count) == CUDA_SUCCESS);
  OK("cuEventRecord", after, stream);
  GIVES(CUDA_ERROR_NOT_READY, "cuEventQuery", after);
  spinner.Launch(other, 1);
  OK("cuStreamSynchronize", other);  // goes on meanwhile
  CHECK(count.calls == 0);
  OK("cuEventSynchronize", after);
  CHECK(count.calls == 1);
  CHECK(Milliseconds(before, after) >= 95);
  for (int i = 0; i < 300; ++i) CHECK(LaunchHost(stream, CountOne, &count) == CUDA_SUCCESS);
  OK("cuCtxSynchronize");
  CHECK(count.calls == 301);
}

struct Inside {
  CUresult allocated = CUDA_SUCCESS;
  CUresult synchronised = CUDA_SUCCESS;
};

CASE(host_functions_make_no_calls,
     "Driver API, cuLaunchHostFunc: calls from inside give CUDA_ERROR_NOT_PERMITTED") {
  Start();
  CUstream stream = NewStream(1);
  Inside inside;
  const HostFunction function = [](void* data) {
    CUdeviceptr memory = 0;
    auto* made = static_cast<Inside*>(data);
    made->allocated = Cu("cuMemAlloc_v2", &memory, kMib);
    made->synchronised = Cu("cuCtxSynchronize");
  };
  CHECK(LaunchHost(stream, function, &inside) == CUDA_SUCCESS);
  OK("cuStreamSynchronize", stream);
  CHECK(inside.allocated == CUDA_ERROR_NOT_PERMITTED);
  CHECK(inside.synchronised == CUDA_ERROR_NOT_PERMITTED);
}

struct Called {
  std::atomic<int> calls = 0;
  CUstream stream = nullptr;
  CUresult status = CUDA_ERROR_UNKNOWN;
};

CASE(host_callbacks, "Driver API, cuStreamAddCallback: the stream and its status; not captured") {
  Start();
  const Spinner spinner;
  CUstream stream = NewStream(1);
  Called called;
  const StreamCallback callback = [](CUstream of, CUresult status, void* data) {
    auto* seen = static_cast<Called*>(data);
    seen->stream = of;
    seen->status = status;
    ++seen->calls;
  };
  spinner.Launch(stream, 20);
  OK("cuStreamAddCallback", stream, callback, static_cast<void*>(&called), 0U);
  OK("cuStreamSynchronize", stream);
  CHECK(called.calls == 1 && called.stream == stream && called.status == CUDA_SUCCESS);
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuStreamAddCallback", stream, callback,
        static_cast<void*>(&called), 1U);
  CUgraph graph = nullptr;
  OK("cuStreamBeginCapture_v2", stream, 2);
  CHECK(Cu("cuStreamAddCallback", stream, callback, static_cast<void*>(&called), 0U) !=
        CUDA_SUCCESS);
  CHECK(Cu("cuStreamEndCapture", stream, &graph) != CUDA_SUCCESS);
}

CASE(graphs_host_nodes, "Driver API, cuGraphAddHostNode, cuGraphHostNodeGetParams, SetParams") {
  Start();
  CUstream stream = NewStream(1);
  CUgraph graph = nullptr;
  CUgraphNode node = nullptr;
  Count count;
  HostNodeParams params = {CountOne, &count};
  HostNodeParams read = {};
  OK("cuGraphCreate", &graph, 0U);
  OK("cuGraphAddHostNode", &node, graph, static_cast<const CUgraphNode*>(nullptr), size_t{0},
     static_cast<const HostNodeParams*>(&params));
  OK("cuGraphHostNodeGetParams", node, &read);
  CHECK(read.function == CountOne && read.data == &count);
  CUgraphExec exec = Instantiate(graph);
  for (int i = 0; i < 3; ++i) OK("cuGraphLaunch", exec, stream);
  OK("cuStreamSynchronize", stream);
  CHECK(count.calls == 3);
  params.function = CountTen;
  OK("cuGraphExecHostNodeSetParams", exec, node, static_cast<const HostNodeParams*>(&params));
  OK("cuGraphLaunch", exec, stream);
  OK("cuStreamSynchronize", stream);
  CHECK(count.calls == 13);
  OK("cuGraphHostNodeSetParams", node, static_cast<const HostNodeParams*>(&params));
  OK("cuGraphHostNodeGetParams", node, &read);
  CHECK(read.function == CountTen);
}

CASE(graphs_captured_host_functions, "Driver API, cuLaunchHostFunc: captured it becomes a node") {
  Start();
  const Spinner spinner;
  CUstream stream = NewStream(1);
  CUgraph graph = nullptr;
  CUgraphNode nodes[2] = {};
  size_t count_of_nodes = 2;
  int type = -1;
  Count count;
  OK("cuStreamBeginCapture_v2", stream, 2);
  spinner.Launch(stream, 20);
  CHECK(LaunchHost(stream, CountOne, &count) == CUDA_SUCCESS);
  OK("cuStreamEndCapture", stream, &graph);
  OK("cuGraphGetNodes", graph, static_cast<CUgraphNode*>(nodes), &count_of_nodes);
  CHECK(count_of_nodes == 2);
  OK("cuGraphNodeGetType", nodes[1], &type);
  CHECK(type == 3);  // CU_GRAPH_NODE_TYPE_HOST
  CUgraphExec exec = Instantiate(graph);
  OK("cuGraphLaunch", exec, stream);
  CHECK(count.calls == 0);
  OK("cuGraphLaunch", exec, stream);
  OK("cuStreamSynchronize", stream);
  CHECK(count.calls == 2);
}

CUgraphInstantiateResult InstantiateForDevice(CUgraph graph, unsigned long long more,
                                              CUgraphExec* exec, CUgraphNode* bad) {
  constexpr unsigned long long kDeviceLaunch = 4;
  CUDA_GRAPH_INSTANTIATE_PARAMS params = {};
  params.flags = kDeviceLaunch | more;
  const CUresult result = Cu("cuGraphInstantiateWithParams", exec, graph, &params);
  CHECK((result == CUDA_SUCCESS) == (params.result_out == CUDA_GRAPH_INSTANTIATE_SUCCESS));
  *bad = params.hErrNode_out;
  return params.result_out;
}

CASE(graphs_for_device_launch,
     "Driver API, cuGraphInstantiateWithParams: CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH") {
  Start();
  const Spinner spinner;
  CUstream stream = NewStream(1);
  CUgraph graph = nullptr;
  CUgraphExec exec = nullptr;
  CUgraphNode bad = nullptr;
  CUgraphNode host = nullptr;
  Count count;
  const HostNodeParams params = {CountOne, &count};
  OK("cuGraphCreate", &graph, 0U);
  CHECK(InstantiateForDevice(graph, 0, &exec, &bad) != CUDA_GRAPH_INSTANTIATE_SUCCESS);  // empty
  OK("cuStreamBeginCapture_v2", stream, 2);
  spinner.Launch(stream, 20);
  OK("cuStreamEndCapture", stream, &graph);
  constexpr unsigned long long kAutoFree = 1;
  CHECK(InstantiateForDevice(graph, kAutoFree, &exec, &bad) == CUDA_GRAPH_INSTANTIATE_ERROR);
  CHECK(InstantiateForDevice(graph, 0, &exec, &bad) == CUDA_GRAPH_INSTANTIATE_SUCCESS);
  OK("cuGraphUpload", exec, stream);
  OK("cuGraphLaunch", exec, stream);
  OK("cuStreamSynchronize", stream);
  OK("cuGraphExecDestroy", exec);
  OK("cuGraphAddHostNode", &host, graph, static_cast<const CUgraphNode*>(nullptr), size_t{0},
     &params);
  CHECK(InstantiateForDevice(graph, 0, &exec, &bad) ==
        CUDA_GRAPH_INSTANTIATE_NODE_OPERATION_NOT_SUPPORTED);
  CHECK(bad == host);
}

}  // namespace
}  // namespace hami::conformance
