// SPDX-License-Identifier: Apache-2.0
//
// Temporary memory of one parse: anonymous pages, zeroed, returned when the owner goes. Not malloc,
// so that a program's own allocator sees nothing of a module load but what the driver would do.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

namespace hami::simgpu {

class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { Release(); }

  // In place of what it had. False when the system has no memory.
  [[nodiscard]] bool Allocate(size_t bytes) {
    Release();
    if (bytes == 0) bytes = 1;
    void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) return false;
    data_ = data;
    size_ = bytes;
    return true;
  }

  void* data() const { return data_; }
  template <typename T>
  T* As() const {
    return static_cast<T*>(data_);
  }

 private:
  void Release() {
    if (data_ != nullptr) munmap(data_, size_);
    data_ = nullptr;
  }

  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace hami::simgpu
