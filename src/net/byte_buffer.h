// SPDX-License-Identifier: Apache-2.0
//
// Bytes that came and wait to be understood: written behind, taken in front. What is taken stays
// where it is until the next Prepare. One owner at a time.

#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace hami::net {

class ByteBuffer {
 public:
  ByteBuffer() = default;
  ByteBuffer(ByteBuffer&& other) noexcept;
  ByteBuffer& operator=(ByteBuffer&& other) noexcept;
  ByteBuffer(const ByteBuffer&) = delete;
  ByteBuffer& operator=(const ByteBuffer&) = delete;

  std::string_view bytes() const { return {memory_.get() + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }
  size_t capacity() const { return capacity_; }

  // Room for `size` more bytes behind; ends all views.
  char* Prepare(size_t size);
  // So many of them were written.
  void Commit(size_t size) { end_ += size; }
  // So many in front are done with.
  void Consume(size_t size) { begin_ += size; }

 private:
  std::unique_ptr<char[]> memory_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace hami::net
