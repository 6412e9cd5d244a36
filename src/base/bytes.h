// SPDX-License-Identifier: Apache-2.0
//
// Amounts of memory as people write them. Strict: whatever could be read in two ways is an error
// that says what to write instead.
//
//   10Gi 10240Mi 1Ti 512Ki    powers of 1024, as in Kubernetes; GiB MiB TiB KiB mean the same
//   10G 10240M 1T 512k        powers of 1000, as in Kubernetes; GB MB TB kB mean the same
//   1.5Gi                     a fraction that is a whole number of bytes
//   10240                     a number alone is MiB, as in HAMi's nvidia.com/gpumem
//   0B 10737418240B           bytes
//   40%                       of a device, where that is allowed (ParseMemoryAmount)

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hami::base {

inline constexpr uint64_t kMib = uint64_t{1} << 20;
inline constexpr uint64_t kGib = uint64_t{1} << 30;

// Largest amount that is accepted: the limits file's bound (api/limits/README.md).
inline constexpr uint64_t kMaxParsedBytes = uint64_t{1} << 48;

// An amount in bytes, or a part of something in thousandths of a percent.
struct MemoryAmount {
  bool is_percent = false;
  uint64_t bytes = 0;
  uint32_t millipercent = 0;  // 40 % is 40000; 1..100000

  // What it comes to on a device of `total_bytes`; a percentage is rounded down to whole MiB.
  uint64_t Of(uint64_t total_bytes) const;
};

Result<uint64_t> ParseBytes(std::string_view text);
Result<MemoryAmount> ParseMemoryAmount(std::string_view text);

// "10Gi", "512Mi", "23028Mi", "0B": the largest unit that loses nothing.
std::string FormatBytes(uint64_t bytes);

// "10.0 GiB", "1.5 MiB", "12 B": for tables, rounded.
std::string FormatBytesRounded(uint64_t bytes);

}  // namespace hami::base
