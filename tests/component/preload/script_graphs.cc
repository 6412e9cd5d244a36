// SPDX-License-Identifier: Apache-2.0

#include <iostream>
#include <map>

#include "tests/component/preload/script.h"

namespace {

using Create = CUresult(CUgraph*, unsigned);
using Destroy = CUresult(CUgraph);
using AddAllocation = CUresult(CUgraphNode*, CUgraph, const CUgraphNode*, size_t,
                               CUDA_MEM_ALLOC_NODE_PARAMS*);
using AddFree = CUresult(CUgraphNode*, CUgraph, const CUgraphNode*, size_t, CUdeviceptr);
using MakeStream = CUresult(CUstream*, unsigned);
using EndStream = CUresult(CUstream);

struct Graph {
  CUgraph graph = nullptr;
  CUgraphNode last = nullptr;
};
std::map<std::string, Graph> graphs;
std::map<std::string, CUgraphExec> execs;
std::map<std::string, CUdeviceptr> memory;

// CUgraphNodeParams of an allocation.
struct AnyNode {
  int type = 10;
  int reserved[3] = {};
  CUDA_MEM_ALLOC_NODE_PARAMS params = {};
  unsigned char rest[232 - sizeof(CUDA_MEM_ALLOC_NODE_PARAMS)] = {};
  long long last = 0;
};
static_assert(sizeof(AnyNode) == 256);
using AddAny = CUresult(CUgraphNode*, CUgraph, const CUgraphNode*, size_t, AnyNode*);

CUresult AddNode(Graph& to, CUdeviceptr* address, size_t bytes, bool any) {
  CUDA_MEM_ALLOC_NODE_PARAMS params = {};
  params.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  params.poolProps.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  params.bytesize = bytes;
  const CUgraphNode before = to.last;
  if (any) {
    AnyNode node;
    node.params = params;
    const CUresult result = reinterpret_cast<AddAny*>(Look("cuGraphAddNode"))(
        &to.last, to.graph, &before, before != nullptr ? 1 : 0, &node);
    *address = node.params.dptr;
    return result;
  }
  const CUresult result = reinterpret_cast<AddAllocation*>(Look("cuGraphAddMemAllocNode"))(
      &to.last, to.graph, &before, before != nullptr ? 1 : 0, &params);
  *address = params.dptr;
  return result;
}

// Takes and frees memory in a captured stream.
CUresult Capture(CUgraph* graph, size_t bytes) {
  CUstream stream = nullptr;
  CUdeviceptr address = 0;
  CUresult result = reinterpret_cast<MakeStream*>(Look("cuStreamCreate"))(&stream, 1);
  if (result != CUDA_SUCCESS) return result;
  result = DRIVER(cuStreamBeginCapture_v2)(stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
  if (result == CUDA_SUCCESS) result = DRIVER(cuMemAllocAsync)(&address, bytes, stream);
  if (result == CUDA_SUCCESS) result = DRIVER(cuMemFreeAsync)(address, stream);
  const CUresult ended = DRIVER(cuStreamEndCapture)(stream, graph);
  reinterpret_cast<EndStream*>(Look("cuStreamDestroy_v2"))(stream);
  return result != CUDA_SUCCESS ? result : ended;
}

}  // namespace

bool DoGraphs(const std::string& verb, std::istringstream& words) {
  std::string name;
  std::string other;
  size_t bytes = 0;
  unsigned long long flags = 0;
  if (verb == "graph") {
    words >> name;
    graphs[name] = {};
    Answer(reinterpret_cast<Create*>(Look("cuGraphCreate"))(&graphs[name].graph, 0));
  } else if (verb == "ungraph") {
    words >> name;
    Answer(reinterpret_cast<Destroy*>(Look("cuGraphDestroy"))(graphs.at(name).graph));
  } else if (verb == "takes" || verb == "takesany") {
    words >> name >> other >> bytes;
    Answer(AddNode(graphs.at(name), &memory[other], bytes, verb == "takesany"));
  } else if (verb == "gives") {
    words >> name >> other;
    Graph& to = graphs.at(name);
    const CUgraphNode before = to.last;
    Answer(reinterpret_cast<AddFree*>(Look("cuGraphAddMemFreeNode"))(&to.last, to.graph, &before, 1,
                                                                     memory.at(other)));
  } else if (verb == "capture") {
    words >> name >> bytes;
    Answer(Capture(&graphs[name].graph, bytes));
  } else if (verb == "instantiate") {
    words >> name >> other >> flags;
    Answer(DRIVER(cuGraphInstantiateWithFlags)(&execs[name], graphs.at(other).graph, flags));
  } else if (verb == "launch") {
    words >> name;
    Answer(DRIVER(cuGraphLaunch)(execs.at(name), nullptr));
  } else if (verb == "upload") {
    words >> name;
    Answer(DRIVER(cuGraphUpload)(execs.at(name), nullptr));
  } else if (verb == "unexec") {
    words >> name;
    Answer(DRIVER(cuGraphExecDestroy)(execs.at(name)));
  } else if (verb == "trimgraphs") {
    Answer(DRIVER(cuDeviceGraphMemTrim)(0));
  } else if (verb == "graphfree") {
    words >> name;
    Answer(DRIVER(cuMemFreeAsync)(memory.at(name), nullptr));
  } else {
    return false;
  }
  return true;
}
