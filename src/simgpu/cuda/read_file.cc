// SPDX-License-Identifier: Apache-2.0

#include "simgpu/cuda/read_file.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "simgpu/cuda/core.h"

namespace hami::simgpu::cuda {

void* ReadFile(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return nullptr;
  size_t capacity = 1 << 16;
  size_t length = 0;
  char* text = static_cast<char*>(AllocateZeroed(capacity));
  ssize_t got = 0;
  while ((got = read(fd, text + length, capacity - length - 1)) > 0) {
    length += static_cast<size_t>(got);
    if (capacity - length > 1) continue;
    char* grown = static_cast<char*>(AllocateZeroed(capacity * 2));
    memcpy(grown, text, length);
    Deallocate(text);
    text = grown;
    capacity *= 2;
  }
  close(fd);
  if (got == 0) return text;
  Deallocate(text);
  return nullptr;
}

}  // namespace hami::simgpu::cuda
