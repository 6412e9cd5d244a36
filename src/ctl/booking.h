// SPDX-License-Identifier: Apache-2.0
//
// A booking: who was granted which slice of which device. A JSON file in the share directory, made
// before the slice is used and replaced as a whole.
//
// A booking is alive while somebody holds the lock on its file (the `hami run` that made it and its
// supervisor) or on any slot of its region (a process that holds GPU memory). Both are released by
// the kernel, so a killed hami leaks nothing and a surviving process keeps its slice.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace hami::ctl {

inline constexpr char kBookingFile[] = "booking";

struct Booking {
  std::string name;
  int pid = 0;  // of hami
  unsigned uid = 0;
  int64_t created_unix_s = 0;
  std::string device_uuid;
  int device_index = 0;
  std::string device_name;
  std::string simulation;  // folder of the simulation; empty: a real device
  uint64_t memory_bytes = 0;
  int cores_pct = 0;
  std::string policy;
  bool degraded = false;  // no mount namespace: enforced through the environment alone
  std::vector<std::string> command;
};

std::string WriteBooking(const Booking& booking);
Result<Booking> ParseBooking(const std::string& text);

// Writes the booking of a share directory and takes its lock. The lock is taken before the file
// gets its name, so it is never seen without. Forked children keep it too.
Result<base::Fd> WriteAndHoldBooking(const std::string& share_folder, const Booking& booking);

enum class Liveness : uint8_t { kDead, kHeldByHami, kHeldByProcesses };
Result<Liveness> LookForLife(const std::string& share_folder);

}  // namespace hami::ctl
