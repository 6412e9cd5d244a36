// SPDX-License-Identifier: Apache-2.0
//
// Graphs. A graph owns its nodes, a node knows what it depends on. An executable graph is a private
// copy of a graph with the order in which its operations are queued. All belong to the process, not
// to a context; whatever they name of a context (events, memory) is looked up anew at the launch.
//
// What is simplified: a launch queues the operations one after the other on the stream's lane, so
// parallel branches do not overlap; nodes of other contexts run in the stream's context; memory
// changes when the operation is queued, as everywhere in this driver.

#pragma once

#include "simgpu/cuda/streams.h"

namespace hami::simgpu::cuda {

struct Function;
struct Graph;
struct GraphAllocation;

// The vendor's CUgraphNodeType.
enum class NodeType : uint32_t {
  kKernel = 0,
  kCopy = 1,
  kSet = 2,
  kHost = 3,
  kGraph = 4,
  kEmpty = 5,
  kWait = 6,
  kRecord = 7,
  kAllocate = 10,
  kFree = 11,
};

// CUDA_KERNEL_NODE_PARAMS: the first version ends before `kernel`.
struct KernelNodeParamsV1 {
  CUfunction function;
  unsigned grid[3];
  unsigned block[3];
  unsigned shared_bytes;
  void** params;
  void** extra;
};
struct KernelNodeParams : KernelNodeParamsV1 {
  CUkernel kernel;
  CUcontext context;
};
static_assert(sizeof(KernelNodeParamsV1) == 56 && sizeof(KernelNodeParams) == 72);

// CUmemorytype.
enum class MemoryType : uint32_t { kHost = 1, kDevice = 2, kArray = 3, kUnified = 4 };

// One side of CUDA_MEMCPY3D, which names the source first.
struct CopySide {
  size_t x_bytes;
  size_t y;
  size_t z;
  size_t level;
  MemoryType type;
  void* host;
  CUdeviceptr device;
  CUarray array;
  void* reserved;
  size_t pitch;
  size_t height;
};
struct CopyParams {
  CopySide from;
  CopySide to;
  size_t width_bytes;
  size_t height;
  size_t depth;
};
static_assert(sizeof(CopyParams) == 200);

// CUDA_MEMSET_NODE_PARAMS, first version.
struct SetParams {
  CUdeviceptr address;
  size_t pitch;
  unsigned value;
  unsigned element_bytes;
  size_t width;
  size_t height;
};
static_assert(sizeof(SetParams) == 40);

// CUDA_HOST_NODE_PARAMS; the second version goes on with how to wait and a preferred context.
struct HostNodeParams {
  void (*function)(void*);
  void* data;
};

struct NodeList {
  Node** items;
  uint32_t count;
  uint32_t capacity;
};
void Append(NodeList& list, Node* node);
bool Contains(const NodeList& list, const Node* node);
bool Remove(NodeList& list, const Node* node);  // keeps the order
void CopyList(NodeList& to, const NodeList& from);
void Free(NodeList& list);

// The values of a kernel's parameters, as the program gave them.
struct KernelArgs {
  uint32_t count;
  uint32_t bytes;
  char* data;
  void** pointers;  // into data
};

struct Node : Object {
  static constexpr Kind kKind = Kind::kNode;
  Graph* graph;
  uint32_t index;   // in the graph
  uint32_t cursor;  // of a walk
  uint64_t mark;    // of the newest walk that came by
  uint64_t id;
  uint64_t original;  // id of the node that this one was copied from
  NodeList dependencies;
  NodeType type;
  bool disabled;    // in an executable graph
  bool has_params;  // of a copy or a set
  Op op;
  Context* context;  // of a kernel, as a handle
  KernelArgs args;
  CopyParams copy;
  SetParams set;
  Graph* child;             // owned
  GraphAllocation* memory;  // that the node takes or gives back; a reference
};

struct Graph : Object {
  static constexpr Kind kKind = Kind::kGraph;
  NodeList nodes;  // as they were added
  uint64_t id;
  uint64_t original;  // id of the graph that this one was cloned from
  uint32_t captures;  // going on into it
  bool owned;         // by a node or an executable graph: not the program's to destroy
};

struct Exec : Object {
  static constexpr Kind kKind = Kind::kExec;
  Graph* graph;    // the private copy
  NodeList order;  // with the nodes of child graphs in their place
  uint64_t flags;
  uint32_t launches;  // going on: these keep a destroyed one in memory
  bool destroyed;
  Event last;  // where the newest launch ends; no handle
};

Graph* NewGraph();
void DestroyGraph(Graph* graph);
// A copy; its nodes have the same places.
Graph* CloneGraph(const Graph& graph);
Node* NewNode(Graph* graph, NodeType type);
void DestroyNode(Node* node);
// What the node does, without its place in the graph.
void CopyPayload(Node* to, const Node& from);
void CopyArgs(KernelArgs* to, const KernelArgs& from);
void FreeArgs(KernelArgs* args);

// Appends the nodes, each behind what it depends on, those of child graphs behind their node.
// False: there is a cycle through *bad.
bool AppendInOrder(Graph* graph, NodeList* order, Node** bad);
// Numbers for Node::mark that no walk has used: the result and the next one.
uint64_t NextMark();
// Marks the nodes and whatever they depend on.
void MarkAncestors(const NodeList& nodes, uint64_t mark);

// The nodes that handles name, all of one graph and different. INVALID_VALUE otherwise.
CUresult ReadNodes(const Graph* graph, const CUgraphNode* handles, size_t count, NodeList* nodes);
// Edges carry no data here: what is asked for must be nothing.
CUresult CheckEdgeData(const CUgraphEdgeData* data, size_t count);

// graph_nodes.cc. Shared with executable graphs and captures.
KernelArgs MakeArgs(const Function& function, void** params, void** extra);
CUresult SetKernel(Entry& entry, Node* node, const KernelNodeParamsV1* params, bool second);
CUresult SetCopy(Entry& entry, Node* node, const CopyParams* params, CUcontext context);
CUresult SetSet(Entry& entry, Node* node, const SetParams* params, CUcontext context);
CUresult SetEvent(Node* node, CUevent handle);
CUresult SetHost(Node* node, const void* params);  // host_functions.cc
// graph_exec.cc.
void DestroyExec(Exec* exec);
CUresult LaunchExec(Entry& entry, Exec* exec, Stream* stream);
// What a copy or set node does to memory (graph_memory.cc). Moving leaves out what is gone by then.
CUresult MakeCopyOp(const Context& context, const CopyParams& params, Op* op);
CUresult MakeSetOp(const Context& context, const SetParams& params, Op* op);
void MoveRows(const CopyParams& params);
void MoveContent(const Node& node);

}  // namespace hami::simgpu::cuda
