// SPDX-License-Identifier: Apache-2.0

#include "preload/nvml_own.h"

#include <atomic>

#include "preload/process.h"
#include "region/ledger.h"
#include "region/slots.h"

namespace hami::preload {
namespace {

template <typename Value>
unsigned int ReadPid(Value& place) {
  return static_cast<unsigned int>(std::atomic_ref(place).load(std::memory_order_relaxed));
}

// Every slot of this container that has memory on the device; a process may have several, one in
// each share.
template <typename Visit>
void ForEachSlot(const Device& device, const Visit& visit) {
  const uint64_t here = region::ReadIdentity().pid_namespace;
  for (int p = 0; p < device.part_count; ++p) {
    const DevicePart& part = device.parts[p];
    api::Region& region = *part.share->mapping.region;
    const int slots = region::SlotsEverUsed(region.ext);
    for (int slot = 0; slot < slots; ++slot) {
      const uint64_t units = region::SlotUnits(region.ext, slot, part.index);
      if (units == 0) continue;
      api::SlotExtension& extension = region.ext.slots[slot];
      if (std::atomic_ref(extension.pid_namespace).load(std::memory_order_relaxed) != here)
        continue;
      visit(region.v1.processes[slot], units);
    }
  }
}

}  // namespace

OwnProcesses::OwnProcesses(Device& device) {
  Reclaim(device);
  ForEachSlot(device, [&](api::ProcessSlot& slot, uint64_t) {
    if (count_ == api::kMaxProcesses) return;
    processes_[count_++] = {ReadPid(slot.pid), ReadPid(slot.host_pid)};
  });
}

void OwnProcesses::Compare(unsigned int driver_pid, int* host, int* here) const {
  for (int i = 0; i < count_; ++i) {
    const Process& process = processes_[i];
    if (process.host_pid == 0 || process.host_pid == process.pid) continue;
    if (driver_pid == process.host_pid) ++*host;
    if (driver_pid == process.pid) ++*here;
  }
}

unsigned int OwnProcesses::Own(unsigned int driver_pid) const {
  if (driver_pid == 0) return 0;
  for (int i = 0; i < count_; ++i) {
    const Process& process = processes_[i];
    if (driver_pid == (driver_speaks_of_host_ ? process.host_pid : process.pid)) return process.pid;
  }
  return 0;
}

unsigned int OwnProcesses::ToDriver(unsigned int own_pid) const {
  for (int i = 0; i < count_; ++i) {
    const Process& process = processes_[i];
    if (process.pid != own_pid) continue;
    return driver_speaks_of_host_ ? process.host_pid : process.pid;
  }
  return 0;
}

unsigned int ListOwnProcesses(const Device& device, Listed* out, unsigned int room) {
  unsigned int count = 0;
  ForEachSlot(device, [&](api::ProcessSlot& slot, uint64_t units) {
    const unsigned int pid = ReadPid(slot.pid);
    const unsigned long long bytes = units * api::kChargeUnitBytes;
    unsigned int at = 0;
    while (at < count && at < room && out[at].pid != pid) ++at;
    if (at < count && at < room) {
      out[at].used_bytes += bytes;
    } else {
      if (count < room) out[count] = {pid, bytes};
      ++count;
    }
  });
  return count;
}

}  // namespace hami::preload
