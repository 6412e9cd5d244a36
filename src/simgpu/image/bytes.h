// SPDX-License-Identifier: Apache-2.0
//
// A stretch of memory that nobody trusts: every read says where it reads and fails outside.
// Values are copied out once, so that an image changed meanwhile cannot pass a check and then lie.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <string_view>

namespace hami::simgpu {

class Bytes {
 public:
  constexpr Bytes() = default;
  constexpr Bytes(const void* data, uint64_t size)
      : data_(static_cast<const uint8_t*>(data)), size_(size) {}

  const uint8_t* data() const { return data_; }
  uint64_t size() const { return size_; }

  bool Contains(uint64_t offset, uint64_t bytes) const {
    return offset <= size_ && bytes <= size_ - offset;
  }

  template <typename T>
  [[nodiscard]] bool Read(uint64_t offset, T* out) const {
    if (!Contains(offset, sizeof(T))) return false;
    memcpy(out, data_ + offset, sizeof(T));
    return true;
  }

  [[nodiscard]] bool Slice(uint64_t offset, uint64_t bytes, Bytes* out) const {
    if (!Contains(offset, bytes)) return false;
    *out = Bytes(data_ + offset, bytes);
    return true;
  }

  // The string that starts at `offset`; fails when it does not end inside.
  [[nodiscard]] bool Text(uint64_t offset, std::string_view* out) const {
    if (offset >= size_) return false;
    const void* end = memchr(data_ + offset, 0, size_ - offset);
    if (end == nullptr) return false;
    const char* start = reinterpret_cast<const char*>(data_ + offset);
    *out = std::string_view(start, static_cast<const char*>(end) - start);
    return true;
  }

 private:
  const uint8_t* data_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace hami::simgpu
