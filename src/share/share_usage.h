// SPDX-License-Identifier: Apache-2.0
//
// What the processes of one share hold by the driver's own figure, compared with what they were
// granted. Pure: the driver's lists, the tree and the region's slots in, figures out.
//
// Only processes of the share's own tree count. A slot's PID is the tenant's claim; one that names
// a process outside the tree is ignored, so that a tenant cannot have a neighbour blamed.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gpu/inventory.h"
#include "share/region_file.h"

namespace hami::share {

// How far the driver's figure may be above the limit before it is called an escape: what we publish
// as the error of our accounting.
constexpr uint64_t EscapeTolerance(uint64_t limit_bytes) {
  constexpr uint64_t kLeast = uint64_t{16} << 20;
  const uint64_t percent = limit_bytes / 100;
  return percent > kLeast ? percent : kLeast;
}

struct DeviceSight {
  int index = 0;
  std::string uuid;
  int granted_as = -1;  // its number in the limits file and the region; -1: not granted
  uint64_t limit_bytes = 0;
  std::vector<gpu::DeviceProcess> processes;
};

struct SlotFigure {
  int slot;
  int granted_as;
  uint64_t driver_bytes;
};

// A share holds more of a device than it was granted.
struct Escape {
  int device_index;
  std::string device_uuid;
  uint64_t driver_bytes;  // of the whole share
  uint64_t limit_bytes;
  int pid;  // the process with most memory that its slot does not account for
  uint64_t process_bytes;
  bool has_slot;
};

// A process of the share that uses a device without an account in the region: the limits are not
// active for it, however little it holds.
struct Outsider {
  int pid;
  int device_index;
  uint64_t bytes;  // of this device; 0 also where the driver does not tell
};

struct ShareUsage {
  uint64_t driver_bytes = 0;  // on granted devices
  // By PID: what a process holds of the granted device beyond the charge of its slot. Empty while a
  // living slot's process is not known.
  std::map<int, uint64_t> hidden_bytes;
  std::vector<SlotFigure> slots;
  std::vector<Escape> escapes;
  // A process that took its slot after `slots` were read is among them (WithoutSlot).
  std::vector<Outsider> outsiders;
};

// The larger charge of each slot that both lists have: between them lies a look at the driver, and
// a charge is made before the driver allocates and taken back after it has freed.
std::vector<SlotView> LargerCharges(std::vector<SlotView> before,
                                    const std::vector<SlotView>& after);

// What is hidden for sure: the smaller figure of two looks, of processes in both. One look can fall
// between an allocation and its end.
uint64_t HiddenInBoth(const std::map<int, uint64_t>& before, const std::map<int, uint64_t>& after);

// Without those that have a slot in one of both lists, the later of which was read after the driver
// was asked: a slot is taken before the driver is used. None while a living slot's process is not
// known.
std::vector<Outsider> WithoutSlot(std::vector<Outsider> outsiders,
                                  const std::vector<SlotView>& before,
                                  const std::vector<SlotView>& after);

ShareUsage MeasureShare(const std::vector<DeviceSight>& devices, const std::vector<SlotView>& slots,
                        const std::function<bool(int pid)>& is_in_tree);

}  // namespace hami::share
