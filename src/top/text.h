// SPDX-License-Identifier: Apache-2.0
//
// A snapshot for people: a page of lines that is as wide as it is told, for a terminal or a file.
// Pure.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "top/snapshot.h"

namespace hami::top {

enum class LineKind : uint8_t { kPlain, kTitle, kHeads, kAlarm };

struct Line {
  std::string text;
  LineKind kind = LineKind::kPlain;

  bool operator==(const Line&) const = default;
};

struct PageOptions {
  size_t width = 80;
  bool processes = true;
  std::string view;  // how it is sorted and filtered
};

// Narrower than that a page says that it needs more.
inline constexpr size_t kLeastWidth = 20;

std::vector<Line> PageOf(const Snapshot& snapshot, const PageOptions& options);

// "0.25s", "12.3s", "4m05s", "3h07m", "2d04h".
std::string FormatDuration(uint64_t ns);

// "0%", "2.5%", "47%"; "-" if it is not known.
std::string FormatPercent(const std::optional<double>& percent);

// "512M", "10.0G"
std::string FormatShortBytes(uint64_t bytes);

}  // namespace hami::top
