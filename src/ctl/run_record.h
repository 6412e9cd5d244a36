// SPDX-License-Identifier: Apache-2.0
//
// The record of a run (`hami run --json`): one JSON object in one line, written at the end. Keys
// are added, never renamed. Pure.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ctl/booking.h"

namespace hami::ctl {

struct RunRecord {
  Booking booking;
  std::string driver_version;
  int exit_code = 0;
  int64_t duration_ms = 0;
  // Absent: the agent or the region could not be read.
  std::optional<uint64_t> memory_high_water_bytes;  // the driver's figure, seen twice a second
  std::optional<uint64_t> escapes;                  // processes that held more than the slice
  std::optional<uint64_t> unlimited_processes;      // that used the GPU without the library
  std::optional<uint64_t> throttled_ns;
  std::optional<uint64_t> refused;  // allocations
};

std::string WriteRunRecord(const RunRecord& record);

}  // namespace hami::ctl
