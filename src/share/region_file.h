// SPDX-License-Identifier: Apache-2.0
//
// A share's region as its agent and other runs see it. The tenant can write every byte and cut the
// file at any moment, which would end a process that has it mapped (SIGBUS). So nothing is mapped
// here: every look is a bounded read of a copy, every change one aligned write of a word, and the
// reaper, which needs a mapping, runs in a child (ReapDeadSlots).
//
// What is read are claims. A PID in a slot is the tenant's word until somebody has compared it with
// the process tree (agent.h).

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/region/region.h"
#include "base/fd.h"
#include "base/result.h"
#include "region/mapping.h"

namespace hami::share {

struct SlotView {
  int slot = 0;
  int pid = 0;       // as the process sees itself
  int host_pid = 0;  // 0: not known
  bool alive = false;
  uint64_t charged_bytes[api::kMaxDevices] = {};
  uint64_t charged_gpu_ns[api::kMaxDevices] = {};
};

struct DeviceView {
  uint64_t charged_bytes = 0;  // sum of all slots, dead ones included until they are reaped
  uint64_t charged_gpu_ns = 0;
  uint64_t throttled_ns = 0;
  uint64_t refused = 0;
};

class RegionFile {
 public:
  // Makes a complete region, for a new share.
  static Status Create(const std::string& path);
  static Result<RegionFile> Open(const std::string& path);
  // To look only: needs no right to write and waits for nobody.
  static Result<RegionFile> OpenToRead(const std::string& path);

  // Slots that are not free.
  Result<std::vector<SlotView>> ReadSlots() const;
  Result<DeviceView> ReadDevice(int device) const;

  Status WriteDriverBytes(int slot, int device, uint64_t bytes) const;
  Status WriteHidden(int device, uint64_t bytes) const;
  Status WriteCostScale(int device, uint32_t scale_q16) const;
  // nullopt: not known.
  Status WriteNeighbourBusy(int device, std::optional<uint32_t> busy_pct) const;

  // Gives a file that was cut short its length again, and its pages with it: a process that has it
  // mapped ends at a page that is not there. What was counted there is gone.
  Status RestoreLength() const;

  // Whether a process holds the slot's lock; nothing that a tenant writes can pretend that.
  bool IsSlotAlive(int slot) const;

  // Holds all launches of its programs back, or lets them go, as HAMi's monitor does.
  Status WriteHold(bool hold) const;

  // Puts right what a crash or a stranger's write has left (region/mend.h), in a child as
  // below. For regions with our extension.
  Status Repair() const;

  // Frees the slots of dead processes, by the region library in a child process: what a hostile
  // file does to a mapping happens there, and it is ended after two seconds (kDataLoss). Safe in a
  // program with several threads.
  Status ReapDeadSlots() const;

 private:
  Status InChild(bool (*work)(const region::Mapping&)) const;

  RegionFile(std::string path, base::Fd file) : path_(std::move(path)), file_(std::move(file)) {}

  std::string path_;
  base::Fd file_;
};

}  // namespace hami::share
