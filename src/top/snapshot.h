// SPDX-License-Identifier: Apache-2.0
//
// What `hami top` shows: one look at devices, slices and processes. Plain values; whoever fills
// them in has cleaned the texts (plain_text.h), because part of them tenants write.
//
// An absent value is not known, never a made-up zero.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hami::top {

// Whose slice it is.
enum class Kind : uint8_t { kRun, kClaim, kContainer, kShare };

// "run", "claim", "container" (of HAMi's own device plugin), "share" (anything else).
std::string_view KindName(Kind kind);

// Who says how much compute was used.
enum class ComputeSource : uint8_t { kNone, kRegion, kDriver };

struct Process {
  int slot = 0;
  int pid = 0;                        // as it sees itself
  std::optional<int> host_pid;        // as tools beside us see it; the tenant's word
  std::optional<bool> alive;          // nullopt: cannot be told
  uint64_t used_bytes = 0;            // of this slice
  uint64_t gpu_ns = 0;                // granted by the compute limit
  std::optional<double> compute_pct;  // of the device's time, lately
  std::string command;                // empty: not known
};

// A share of one device.
struct Slice {
  std::string name;
  Kind kind = Kind::kShare;
  std::string path;  // of the region
  int number = 0;    // among the devices of its region
  std::string device_uuid;
  std::string device_name;
  std::optional<int> device_index;
  std::string rung;       // docs/glossary.md
  bool degraded = false;  // the limits lie in the environment: a program can undo them
  bool simulated = false;
  std::optional<uint64_t> memory_limit_bytes;  // nullopt: none, or not known
  std::optional<uint32_t> cores_limit_pct;     // likewise
  std::string problem;                         // why figures are missing; empty: none are

  bool counted = false;  // whether what follows could be read
  uint64_t used_bytes = 0;
  uint64_t hidden_bytes = 0;  // of them, seen by the driver alone
  // nullopt: HAMi's own library does not count it.
  std::optional<uint64_t> gpu_ns;
  std::optional<uint64_t> throttled_ns;
  std::optional<uint64_t> refused;  // allocations
  bool cores_enforced = false;      // false also where a monitor has lifted the limit
  bool launches_held = false;       // by a monitor, or `hami region suspend`
  std::vector<Process> processes;

  std::optional<double> compute_pct;  // of the device's time, lately
  ComputeSource compute_source = ComputeSource::kNone;
  std::optional<double> throttled_pct;  // time that callers slept lately; the sum of all threads
};

struct Device {
  std::optional<int> index;  // nullopt: the driver does not have it, only slices name it
  std::string uuid;
  std::string name;
  std::optional<uint64_t> memory_bytes;
  std::optional<uint64_t> used_bytes;  // by anybody
  std::optional<uint32_t> utilization_pct;
  uint64_t granted_bytes = 0;
  uint32_t granted_cores_pct = 0;
  int slices = 0;
};

struct Snapshot {
  int64_t wall_ns = 0;
  int64_t monotonic_ns = 0;
  std::optional<int64_t> interval_ns;  // what "lately" means; nullopt: there was one look only
  std::string driver_version;          // empty: there is none
  std::string simulation;              // what the driver says of itself, if it is simulated
  std::vector<Device> devices;
  std::vector<Slice> slices;
  std::vector<std::string> notes;  // what could not be read, and what to do
  bool failed = false;             // one of them is about a path that the user named
};

}  // namespace hami::top
