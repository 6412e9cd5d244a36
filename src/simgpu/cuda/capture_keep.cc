// SPDX-License-Identifier: Apache-2.0
//
// What a captured node is besides an operation that takes time: its content, its parameters.

#include "simgpu/cuda/capture.h"
#include "simgpu/cuda/memory.h"

namespace hami::simgpu::cuda {
namespace {

// The node that was captured last is the stream's only leaf.
Node* NewestOf(const Stream& stream, NodeType type) {
  if (stream.capture == nullptr || stream.capture->invalidated) return nullptr;
  const NodeList& leaves = ParticipantOf(stream)->leaves;
  if (leaves.count != 1 || leaves.items[0]->type != type) return nullptr;
  return leaves.items[0];
}

CopySide SideAt(uint64_t address) {
  CopySide side = {};
  side.type = IsDeviceAddress(address) ? MemoryType::kDevice : MemoryType::kHost;
  if (side.type == MemoryType::kDevice) {
    side.device = address;
  } else {
    side.host = reinterpret_cast<void*>(address);
  }
  return side;
}

}  // namespace

void KeepBlock(Stream& stream, const CopyParams& params) {
  Node* node = NewestOf(stream, NodeType::kCopy);
  if (node == nullptr) return;
  node->copy = params;
  node->has_params = true;
}

void KeepCopy(Stream& stream, uint64_t to, uint64_t from, uint64_t bytes) {
  KeepBlock(stream, {SideAt(from), SideAt(to), bytes, 1, 1});
}

void KeepSet(Stream& stream, uint64_t to, uint32_t pattern, uint32_t width, uint64_t count) {
  Node* node = NewestOf(stream, NodeType::kSet);
  if (node == nullptr) return;
  node->set = {to, 0, pattern, width, count, 1};
  node->has_params = true;
}

void KeepArgs(Stream& stream, void** params, void** extra) {
  Node* node = NewestOf(stream, NodeType::kKernel);
  if (node == nullptr) return;
  FreeArgs(&node->args);
  node->args = MakeArgs(*node->op.launch.function, params, extra);
}

}  // namespace hami::simgpu::cuda
