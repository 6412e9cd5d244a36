// SPDX-License-Identifier: Apache-2.0

#include "placement/score.h"

#include <cstdint>

namespace hami::placement {
namespace {

double Part(int64_t used, int64_t total) {
  return static_cast<double>(used) / static_cast<double>(total);
}

}  // namespace

double DeviceScore(const DeviceUse& total, const DeviceUse& used, const DeviceUse& need,
                   const Weights& weights) {
  if (total.slots <= 0 || total.cores <= 0 || total.memory_mib <= 0) return 0;
  const double slots = Part(int64_t{need.slots} + used.slots, total.slots);
  const double cores = Part(int64_t{need.cores} + used.cores, total.cores);
  const double memory = Part(int64_t{need.memory_mib} + used.memory_mib, total.memory_mib);
  return 10 * (weights.slot * slots + weights.core * cores + weights.memory * memory);
}

double NodeScoreOf(std::span<const DeviceState> devices) {
  int64_t used_slots = 0;
  int64_t slots = 0;
  int64_t used_cores = 0;
  int64_t cores = 0;
  int64_t used_memory = 0;
  int64_t memory = 0;
  for (const DeviceState& device : devices) {
    used_slots += device.used.slots;
    slots += device.total.slots;
    used_cores += device.used.cores;
    cores += device.total.cores;
    used_memory += device.used.memory_mib;
    memory += device.total.memory_mib;
  }
  if (slots <= 0 || cores <= 0 || memory <= 0) return 0;
  return 10 * (Part(used_slots, slots) + Part(used_cores, cores) + Part(used_memory, memory));
}

double NativeScore(const NodeState& node) {
  if (node.facts.cpu_milli <= 0 || node.facts.memory_bytes <= 0) return 0;
  return 10 * (Part(node.cpu_used_milli, node.facts.cpu_milli) +
               Part(node.memory_used_bytes, node.facts.memory_bytes));
}

}  // namespace hami::placement
