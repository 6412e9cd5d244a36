// SPDX-License-Identifier: Apache-2.0
//
// Copies of blocks and sets, as calls and as nodes of graphs: how long they take, and what they do
// to memory.

#include <string.h>

#include "simgpu/cuda/arrays.h"
#include "simgpu/cuda/graphs.h"
#include "simgpu/cuda/memory.h"

namespace hami::simgpu::cuda {
namespace {

uint64_t BaseOf(const CopySide& side) {
  return side.type == MemoryType::kHost ? reinterpret_cast<uint64_t>(side.host) : side.device;
}

// Bytes from row to row and from slice to slice.
size_t PitchOf(const CopySide& side, const CopyParams& params) {
  return side.pitch != 0 ? side.pitch : params.width_bytes;
}
size_t SliceOf(const CopySide& side, const CopyParams& params) {
  return PitchOf(side, params) * (side.height != 0 ? side.height : params.height);
}

uint64_t RowOf(const CopySide& side, const CopyParams& params, size_t y, size_t z) {
  return BaseOf(side) + side.x_bytes + (side.y + y) * PitchOf(side, params) +
         (side.z + z) * SliceOf(side, params);
}

// Host memory is usable where a device's is asked for if the device sees it.
bool IsUsable(uint64_t address, uint64_t bytes, bool any_host) {
  if (IsDeviceAddress(address)) return IsBacked(address, bytes);
  return any_host ? address != 0 : FindHost(address) != nullptr;
}

CUresult CheckSide(const CopySide& given, const CopyParams& params) {
  CopySide side = {};
  const CUresult placed = PlaceSide(given, params, &side);
  if (placed != CUDA_SUCCESS) return placed;
  if (side.type < MemoryType::kHost || side.type > MemoryType::kUnified) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const bool several = params.height > 1 || params.depth > 1;
  if (several && PitchOf(side, params) < side.x_bytes + params.width_bytes) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (params.width_bytes == 0 || params.height == 0 || params.depth == 0) return CUDA_SUCCESS;
  const uint64_t first = RowOf(side, params, 0, 0);
  const uint64_t end =
      RowOf(side, params, params.height - 1, params.depth - 1) + params.width_bytes;
  if (end < first || !IsUsable(first, end - first, side.type == MemoryType::kHost)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

void MoveBytes(uint64_t to, uint64_t from, uint64_t bytes) {
  const bool to_device = IsDeviceAddress(to);
  const bool from_device = IsDeviceAddress(from);
  // Device memory may have been freed since the node was made.
  if (to_device && !IsBacked(to, bytes)) return;
  if (from_device && !IsBacked(from, bytes)) return;
  if (to_device && from_device) {
    CopyContent(to, from, bytes);
  } else if (to_device) {
    WriteContent(to, reinterpret_cast<const void*>(from), bytes);
  } else if (from_device) {
    ReadContent(from, reinterpret_cast<void*>(to), bytes);
  } else {
    memmove(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
  }
}

void FillRows(const SetParams& params) {
  const uint64_t bytes = params.width * params.element_bytes;
  for (size_t y = 0; y < params.height && bytes > 0; ++y) {
    const uint64_t row = params.address + y * params.pitch;
    if (IsDeviceAddress(row)) {
      if (!IsBacked(row, bytes)) continue;
      FillContent(row, params.value, params.element_bytes, params.width);
    } else if (FindHost(row) != nullptr) {
      for (uint64_t i = 0; i < params.width; ++i) {
        memcpy(reinterpret_cast<char*>(row) + i * params.element_bytes, &params.value,
               params.element_bytes);
      }
    }
  }
}

// A copy on the device takes all of the memory's bandwidth.
void SetWork(const Context& context, OpKind kind, WorkKind work, uint64_t bytes, Op* op) {
  *op = {};
  op->kind = kind;
  op->work = work;
  op->demand_q16 = 65536;
  op->ns = CopyNs(context, bytes, work);
}

bool IsOnDevice(const CopySide& side) {
  return side.type == MemoryType::kArray || IsDeviceAddress(BaseOf(side));
}

}  // namespace

void MoveRows(const CopyParams& params) {
  CopySide to = {};
  CopySide from = {};
  if (params.width_bytes == 0 || PlaceSide(params.to, params, &to) != CUDA_SUCCESS ||
      PlaceSide(params.from, params, &from) != CUDA_SUCCESS) {
    return;
  }
  for (size_t z = 0; z < params.depth; ++z) {
    for (size_t y = 0; y < params.height; ++y) {
      MoveBytes(RowOf(to, params, y, z), RowOf(from, params, y, z), params.width_bytes);
    }
  }
}

CUresult MakeCopyOp(const Context& context, const CopyParams& params, Op* op) {
  const CUresult to = CheckSide(params.to, params);
  if (to != CUDA_SUCCESS) return to;
  const CUresult from = CheckSide(params.from, params);
  if (from != CUDA_SUCCESS) return from;
  const WorkKind work = !IsOnDevice(params.to)     ? WorkKind::kCopyToHost
                        : !IsOnDevice(params.from) ? WorkKind::kCopyToDevice
                                                   : WorkKind::kKernel;
  SetWork(context, OpKind::kCopy, work, params.width_bytes * params.height * params.depth, op);
  return CUDA_SUCCESS;
}

CUresult MakeSetOp(const Context& context, const SetParams& params, Op* op) {
  const unsigned element = params.element_bytes;
  if (element != 1 && element != 2 && element != 4) return CUDA_ERROR_INVALID_VALUE;
  const uint64_t row = params.width * element;
  if (params.address % element != 0 || (params.height > 1 && params.pitch < row)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (row > 0 && params.height > 0 &&
      !IsUsable(params.address, (params.height - 1) * params.pitch + row, false)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  SetWork(context, OpKind::kSet, WorkKind::kKernel, row * params.height, op);
  return CUDA_SUCCESS;
}

void MoveContent(const Node& node) {
  if (!node.has_params) return;
  if (node.type == NodeType::kCopy) MoveRows(node.copy);
  if (node.type == NodeType::kSet) FillRows(node.set);
}

}  // namespace hami::simgpu::cuda
