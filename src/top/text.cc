// SPDX-License-Identifier: Apache-2.0

#include "top/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "top/table.h"

namespace hami::top {
namespace {

constexpr char kUnknown[] = "-";

std::string Number(const std::optional<int>& number) {
  return number ? std::to_string(*number) : kUnknown;
}

std::string Plural(size_t count, std::string_view thing, std::string_view things) {
  return fmt::format("{} {}", count, count == 1 ? thing : things);
}

std::string Share(uint64_t used, const std::optional<uint64_t>& whole) {
  if (!whole || *whole == 0) return kUnknown;
  return FormatPercent(static_cast<double>(used) * 100 / static_cast<double>(*whole));
}

// "3.0G/10.0G"
std::string Of(uint64_t used, const std::optional<uint64_t>& limit) {
  return FormatShortBytes(used) + "/" + (limit ? FormatShortBytes(*limit) : kUnknown);
}

class Page {
 public:
  explicit Page(size_t width) : width_(width) {}

  // Broken at spaces.
  void Add(std::string_view text, LineKind kind = LineKind::kPlain) {
    while (text.size() > width_) {
      size_t cut = text.rfind(' ', width_);
      if (cut == std::string_view::npos || cut == 0) cut = width_;
      lines_.push_back({std::string(text.substr(0, cut)), kind});
      text.remove_prefix(cut);
      while (text.starts_with(' ')) text.remove_prefix(1);
    }
    lines_.push_back({std::string(text), kind});
  }

  void Add(const Table& table, const std::vector<bool>& alarms) {
    if (table.empty()) return;
    Add("");
    std::vector<std::string> lines = table.Lines(width_);
    lines_.push_back({std::move(lines[0]), LineKind::kHeads});
    for (size_t i = 1; i < lines.size(); ++i) {
      lines_.push_back({std::move(lines[i]), alarms[i - 1] ? LineKind::kAlarm : LineKind::kPlain});
    }
  }

  std::vector<Line> Take() && { return std::move(lines_); }

 private:
  size_t width_;
  std::vector<Line> lines_;
};

void AddHead(const Snapshot& snapshot, const std::string& view, Page* page) {
  size_t processes = 0;
  for (const Slice& slice : snapshot.slices) processes += slice.processes.size();
  page->Add(
      fmt::format("hami top: {}, {}, {}{}", Plural(snapshot.devices.size(), "device", "devices"),
                  Plural(snapshot.slices.size(), "slice", "slices"),
                  Plural(processes, "process", "processes"), view.empty() ? "" : "; " + view),
      LineKind::kTitle);
  if (!snapshot.driver_version.empty()) {
    page->Add(
        "driver " + snapshot.driver_version +
        (snapshot.simulation.empty() ? "" : "; simulated, no real GPU: " + snapshot.simulation));
  }
}

void AddDevices(const Snapshot& snapshot, Page* page) {
  Table table({{.title = "GPU", .right = true},
               {.title = "NAME", .flexible = true},
               {.title = "USED/TOTAL", .right = true},
               {.title = "MEM%", .right = true, .rank = 4},
               {.title = "BUSY", .right = true, .rank = 1},
               {.title = "GRANTED", .right = true, .rank = 2},
               {.title = "CORES", .right = true, .rank = 3},
               {.title = "SLICES", .right = true, .rank = 5},
               {.title = "UUID", .rank = 6}});
  for (const Device& device : snapshot.devices) {
    table.Add({Number(device.index), device.name.empty() ? device.uuid : device.name,
               device.used_bytes ? Of(*device.used_bytes, device.memory_bytes) : kUnknown,
               device.used_bytes ? Share(*device.used_bytes, device.memory_bytes) : kUnknown,
               device.utilization_pct ? FormatPercent(*device.utilization_pct) : kUnknown,
               FormatShortBytes(device.granted_bytes), fmt::format("{}%", device.granted_cores_pct),
               std::to_string(device.slices), device.uuid});
  }
  page->Add(table, std::vector<bool>(snapshot.devices.size()));
}

std::string CoresText(const Slice& slice) {
  if (!slice.cores_limit_pct) return kUnknown;
  return fmt::format("{}%{}", *slice.cores_limit_pct,
                     slice.counted && !slice.cores_enforced ? " off" : "");
}

// "50%/50%": used now, and what it may.
std::string ComputeText(const Slice& slice) {
  return FormatPercent(slice.compute_pct) + "/" + CoresText(slice);
}

std::string StateText(const Slice& slice) {
  if (!slice.problem.empty()) return "unreadable";
  if (slice.launches_held) return "held";
  return slice.degraded ? "degraded" : "";
}

std::string MemoryText(const Slice& slice) {
  if (slice.counted) return Of(slice.used_bytes, slice.memory_limit_bytes);
  if (!slice.memory_limit_bytes) return "-/-";
  return fmt::format("-/{}", FormatShortBytes(*slice.memory_limit_bytes));
}

std::vector<Column> SliceColumns() {
  return {{.title = "SLICE", .flexible = true},
          {.title = "GPU", .right = true},
          {.title = "RUNG", .rank = 3},
          {.title = "MEM/LIMIT", .right = true},
          {.title = "MEM%", .right = true, .rank = 4},
          {.title = "COMP/LIMIT", .right = true},
          {.title = "THROTTLED", .right = true, .rank = 1},
          {.title = "NOW", .right = true, .rank = 5},
          {.title = "REFUSED", .right = true, .rank = 2},
          {.title = "PROCS", .right = true, .rank = 6},
          {.title = "KIND", .rank = 7},
          {.title = "STATE"}};
}

void AddSlices(const Snapshot& snapshot, Page* page) {
  // Almost always there is nothing to say in it.
  const bool has_states = std::ranges::any_of(
      snapshot.slices, [](const Slice& slice) { return !StateText(slice).empty(); });
  std::vector<Column> columns = SliceColumns();
  if (!has_states) columns.pop_back();
  Table table(std::move(columns));
  std::vector<bool> alarms;
  for (const Slice& slice : snapshot.slices) {
    std::vector<std::string> row = {
        slice.name,
        Number(slice.device_index),
        slice.rung,
        MemoryText(slice),
        slice.counted ? Share(slice.used_bytes, slice.memory_limit_bytes) : kUnknown,
        ComputeText(slice),
        slice.throttled_ns ? FormatDuration(*slice.throttled_ns) : kUnknown,
        FormatPercent(slice.throttled_pct),
        slice.refused ? std::to_string(*slice.refused) : kUnknown,
        std::to_string(slice.processes.size()),
        std::string(KindName(slice.kind))};
    if (has_states) row.push_back(StateText(slice));
    table.Add(std::move(row));
    alarms.push_back(!slice.problem.empty());
  }
  page->Add(table, alarms);
}

void AddProcesses(const Snapshot& snapshot, Page* page) {
  Table table({{.title = "PID", .right = true},
               {.title = "SLICE", .rank = 1},
               {.title = "GPU", .right = true, .rank = 2},
               {.title = "MEM", .right = true},
               {.title = "COMP", .right = true, .rank = 3},
               {.title = "COMMAND", .flexible = true}});
  std::vector<bool> alarms;
  for (const Slice& slice : snapshot.slices) {
    for (const Process& process : slice.processes) {
      const bool ended = process.alive.has_value() && !*process.alive;
      table.Add(
          {process.host_pid ? std::to_string(*process.host_pid) : fmt::format("({})", process.pid),
           Cut(slice.name, 24), Number(slice.device_index), FormatShortBytes(process.used_bytes),
           FormatPercent(process.compute_pct),
           ended ? "(ended, memory still counted)" : process.command});
      alarms.push_back(ended);
    }
  }
  page->Add(table, alarms);
}

}  // namespace

std::string FormatDuration(uint64_t ns) {
  const uint64_t seconds = ns / 1'000'000'000;
  const double exact = static_cast<double>(ns) / 1e9;
  if (ns == 0) return "0s";
  if (seconds < 10) return fmt::format("{:.2f}s", exact);
  if (seconds < 60) return fmt::format("{:.1f}s", exact);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d{:02}h", seconds / 86400, seconds / 3600 % 24);
}

std::string FormatPercent(const std::optional<double>& percent) {
  if (!percent) return kUnknown;
  if (*percent <= 0) return "0%";
  return *percent < 9.95 ? fmt::format("{:.1f}%", *percent) : fmt::format("{:.0f}%", *percent);
}

std::string FormatShortBytes(uint64_t bytes) {
  constexpr std::string_view kUnits = "KMGTPE";
  if (bytes < 1024) return std::to_string(bytes);
  double number = static_cast<double>(bytes);
  size_t unit = 0;
  number /= 1024;
  // 1023.95 would be printed as 1024.0.
  while (number >= 1023.95 && unit + 1 < kUnits.size()) {
    number /= 1024;
    ++unit;
  }
  return number < 99.95 && unit >= 2 ? fmt::format("{:.1f}{}", number, kUnits[unit])
                                     : fmt::format("{:.0f}{}", number, kUnits[unit]);
}

std::vector<Line> PageOf(const Snapshot& snapshot, const PageOptions& options) {
  Page page(std::max<size_t>(options.width, kLeastWidth));
  AddHead(snapshot, options.view, &page);
  for (const std::string& note : snapshot.notes) page.Add("! " + note, LineKind::kAlarm);
  AddDevices(snapshot, &page);
  AddSlices(snapshot, &page);
  if (options.processes) AddProcesses(snapshot, &page);
  if (snapshot.slices.empty()) {
    page.Add("");
    page.Add(options.view.find("filter") == std::string::npos
                 ? "No slice is in use. `hami run --gpumem 4Gi -- CMD` makes one."
                 : "Nothing matches the filter.");
  }
  return std::move(page).Take();
}

}  // namespace hami::top
