// SPDX-License-Identifier: Apache-2.0
//
// What a simulation found. Plain values, printed by text.h and json_report.h.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "domain/allocation.h"

namespace hami::simulate {

enum class Fate : uint8_t {
  kPlaced,
  kWaiting,  // nothing had room
  kRefused,  // what it asks for cannot be read
};

// One arrival, in the order in which they came.
struct PodOutcome {
  uint32_t pod = 0;  // of Scenario::pods
  Fate fate = Fate::kWaiting;
  std::string node;
  std::vector<domain::Slice> slices;
  std::string reason;   // why not: counts of reasons over nodes, or the fault of the request
  std::string nearest;  // what the nearest node lacks
  double waited_s = 0;  // of those that were placed when others had left
};

// The cluster when so much was asked for, in whole devices.
struct Point {
  double asked = 0;
  double allocated = 0;
  double fragments = 0;  // free, and of no use to a pod of the mix
};

// Devices of one type.
struct TypeUse {
  std::string vendor;
  std::string type;
  int64_t devices = 0;
  double allocated = 0;  // in whole devices: the larger of memory and cores
  int64_t memory_mib = 0;
  int64_t memory_used_mib = 0;
  int64_t cores = 0;
  int64_t cores_used = 0;
};

struct Latency {
  size_t decisions = 0;
  double mean_us = 0;
  double p50_us = 0;
  double p99_us = 0;
  double max_us = 0;
};

struct Outcome {
  std::vector<PodOutcome> pods;
  std::vector<Point> points;   // at each percent of the devices that was asked for
  std::vector<TypeUse> types;  // at the end
  Point end;
  size_t nodes = 0;
  double devices = 0;
  size_t placed = 0;
  size_t waiting = 0;
  size_t refused = 0;
  int64_t cpu_milli = 0;
  int64_t cpu_used_milli = 0;
  int64_t memory_bytes = 0;
  int64_t memory_used_bytes = 0;
  // Over time, once pods go as well as come: means from the end of the warm-up on.
  double mean_allocated = 0;
  double lost_devices_share = 0;  // of what was asked for: pods that found no room when they came
  Latency latency;                // of decisions that found a place
  Latency refusals;               // of the others, with the reasons of all nodes
  std::vector<std::string> overcommitted;  // must be empty
};

}  // namespace hami::simulate
