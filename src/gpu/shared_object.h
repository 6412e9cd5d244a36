// SPDX-License-Identifier: Apache-2.0
//
// What a file says of itself as a shared library: its machine and its soname, which is the name
// that programs ask the dynamic linker for. A few bounded reads; a file that lies about itself is
// an error and nothing worse. Safe from any thread. Source: System V ABI, ELF-64.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/result.h"

namespace hami::gpu {

struct SharedObject {
  bool is_native = false;  // 64 bits, this program's machine; else nothing more was read
  std::string soname;      // empty: it has none
};

// Fills the bytes from `offset` on and returns how many there were.
using ByteSource = std::function<size_t(uint64_t offset, std::span<std::byte> bytes)>;

// kInvalidArgument: not a shared library, or not a whole one.
Result<SharedObject> ParseSharedObject(const ByteSource& source);

// The same of a file.
Result<SharedObject> ReadSharedObject(const std::string& path);

}  // namespace hami::gpu
