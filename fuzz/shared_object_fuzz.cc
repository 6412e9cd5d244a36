// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a library of a driver's installation. What must hold: no read outside, no hang, and
// a soname that can be a file's name.

#include <stdint.h>
#include <stdlib.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "gpu/shared_object.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const auto source = [&](uint64_t offset, std::span<std::byte> out) -> size_t {
    if (offset >= bytes) return 0;
    const size_t count = std::min<size_t>(out.size(), bytes - static_cast<size_t>(offset));
    std::memcpy(out.data(), data + offset, count);
    return count;
  };
  const hami::Result<hami::gpu::SharedObject> object = hami::gpu::ParseSharedObject(source);
  if (object && (object->soname.size() > 255 || object->soname.find('/') != std::string::npos)) {
    abort();
  }
  return 0;
}
