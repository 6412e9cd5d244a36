// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as PTX text whose variables are counted. Good seeds: tests/golden/images. What must
// hold: no read outside, no hang, and another variable never makes the sum smaller.

#include <stdint.h>
#include <stdlib.h>

#include <cstddef>
#include <cstring>
#include <string>

#include "preload/ptx_size.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const char* text = reinterpret_cast<const char*>(data);
  const uint64_t behind = hami::preload::PtxVariableBytes(text, bytes);
  const std::string more = ".global .b8 first[4096];" + std::string(text, strnlen(text, bytes));
  const uint64_t sum = hami::preload::PtxVariableBytes(more.data(), more.size());
  if (sum < behind || sum < 4096) abort();
  return 0;
}
