// SPDX-License-Identifier: Apache-2.0

#include "simgpu/state/create.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "simgpu/state/layout.h"
#include "simgpu/state/os.h"

namespace hami::simgpu {

int CreateState(const char* path, const MachineConfig& config) {
  if (config.device_count > kMaxDevices || config.kernel_rule_count > kMaxKernelRules) {
    return EINVAL;
  }
  const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return errno;
  State* state = nullptr;
  if (fchmod(fd, 0666) == 0 && ftruncate(fd, sizeof(State)) == 0) {
    state = static_cast<State*>(os::MapShared(fd, sizeof(State)));
  }
  const int error = errno;
  close(fd);
  if (state == nullptr) {
    unlink(path);
    return error;
  }
  state->version = kStateVersion;
  state->bytes = sizeof(State);
  state->created_ns = os::NowNs();
  state->created_wall_us = os::WallUs();
  state->config = config;
  for (Device& device : state->devices) {
    device.now_ns = state->created_ns;
    device.current = -1;
  }
  __atomic_store_n(&state->magic, kStateMagic, __ATOMIC_RELEASE);
  os::Unmap(state, sizeof(State));
  return 0;
}

}  // namespace hami::simgpu
