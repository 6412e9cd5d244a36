// SPDX-License-Identifier: Apache-2.0
//
// Streams and graphs.

#include "tests/tenant/families/calls.h"

namespace hami::families {
namespace {

constexpr int kFloats = 1 << 20;
constexpr size_t kBytes = sizeof(float) * kFloats;

// What the driver calls on a thread of its own: it leaves no line, for the order would be chance.
struct Calls {
  int made = 0;
  CUresult inside = CUDA_SUCCESS;
};
void CountCall(void* data) {
  auto* calls = static_cast<Calls*>(data);
  CUdeviceptr memory = 0;
  ++calls->made;
  calls->inside = Quiet("cuMemAlloc_v2", &memory, kMib);
}
void SayCalls(const Calls& calls) {
  Say("calls of the driver made: " + std::to_string(calls.made));
  Say("a call from inside", calls.inside);
}

CUevent NewEvent() {
  CUevent event = nullptr;
  Call("cuEventCreate", &event, 0U);
  return event;
}

void LaunchTimes(CUgraphExec exec, CUstream stream, int times) {
  for (int i = 0; i < times; ++i) Call("cuGraphLaunch", exec, stream);
  Call("cuStreamSynchronize", stream);
}

CUgraphExec Instantiate(CUgraph graph) {
  CUgraphExec exec = nullptr;
  Call("cuGraphInstantiateWithFlags", &exec, graph, 0ULL);
  return exec;
}

void GraphWithMemory(CUstream stream) {
  CUgraph graph = nullptr;
  CUgraphNode taken = nullptr;
  CUgraphNode given = nullptr;
  CUDA_MEM_ALLOC_NODE_PARAMS params = {};
  params.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  params.poolProps.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  params.bytesize = 64 * kMib;
  Call("cuGraphCreate", &graph, 0U);
  Call("cuGraphAddMemAllocNode", &taken, graph, static_cast<const CUgraphNode*>(nullptr), size_t{0},
       &params);
  Call("cuGraphAddMemFreeNode", &given, graph, static_cast<const CUgraphNode*>(&taken), size_t{1},
       params.dptr);
  CUgraphExec exec = Instantiate(graph);
  LaunchTimes(exec, stream, 2);
  Memory("with a graph's");
  Hold();
  Call("cuGraphExecDestroy", exec);
  Call("cuGraphDestroy", graph);
  Call("cuDeviceGraphMemTrim", CUdevice{0});
  Memory("trimmed");
}

void GraphWithHostNode(const Kernels& kernels, CUdeviceptr data, CUstream stream) {
  CUgraph graph = nullptr;
  Calls calls;
  void (*function)(void*) = CountCall;
  Call("cuStreamBeginCapture_v2", stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
  kernels.Fill(data, kFloats, stream);
  Call("cuLaunchHostFunc", stream, function, static_cast<void*>(&calls));
  kernels.Fill(data, kFloats, stream);
  Call("cuStreamEndCapture", stream, &graph);
  CUgraphExec exec = Instantiate(graph);
  LaunchTimes(exec, stream, 3);
  SayCalls(calls);
  // A graph that the device may launch has no host nodes.
  CUDA_GRAPH_INSTANTIATE_PARAMS params = {};
  params.flags = 4;
  CUgraphExec refused = nullptr;
  Call("cuGraphInstantiateWithParams", &refused, graph, &params);
  Say("result " + std::to_string(params.result_out));
  Call("cuGraphExecDestroy", exec);
  Call("cuGraphDestroy", graph);
}

}  // namespace

void Streams(const Kernels& kernels) {
  CUstream first = NewStream();
  CUstream second = nullptr;
  CUdeviceptr data[2] = {};
  void* host = nullptr;
  float ms = -1;
  int low = 0;
  int high = 0;
  Call("cuCtxGetStreamPriorityRange", &low, &high);
  Call("cuStreamCreateWithPriority", &second, 0U, high);
  kernels.Warm(first);
  for (CUdeviceptr& one : data) Call("cuMemAlloc_v2", &one, 64 * kMib);
  Call("cuMemAllocHost_v2", &host, kBytes);
  CUevent events[] = {NewEvent(), NewEvent(), NewEvent()};
  Call("cuMemsetD32_v2", data[1] + kBytes, 0U, size_t{1});
  Call("cuEventRecord", events[0], first);
  Call("cuMemsetD32Async", data[0], 0U, size_t{kFloats}, first);
  for (int i = 0; i < 20; ++i) kernels.Fill(data[0], kFloats, first);
  Call("cuEventRecord", events[1], first);
  Call("cuStreamWaitEvent", second, events[1], 0U);
  kernels.Add(data[0], data[1], kFloats, second);
  Call("cuMemcpyDtoHAsync_v2", host, data[1], kBytes, second);
  Call("cuStreamWaitValue32_v2", first, data[1] + kBytes, 7U, 1U);
  Call("cuStreamWriteValue32_v2", second, data[1] + kBytes, 7U, 0U);
  Call("cuEventRecord", events[2], first);
  Memory("with two allocations");
  Hold();
  Call("cuEventSynchronize", events[2]);
  Call("cuStreamSynchronize", second);
  Call("cuStreamQuery", second);
  Call("cuEventElapsedTime", &ms, events[0], events[2]);
  Say(std::string("took time: ") + (ms > 0 ? "yes" : "no"));
  Calls calls;
  void (*function)(void*) = CountCall;
  Call("cuLaunchHostFunc", first, function, static_cast<void*>(&calls));
  kernels.Fill(data[0], kFloats, first);
  Call("cuLaunchHostFunc", first, function, static_cast<void*>(&calls));
  Call("cuStreamSynchronize", first);
  SayCalls(calls);
  kernels.Fill(data[0], kFloats, HAMI_CU_STREAM_PER_THREAD);
  kernels.Fill(data[0], kFloats, HAMI_CU_STREAM_LEGACY);
  Call("cuStreamSynchronize", HAMI_CU_STREAM_PER_THREAD);
  kernels.Fill(data[0], kFloats, nullptr);
  for (CUevent event : events) Call("cuEventDestroy_v2", event);
  Call("cuMemFreeHost", host);
  for (const CUdeviceptr one : data) Call("cuMemFree_v2", one);
  Call("cuStreamDestroy_v2", second);
  Call("cuStreamDestroy_v2", first);
}

void Graphs(const Kernels& kernels) {
  CUstream stream = NewStream();
  CUdeviceptr data = 0;
  CUgraph graph = nullptr;
  size_t nodes = 0;
  kernels.Warm(stream);
  Call("cuMemAlloc_v2", &data, 64 * kMib);
  Call("cuStreamBeginCapture_v2", stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
  Call("cuMemsetD32Async", data, 0U, size_t{kFloats}, stream);
  kernels.Fill(data, kFloats, stream);
  kernels.Add(data, data + kBytes, kFloats, stream);
  Call("cuMemcpyDtoDAsync_v2", data + 2 * kBytes, data, kBytes, stream);
  Call("cuStreamEndCapture", stream, &graph);
  Call("cuGraphGetNodes", graph, static_cast<CUgraphNode*>(nullptr), &nodes);
  Say("nodes " + std::to_string(nodes));
  CUgraphExec exec = Instantiate(graph);
  Call("cuGraphUpload", exec, stream);
  LaunchTimes(exec, stream, 3);
  Memory("with one allocation");
  CUgraph outer = nullptr;
  CUgraph clone = nullptr;
  CUgraphNode child = nullptr;
  Call("cuGraphCreate", &outer, 0U);
  Call("cuGraphAddChildGraphNode", &child, outer, static_cast<const CUgraphNode*>(nullptr),
       size_t{0}, graph);
  CUgraphExec whole = Instantiate(outer);
  LaunchTimes(whole, stream, 2);
  Call("cuGraphClone", &clone, graph);
  Call("cuGraphDestroy", clone);
  Call("cuGraphExecDestroy", whole);
  Call("cuGraphDestroy", outer);
  Call("cuGraphExecDestroy", exec);
  Call("cuGraphDestroy", graph);
  GraphWithMemory(stream);
  GraphWithHostNode(kernels, data, stream);
  Call("cuMemFree_v2", data);
  Call("cuStreamDestroy_v2", stream);
}

}  // namespace hami::families
