// SPDX-License-Identifier: Apache-2.0
//
// Which of the processes that the driver lists belong to this container, and what they are called
// here.
//
// Whether the driver speaks of PIDs of the host or of the caller's namespace depends on its version
// and on how the container was made. The agent writes into the region what our processes are called
// on the host; which of the two kinds the driver's list has more of tells what it speaks of. Where
// no agent is, its PIDs are taken for those of the caller's namespace.

#pragma once

#include "preload/devices.h"

namespace hami::preload {

class OwnProcesses {
 public:
  // The processes of this container that hold memory on the device. Dead ones are looked for first.
  explicit OwnProcesses(Device& device);

  // All PIDs of a list of the driver's; Own and ToDriver are valid afterwards.
  template <typename Item, typename PidOf>
  void Learn(const Item* items, unsigned int count, const PidOf& pid_of) {
    int host = 0;
    int here = 0;
    for (unsigned int i = 0; i < count; ++i) Compare(pid_of(items[i]), &host, &here);
    driver_speaks_of_host_ = host > here;
  }

  unsigned int Own(unsigned int driver_pid) const;    // 0: not one of ours
  unsigned int ToDriver(unsigned int own_pid) const;  // 0: not one of ours, or not known

 private:
  struct Process {
    unsigned int pid;
    unsigned int host_pid;  // 0: not known
  };

  void Compare(unsigned int driver_pid, int* host, int* here) const;

  Process processes_[api::kMaxProcesses];
  int count_ = 0;
  bool driver_speaks_of_host_ = false;
};

struct Listed {
  unsigned int pid;
  unsigned long long used_bytes;
};

// The processes of this container that hold memory on a device, the parts of several shares added
// up. Returns how many there are; fills at most `room`.
unsigned int ListOwnProcesses(const Device& device, Listed* out, unsigned int room);

}  // namespace hami::preload
