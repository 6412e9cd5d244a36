// SPDX-License-Identifier: Apache-2.0

#include "preload/graph_memory.h"

#include <bit>

#include "preload/driver.h"
#include "preload/lock.h"
#include "preload/log.h"
#include "preload/process.h"
#include "preload/table.h"
#include "region/os.h"

namespace hami::preload {

constinit std::atomic<int> memory_graph_count = 0;

namespace {

using region::ChargeKind;

// What the nodes of an executable graph ask for. A graph with nodes on several devices, which
// nobody has seen yet, promises the sum on each.
struct GraphEntry {
  uint64_t key;  // the executable graph
  uint64_t ordinals;
  uint64_t bytes;
};
constinit Table<GraphEntry> graphs;

// Graph memory of one device in this process.
struct GraphPool {
  SpinLock lock;
  uint64_t charged_bytes = 0;
  uint64_t promised_bytes = 0;
};
constinit GraphPool graph_pools[kMaxOrdinals] = {};

constexpr uint64_t kUploadFlag = 2;  // CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD
constexpr int kMaxDepth = 8;         // of child graphs

uint64_t KeyOf(CUgraphExec exec) { return reinterpret_cast<uint64_t>(exec); }

template <typename Visit>
void ForEachOrdinal(uint64_t ordinals, const Visit& visit) {
  for (; ordinals != 0; ordinals &= ordinals - 1) visit(std::countr_zero(ordinals));
}

uint64_t ReadAttribute(int ordinal, CUgraphMem_attribute attribute) {
  cuuint64_t bytes = 0;
  return cuda.cuDeviceGetGraphMemAttribute(ordinal, attribute, &bytes) == CUDA_SUCCESS ? bytes : 0;
}

// ---- what a graph asks for

void AddNode(CUgraphNode node, GraphEntry* sum) {
  CUDA_MEM_ALLOC_NODE_PARAMS params = {};
  if (cuda.cuGraphMemAllocNodeGetParams(node, &params) != CUDA_SUCCESS) return;
  const int ordinal = params.poolProps.location.id;
  const Device* device = DeviceOfOrdinal(ordinal);
  if (params.poolProps.location.type != CU_MEM_LOCATION_TYPE_DEVICE || device == nullptr) return;
  const uint64_t page = device->page_bytes;
  const uint64_t bytes = params.bytesize > UINT64_MAX / 2
                             ? UINT64_MAX / 2
                             : (params.bytesize + page - 1) / page * page;
  sum->ordinals |= uint64_t{1} << ordinal;
  if (__builtin_add_overflow(sum->bytes, bytes, &sum->bytes)) sum->bytes = UINT64_MAX;
}

void AddGraph(CUgraph graph, int depth, GraphEntry* sum);

void AddNodes(const CUgraphNode* nodes, size_t count, int depth, GraphEntry* sum) {
  for (size_t i = 0; i < count; ++i) {
    CUgraphNodeType type;
    CUgraph child = nullptr;
    if (cuda.cuGraphNodeGetType(nodes[i], &type) != CUDA_SUCCESS) continue;
    if (type == CU_GRAPH_NODE_TYPE_MEM_ALLOC) AddNode(nodes[i], sum);
    if (type == CU_GRAPH_NODE_TYPE_GRAPH &&
        cuda.cuGraphChildGraphNodeGetGraph(nodes[i], &child) == CUDA_SUCCESS) {
      AddGraph(child, depth + 1, sum);
    }
  }
}

void AddGraph(CUgraph graph, int depth, GraphEntry* sum) {
  constexpr size_t kFew = 64;
  CUgraphNode few[kFew];
  size_t count = 0;
  if (depth > kMaxDepth || cuda.cuGraphGetNodes(graph, nullptr, &count) != CUDA_SUCCESS) return;
  if (count <= kFew) {
    if (cuda.cuGraphGetNodes(graph, few, &count) == CUDA_SUCCESS) {
      AddNodes(few, count, depth, sum);
    }
    return;
  }
  const size_t room_bytes = count * sizeof(CUgraphNode);
  auto* many = static_cast<CUgraphNode*>(os::MapAnonymous(room_bytes));
  if (many == nullptr) {
    Log(LogLevel::kWarning,
        "no memory to look at a graph of %u nodes: what it allocates is charged "
        "after the fact",
        count);
    return;
  }
  if (cuda.cuGraphGetNodes(graph, many, &count) == CUDA_SUCCESS) {
    AddNodes(many, count, depth, sum);
  }
  os::Unmap(many, room_bytes);
}

// ---- charging

// The pool's lock is held.
void Settle(Device& device, int ordinal, GraphPool& pool) {
  const uint64_t reserved = ReadAttribute(ordinal, CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT);
  const uint64_t wanted =
      ReadAttribute(ordinal, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT) + pool.promised_bytes;
  const uint64_t held = pool.promised_bytes > 0 && wanted > reserved ? wanted : reserved;
  if (held > pool.charged_bytes) {
    ChargeAnyway(device, held - pool.charged_bytes, ChargeKind::kData);
  } else if (held < pool.charged_bytes) {
    Refund(device, pool.charged_bytes - held, ChargeKind::kData);
  }
  pool.charged_bytes = held;
}

// No lock is held while the charge is made, because before a refusal the pools are settled.
bool PromiseOn(int ordinal, uint64_t bytes) {
  Device* device = DeviceOfOrdinal(ordinal);
  if (device == nullptr) return true;
  GraphPool& pool = graph_pools[ordinal];
  uint64_t more = 0;
  {
    const SpinLock::Holder holder(pool.lock);
    const uint64_t used = ReadAttribute(ordinal, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT);
    uint64_t wanted = 0;
    if (__builtin_add_overflow(used + pool.promised_bytes, bytes, &wanted)) return false;
    more = wanted > pool.charged_bytes ? wanted - pool.charged_bytes : 0;
    pool.charged_bytes += more;
    pool.promised_bytes += bytes;
  }
  if (more == 0 || Charge(*device, more, ChargeKind::kData)) return true;
  const SpinLock::Holder holder(pool.lock);
  pool.charged_bytes -= more;
  pool.promised_bytes -= bytes;
  return false;
}

void EndOn(int ordinal, uint64_t bytes) {
  Device* device = DeviceOfOrdinal(ordinal);
  if (device == nullptr) return;
  GraphPool& pool = graph_pools[ordinal];
  const SpinLock::Holder holder(pool.lock);
  pool.promised_bytes -= bytes;
  Settle(*device, ordinal, pool);
}

bool Promise(const GraphEntry& entry, GraphPromise* promise) {
  *promise = {0, entry.bytes};
  bool room = true;
  ForEachOrdinal(entry.ordinals, [&](int ordinal) {
    room = room && PromiseOn(ordinal, entry.bytes);
    if (room) promise->ordinals |= uint64_t{1} << ordinal;
  });
  if (!room) EndPromise(*promise);
  return room;
}

// `upload`: the call takes the graph's memory at once.
template <typename Create>
CUresult Instantiate(CUgraphExec* exec, CUgraph graph, bool upload, const Create& create) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const Mode mode = EnterCuda();
  if (mode != Mode::kLimit || exec == nullptr || !DriverHas(HookId::k_cuDeviceGraphMemTrim))
    return create();
  GraphEntry entry = {0, 0, 0};
  AddGraph(graph, 0, &entry);
  if (entry.ordinals == 0) return create();
  FollowLimits();
  GraphPromise promise;
  if (upload && !Promise(entry, &promise)) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = create();
  EndPromise(promise);
  if (result != CUDA_SUCCESS) return result;
  entry.key = KeyOf(*exec);
  if (graphs.Insert(entry)) {
    memory_graph_count.fetch_add(1, std::memory_order_release);
    return CUDA_SUCCESS;
  }
  cuda.cuGraphExecDestroy(*exec);
  return CUDA_ERROR_OUT_OF_MEMORY;
}

}  // namespace

bool PromiseLaunch(CUgraphExec exec, GraphPromise* promise) {
  GraphEntry entry;
  if (!graphs.Find(KeyOf(exec), &entry)) return true;
  FollowLimits();
  return Promise(entry, promise);
}

void EndPromise(const GraphPromise& promise) {
  ForEachOrdinal(promise.ordinals, [&](int ordinal) { EndOn(ordinal, promise.bytes); });
}

bool ReconcileGraphMemory(Device& device) {
  bool gave_back = false;
  for (int ordinal = 0; ordinal < kMaxOrdinals && DeviceOfOrdinal(ordinal) != nullptr; ++ordinal) {
    GraphPool& pool = graph_pools[ordinal];
    if (DeviceOfOrdinal(ordinal) != &device) continue;
    const SpinLock::Holder holder(pool.lock);
    if (pool.charged_bytes == 0) continue;
    const uint64_t before = pool.charged_bytes;
    Settle(device, ordinal, pool);
    gave_back = gave_back || pool.charged_bytes < before;
  }
  return gave_back;
}

void ResetGraphMemoryAfterFork() {
  graphs.ResetAfterFork();
  memory_graph_count.store(0, std::memory_order_relaxed);
  for (GraphPool& pool : graph_pools) {
    pool.lock.ResetAfterFork();
    pool.charged_bytes = 0;
    pool.promised_bytes = 0;
  }
}

GraphEnd BeginGraphEnd(CUgraphExec exec) {
  GraphEnd end = {};
  GraphEntry entry;
  if (graphs.Take(KeyOf(exec), &entry)) end = {true, entry.ordinals, entry.bytes};
  return end;
}

void FinishGraphEnd(CUgraphExec exec, const GraphEnd& end, bool destroyed) {
  if (!end.known) return;
  if (destroyed) {
    memory_graph_count.fetch_sub(1, std::memory_order_release);
  } else {
    graphs.Insert({KeyOf(exec), end.ordinals, end.bytes});
  }
}

}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

HAMI_EXPORT CUresult cuGraphInstantiate(CUgraphExec* exec, CUgraph graph, CUgraphNode* error_node,
                                        char* log, size_t log_bytes) {
  return Instantiate(exec, graph, false, [=] {
    return cuda.cuGraphInstantiate(exec, graph, error_node, log, log_bytes);
  });
}

HAMI_EXPORT CUresult cuGraphInstantiate_v2(CUgraphExec* exec, CUgraph graph,
                                           CUgraphNode* error_node, char* log, size_t log_bytes) {
  return Instantiate(exec, graph, false, [=] {
    return cuda.cuGraphInstantiate_v2(exec, graph, error_node, log, log_bytes);
  });
}

HAMI_EXPORT CUresult cuGraphInstantiateWithFlags(CUgraphExec* exec, CUgraph graph,
                                                 unsigned long long flags) {
  return Instantiate(exec, graph, false,
                     [=] { return cuda.cuGraphInstantiateWithFlags(exec, graph, flags); });
}

HAMI_EXPORT CUresult cuGraphInstantiateWithParams(CUgraphExec* exec, CUgraph graph,
                                                  CUDA_GRAPH_INSTANTIATE_PARAMS* params) {
  return Instantiate(exec, graph, params != nullptr && (params->flags & kUploadFlag) != 0,
                     [=] { return cuda.cuGraphInstantiateWithParams(exec, graph, params); });
}

HAMI_EXPORT CUresult cuGraphInstantiateWithParams_ptsz(CUgraphExec* exec, CUgraph graph,
                                                       CUDA_GRAPH_INSTANTIATE_PARAMS* params) {
  return Instantiate(exec, graph, params != nullptr && (params->flags & kUploadFlag) != 0,
                     [=] { return cuda.cuGraphInstantiateWithParams_ptsz(exec, graph, params); });
}

HAMI_EXPORT CUresult cuGraphUpload(CUgraphExec exec, CUstream stream) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return WithGraphMemory(exec, [=] { return cuda.cuGraphUpload(exec, stream); });
}

HAMI_EXPORT CUresult cuGraphUpload_ptsz(CUgraphExec exec, CUstream stream) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return WithGraphMemory(exec, [=] { return cuda.cuGraphUpload_ptsz(exec, stream); });
}

HAMI_EXPORT CUresult cuDeviceGraphMemTrim(CUdevice ordinal) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  const CUresult result = cuda.cuDeviceGraphMemTrim(ordinal);
  Device* device = EnterCuda() == Mode::kLimit ? DeviceOfOrdinal(ordinal) : nullptr;
  if (device != nullptr) ReconcileGraphMemory(*device);
  return result;
}

}  // extern "C"
