// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a GPU code image. Good seeds: tests/golden/images. What must hold: no read outside,
// no hang, and everything that a callback is given can be read.

#include <stdint.h>

#include <cstddef>
#include <initializer_list>

#include "simgpu/image/image.h"

namespace {

uint64_t g_sum = 0;  // read by nobody; keeps the reads

void Touch(const char* name, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes; ++i) g_sum += static_cast<unsigned char>(name[i]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  using hami::simgpu::ImageGlobal;
  using hami::simgpu::ImageKernel;
  const hami::simgpu::ImageVisitor visitor = {
      nullptr,
      [](void*, const ImageKernel& kernel) {
        Touch(kernel.name, kernel.name_bytes);
        for (uint32_t i = 0; i < kernel.param_count; ++i) g_sum += kernel.params[i].bytes;
      },
      [](void*, const ImageGlobal& global) { Touch(global.name, global.name_bytes); }};
  for (const int sm : {75, 86, 90}) {
    uint64_t device_bytes = 0;
    hami::simgpu::ParseImageBytes(data, bytes, sm, visitor, &device_bytes);
  }
  return 0;
}
