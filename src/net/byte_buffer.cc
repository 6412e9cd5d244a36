// SPDX-License-Identifier: Apache-2.0

#include "net/byte_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace hami::net {

ByteBuffer::ByteBuffer(ByteBuffer&& other) noexcept
    : memory_(std::move(other.memory_)),
      capacity_(std::exchange(other.capacity_, 0)),
      begin_(std::exchange(other.begin_, 0)),
      end_(std::exchange(other.end_, 0)) {}

ByteBuffer& ByteBuffer::operator=(ByteBuffer&& other) noexcept {
  memory_ = std::move(other.memory_);
  capacity_ = std::exchange(other.capacity_, 0);
  begin_ = std::exchange(other.begin_, 0);
  end_ = std::exchange(other.end_, 0);
  return *this;
}

char* ByteBuffer::Prepare(size_t size) {
  const size_t held = end_ - begin_;
  if (capacity_ - end_ < size) {
    if (capacity_ - held >= size) {
      std::memmove(memory_.get(), memory_.get() + begin_, held);
    } else {
      // Twice as much each time: who sends byte by byte is not copied byte by byte.
      const size_t wanted = std::max(held + size, 2 * capacity_);
      auto larger = std::make_unique_for_overwrite<char[]>(wanted);
      if (held > 0) std::memcpy(larger.get(), memory_.get() + begin_, held);
      memory_ = std::move(larger);
      capacity_ = wanted;
    }
    begin_ = 0;
    end_ = held;
  }
  return memory_.get() + end_;
}

}  // namespace hami::net
