// SPDX-License-Identifier: Apache-2.0
//
// Whether a slice fits, and where. Pure: devices, bookings and a wish in, a decision out.
//
// Room is what is left of a device after every live booking (whether it is used or not) and after
// the memory that processes outside any booking hold. What the driver keeps for itself is not
// counted, so that two halves fit on one card.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "ctl/booking.h"
#include "gpu/inventory.h"

namespace hami::ctl {

struct Wish {
  std::string gpu;  // index or UUID; empty: any
  base::MemoryAmount memory;
  int cores_pct = 0;  // 0: no compute limit, takes none
};

// A live booking with the host PIDs that its processes were seen with.
struct Holder {
  Booking booking;
  std::vector<int> host_pids;
};

struct Room {
  const gpu::Device* device = nullptr;
  uint64_t booked_bytes = 0;
  uint64_t outside_bytes = 0;  // held by processes that no booking covers
  uint64_t free_bytes = 0;
  int free_cores_pct = 100;
  std::vector<const Holder*> holders;
};

// The room on every device. `holders` and `inventory` must outlive the result.
std::vector<Room> MeasureRoom(const gpu::Inventory& inventory, const std::string& simulation,
                              const std::vector<Holder>& holders);

struct Placement {
  const gpu::Device* device = nullptr;
  uint64_t memory_bytes = 0;
};

// The device with most free compute, then most free memory, then the first.
// kInvalidArgument: the wish can never fit (no such GPU, more than the card has).
// kResourceExhausted: not now; the message says what is free and who holds the rest.
Result<Placement> Place(const Wish& wish, const gpu::Inventory& inventory,
                        const std::vector<Room>& rooms);

// One block per device for a person: what is free, who holds what.
std::string DescribeRoom(const std::vector<Room>& rooms);

}  // namespace hami::ctl
