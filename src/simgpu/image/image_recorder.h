// SPDX-License-Identifier: Apache-2.0
//
// For tests: what an image calls back with, as values that outlive the callbacks.

#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "simgpu/image/image.h"

namespace hami::simgpu {

struct RecordedKernel {
  std::vector<std::pair<uint32_t, uint32_t>> params;  // offset, bytes
  uint32_t param_bytes = 0;
  uint32_t registers = 0;
  uint32_t shared_bytes = 0;
  uint32_t max_threads = 0;
};

struct Recorder {
  std::map<std::string, RecordedKernel> kernels;
  std::map<std::string, uint64_t> globals;
  uint64_t device_bytes = 0;

  ImageVisitor Visitor() {
    return ImageVisitor{
        this,
        [](void* self, const ImageKernel& k) {
          RecordedKernel kernel{{}, k.param_bytes, k.registers, k.shared_bytes, k.max_threads};
          for (uint32_t i = 0; i < k.param_count; ++i) {
            kernel.params.emplace_back(k.params[i].offset, k.params[i].bytes);
          }
          static_cast<Recorder*>(self)->kernels[std::string(k.name, k.name_bytes)] = kernel;
        },
        [](void* self, const ImageGlobal& g) {
          static_cast<Recorder*>(self)->globals[std::string(g.name, g.name_bytes)] = g.bytes;
        }};
  }
};

}  // namespace hami::simgpu
