// SPDX-License-Identifier: Apache-2.0

#include "simgpu/cuda/graph_allocations.h"

#include "api/cuda/functions.h"
#include "simgpu/cuda/capture.h"
#include "simgpu/cuda/graph_nodes.h"
#include "simgpu/cuda/memory.h"
#include "simgpu/cuda/small_chunk.h"

namespace hami::simgpu::cuda {

struct GraphAllocation {
  Allocation allocation;  // first: the address map points here
  CUmemPoolProps props;
  uint32_t references;
  bool in_use;  // its memory is taken; counts as a reference
};

namespace {

constexpr uint64_t kPageBytes = 2 * kMib;  // assumed

struct DeviceMemory {
  uint64_t used;
  uint64_t used_high;
  uint64_t reserved;
  uint64_t reserved_high;
};
DeviceMemory devices[kMaxDevices];

void RaiseHighs(DeviceMemory& memory) {
  if (memory.used > memory.used_high) memory.used_high = memory.used;
  if (memory.reserved > memory.reserved_high) memory.reserved_high = memory.reserved;
}

bool Reserve(uint32_t device, uint64_t bytes) {
  DeviceMemory& memory = devices[device];
  if (bytes > memory.reserved) {
    if (!TakePhysical(device, bytes - memory.reserved)) return false;
    memory.reserved = bytes;
    RaiseHighs(memory);
  }
  return true;
}

void Trim(uint32_t device) {
  DeviceMemory& memory = devices[device];
  if (memory.reserved == memory.used) return;
  GivePhysical(device, memory.reserved - memory.used);
  memory.reserved = memory.used;
}

void Use(GraphAllocation* memory) {
  memory->in_use = true;
  ++memory->references;
  DeviceMemory& of = devices[memory->allocation.device];
  of.used += memory->allocation.physical_bytes;
  RaiseHighs(of);
}

void Unuse(GraphAllocation* memory) {
  memory->in_use = false;
  devices[memory->allocation.device].used -= memory->allocation.physical_bytes;
  Drop(memory);
}

GraphAllocation* FindGraphAllocation(uint64_t address) {
  Allocation* entered = FindEntered(address);
  if (entered == nullptr || entered->kind != MemoryKind::kGraph || entered->base != address) {
    return nullptr;
  }
  return reinterpret_cast<GraphAllocation*>(entered);
}

CUresult Make(const CUmemPoolProps& props, uint32_t device, uint64_t bytes, GraphAllocation** out) {
  if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  if (bytes > UsableBytes(ConfigOf(device))) return CUDA_ERROR_OUT_OF_MEMORY;
  const uint64_t physical = RoundUp(bytes, kPageBytes);
  const uint64_t base = ReserveAddresses(physical);
  if (base == 0) return CUDA_ERROR_OUT_OF_MEMORY;
  auto* made = static_cast<GraphAllocation*>(AllocateZeroed(sizeof(GraphAllocation)));
  made->allocation.base = base;
  made->allocation.bytes = bytes;
  made->allocation.physical_bytes = physical;
  made->allocation.device = device;
  made->allocation.kind = MemoryKind::kGraph;
  made->props = props;
  EnterAllocation(&made->allocation);
  *out = made;
  return CUDA_SUCCESS;
}

// What a walk over the nodes in their order does to the memory in use.
struct Walk {
  uint64_t used[kMaxDevices] = {};
  uint64_t peak[kMaxDevices] = {};
};

// Without changing anything. INVALID_VALUE: something that is in use would be allocated again, or
// something free be freed.
CUresult Simulate(const Exec& exec, Walk* walk) {
  constexpr uint64_t kAutoFree = 1;  // CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH
  const bool free_first = (exec.flags & kAutoFree) != 0;
  for (uint32_t i = 0; i < kMaxDevices; ++i) walk->used[i] = devices[i].used;
  for (uint32_t i = 0; free_first && i < exec.order.count; ++i) {
    const Node& node = *exec.order.items[i];
    if (node.type != NodeType::kAllocate || !node.memory->in_use) continue;
    walk->used[node.memory->allocation.device] -= node.memory->allocation.physical_bytes;
  }
  for (uint32_t i = 0; i < kMaxDevices; ++i) walk->peak[i] = walk->used[i];
  for (uint32_t i = 0; i < exec.order.count; ++i) {
    const Node& node = *exec.order.items[i];
    if (node.memory == nullptr) continue;
    const Allocation& allocation = node.memory->allocation;
    if (node.type == NodeType::kFree) {
      walk->used[allocation.device] -= allocation.physical_bytes;
      continue;
    }
    if (node.memory->in_use && !free_first) return CUDA_ERROR_INVALID_VALUE;
    uint64_t& used = walk->used[allocation.device];
    used += allocation.physical_bytes;
    if (used > walk->peak[allocation.device]) walk->peak[allocation.device] = used;
  }
  return CUDA_SUCCESS;
}

CUresult ReservePeak(const Walk& walk) {
  for (uint32_t i = 0; i < process.machine.state->config.device_count; ++i) {
    if (!Reserve(i, walk.peak[i])) return CUDA_ERROR_OUT_OF_MEMORY;
  }
  return CUDA_SUCCESS;
}

void Describe(const GraphAllocation& memory, CUDA_MEM_ALLOC_NODE_PARAMS* params) {
  params->poolProps = memory.props;
  params->accessDescs = nullptr;
  params->accessDescCount = 0;
  params->bytesize = memory.allocation.bytes;
  params->dptr = memory.allocation.base;
}

CUmemPoolProps PropsOn(CUdevice ordinal) {
  CUmemPoolProps props = {};
  props.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  props.location = {CU_MEM_LOCATION_TYPE_DEVICE, ordinal};
  return props;
}

uint64_t* FieldOf(DeviceMemory& memory, CUgraphMem_attribute attribute) {
  switch (attribute) {
    case CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT:
      return &memory.used;
    case CU_GRAPH_MEM_ATTR_USED_MEM_HIGH:
      return &memory.used_high;
    case CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT:
      return &memory.reserved;
    case CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH:
      return &memory.reserved_high;
  }
  return nullptr;
}

}  // namespace

GraphAllocation* Keep(GraphAllocation* memory) {
  ++memory->references;
  return memory;
}

void Drop(GraphAllocation* memory) {
  if (--memory->references > 0) return;
  RemoveAllocation(&memory->allocation);
  ReleaseAddresses(memory->allocation.base, memory->allocation.physical_bytes);
  Deallocate(memory);
}

bool HasMemoryNodes(const Graph& graph) {
  for (uint32_t i = 0; i < graph.nodes.count; ++i) {
    if (graph.nodes.items[i]->memory != nullptr) return true;
  }
  return false;
}

bool IsInstantiated(const Graph& graph) {
  for (const Object* at = process.contexts; at != nullptr; at = at->next) {
    if (at->kind == Kind::kExec && reinterpret_cast<const Exec*>(at)->graph->original == graph.id) {
      return true;
    }
  }
  return false;
}

CUresult PrepareGraphMemory(const Exec& exec) {
  Walk walk;
  const CUresult result = Simulate(exec, &walk);
  // What cannot be launched now may well be prepared.
  return result == CUDA_SUCCESS ? ReservePeak(walk) : CUDA_SUCCESS;
}

CUresult TakeGraphMemory(const Exec& exec) {
  if (!HasMemoryNodes(*exec.graph)) return CUDA_SUCCESS;
  Walk walk;
  CUresult result = Simulate(exec, &walk);
  if (result == CUDA_SUCCESS) result = ReservePeak(walk);
  if (result != CUDA_SUCCESS) return result;
  for (uint32_t i = 0; i < exec.order.count; ++i) {
    const Node& node = *exec.order.items[i];
    if (node.type == NodeType::kAllocate && node.memory->in_use) Unuse(node.memory);
  }
  for (uint32_t i = 0; i < exec.order.count; ++i) {
    const Node& node = *exec.order.items[i];
    if (node.type == NodeType::kAllocate) Use(node.memory);
    if (node.type == NodeType::kFree && node.memory->in_use) Unuse(node.memory);
  }
  return CUDA_SUCCESS;
}

bool FreeGraphMemory(uint64_t address, CUresult* result) {
  GraphAllocation* memory = FindGraphAllocation(address);
  if (memory == nullptr) return false;
  *result = memory->in_use ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  if (memory->in_use) Unuse(memory);
  return true;
}

void ReleaseGraphMemory(Context* context) {
  ForEachEntry(context, [](Context* owner, Allocation* allocation, SmallChunk*) {
    if (allocation == nullptr || allocation->kind != MemoryKind::kGraph) return;
    auto* memory = reinterpret_cast<GraphAllocation*>(allocation);
    if (allocation->device == owner->device && memory->in_use) Unuse(memory);
  });
  Trim(context->device);
}

CUresult CaptureAllocation(Stream& stream, uint32_t device, uint64_t bytes, CUdeviceptr* address) {
  GraphAllocation* memory = nullptr;
  CUresult result = Make(PropsOn(stream.owner->ordinal), device, bytes, &memory);
  if (result != CUDA_SUCCESS) return result;
  Node* node = nullptr;
  Keep(memory);
  result = CaptureNode(stream, NodeType::kAllocate, &node);
  if (result == CUDA_SUCCESS) {
    node->memory = Keep(memory);
    *address = memory->allocation.base;
  }
  Drop(memory);
  return result;
}

CUresult CaptureFree(Stream& stream, CUdeviceptr address) {
  GraphAllocation* memory = FindGraphAllocation(address);
  if (memory == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Node* node = nullptr;
  const CUresult result = CaptureNode(stream, NodeType::kFree, &node);
  if (result == CUDA_SUCCESS) node->memory = Keep(memory);
  return result;
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuGraphAddMemAllocNode(PLACE_PARAMETERS, CUDA_MEM_ALLOC_NODE_PARAMS* params) {
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUmemPoolProps& props = params->poolProps;
  if (props.allocType != CU_MEM_ALLOCATION_TYPE_PINNED ||
      props.handleTypes != CU_MEM_HANDLE_TYPE_NONE ||
      props.location.type != CU_MEM_LOCATION_TYPE_DEVICE) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  return Add(PLACE, NodeType::kAllocate, [&](Entry&, Node* node) {
    uint32_t device = 0;
    if (!FindDevice(props.location.id, &device)) return CUDA_ERROR_INVALID_VALUE;
    GraphAllocation* memory = nullptr;
    const CUresult result = Make(props, device, params->bytesize, &memory);
    if (result != CUDA_SUCCESS) return result;
    node->memory = Keep(memory);
    params->dptr = memory->allocation.base;
    return CUDA_SUCCESS;
  });
}
HAMI_SIM_API CUresult cuGraphMemAllocNodeGetParams(CUgraphNode handle,
                                                   CUDA_MEM_ALLOC_NODE_PARAMS* params) {
  return With(handle, NodeType::kAllocate, [&](Entry&, Node* node) {
    if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
    Describe(*node->memory, params);
    return CUDA_SUCCESS;
  });
}
HAMI_SIM_API CUresult cuGraphAddMemFreeNode(PLACE_PARAMETERS, CUdeviceptr address) {
  return Add(PLACE, NodeType::kFree, [&](Entry&, Node* node) {
    GraphAllocation* memory = FindGraphAllocation(address);
    if (memory == nullptr) return CUDA_ERROR_INVALID_VALUE;
    node->memory = Keep(memory);
    return CUDA_SUCCESS;
  });
}
HAMI_SIM_API CUresult cuGraphMemFreeNodeGetParams(CUgraphNode handle, CUdeviceptr* address) {
  return With(handle, NodeType::kFree, [&](Entry&, Node* node) {
    if (address == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *address = node->memory->allocation.base;
    return CUDA_SUCCESS;
  });
}

HAMI_SIM_API CUresult cuDeviceGraphMemTrim(CUdevice ordinal) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  Trim(device);
  return CUDA_SUCCESS;
}
HAMI_SIM_API CUresult cuDeviceGetGraphMemAttribute(CUdevice ordinal, CUgraphMem_attribute attribute,
                                                   void* value) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  const uint64_t* field = FieldOf(devices[device], attribute);
  if (field == nullptr || value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *static_cast<cuuint64_t*>(value) = *field;
  return CUDA_SUCCESS;
}
// The marks of the highest values can be set, to 0 alone.
HAMI_SIM_API CUresult cuDeviceSetGraphMemAttribute(CUdevice ordinal, CUgraphMem_attribute attribute,
                                                   void* value) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  const bool is_high = attribute == CU_GRAPH_MEM_ATTR_USED_MEM_HIGH ||
                       attribute == CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH;
  if (!is_high || value == nullptr || *static_cast<cuuint64_t*>(value) != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  *FieldOf(devices[device], attribute) = 0;
  RaiseHighs(devices[device]);
  return CUDA_SUCCESS;
}
