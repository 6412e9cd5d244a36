// SPDX-License-Identifier: Apache-2.0
//
// A hash that tells contents apart (builds of a library, files that were cut): FNV-1a, 64 bits. No
// protection against somebody who wants a collision.

#pragma once

#include <cstdint>
#include <string_view>

namespace hami::base {

constexpr uint64_t HashOf(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : bytes) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3U;
  }
  return hash;
}

}  // namespace hami::base
