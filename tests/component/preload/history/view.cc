// SPDX-License-Identifier: Apache-2.0

#include "tests/component/preload/history/view.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace hami::component {

View::View(const Simulation& simulation) {
  const std::string path = simulation.folder() + "/state";
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  void* mapped = mmap(nullptr, sizeof(simgpu::State), PROT_READ, MAP_SHARED, fd, 0);
  if (fd < 0 || mapped == MAP_FAILED) {
    std::perror(path.c_str());
    std::abort();
  }
  close(fd);
  state_ = static_cast<const simgpu::State*>(mapped);
}

View::~View() { munmap(const_cast<simgpu::State*>(state_), sizeof(simgpu::State)); }

uint64_t View::UsedBytes() const {
  uint64_t bytes = 0;
  const uint32_t clients = __atomic_load_n(&state_->clients_high, __ATOMIC_ACQUIRE);
  for (uint32_t i = 0; i < clients; ++i) {
    const simgpu::Client& client = state_->clients[i];
    if (__atomic_load_n(&client.in_use, __ATOMIC_ACQUIRE) == 0) continue;
    bytes += __atomic_load_n(&client.devices[0].used_bytes, __ATOMIC_ACQUIRE);
  }
  return bytes;
}

}  // namespace hami::component
