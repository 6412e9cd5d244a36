// SPDX-License-Identifier: Apache-2.0

#include "simgpu/state/pids.h"

#include "simgpu/state/os.h"

namespace hami::simgpu {
namespace {

// Finding a process means reading all of /proc. Guarded by the machine's lock.
struct Known {
  uint32_t pid_namespace;
  int inner_pid;
  int pid;
};
constexpr uint32_t kKnown = 64;
constinit Known known[kKnown] = {};
constinit uint32_t own_namespace = 0;

}  // namespace

int VisiblePid(const Client& client) {
  if (own_namespace == 0) own_namespace = os::PidNamespace(0);
  if (client.pid_namespace == 0 || client.pid_namespace == own_namespace) return client.host_pid;
  Known& entry = known[(client.pid_namespace ^ static_cast<uint32_t>(client.pid)) % kKnown];
  const bool fits = entry.pid_namespace == client.pid_namespace && entry.inner_pid == client.pid;
  // A process that has ended and whose PID was taken again is in another namespace, most likely, or
  // its client is freed before long.
  if (!fits || os::PidNamespace(entry.pid) != client.pid_namespace) {
    const int pid = os::FindProcess(client.pid_namespace, client.pid);
    if (pid == 0) return client.host_pid;
    entry = {client.pid_namespace, client.pid, pid};
  }
  return entry.pid;
}

}  // namespace hami::simgpu
