// SPDX-License-Identifier: Apache-2.0
//
// Devices that are known from status.capacity alone: all of a node are alike.

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "vendor/strategies.h"
#include "vendor/whole_number.h"

namespace hami::vendor {
namespace {

constexpr int64_t kMostDevices = 4096;  // of one node
constexpr int64_t kMost = std::numeric_limits<int32_t>::max();

// 0 for an empty name, and for what is absent.
int64_t Capacity(const domain::Node& node, const std::string& resource,
                 std::vector<std::string>* problems) {
  const auto found = node.capacity.find(resource);
  if (resource.empty() || found == node.capacity.end()) return 0;
  const std::optional<int64_t> value = WholeNumber(found->second);
  if (value && *value >= 0) return *value;
  problems->push_back(fmt::format("{}: capacity \"{:.40}\" is no number", resource, found->second));
  return 0;
}

// total * unit * per_device / counted, as HAMi shares the total out; -1 if that does not fit.
int64_t Share(int64_t total, int64_t unit, int64_t per_device, int64_t counted) {
  const auto product = static_cast<__int128>(total) * static_cast<__int128>(unit) *
                       static_cast<__int128>(per_device);
  const __int128 share = product / counted;
  return share > kMost ? -1 : static_cast<int64_t>(share);
}

}  // namespace

std::vector<Device> ReadCapacity(const Spec& spec, const domain::Node& node,
                                 std::vector<std::string>* problems) {
  const CapacitySource& source = spec.capacity;
  const int64_t counted = Capacity(node, spec.resources.*source.counted, problems);
  if (counted == 0) return {};
  const int64_t count = (counted - 1) / source.per_device + 1;
  int64_t memory_mib = source.memory_mib;
  if (source.memory != nullptr) {
    memory_mib = Share(Capacity(node, spec.resources.*source.memory, problems),
                       int64_t{spec.units.memory_mib} * spec.units.memory_factor, source.per_device,
                       counted);
  }
  int64_t cores = source.cores;
  if (source.cores_from != nullptr) {
    cores = Capacity(node, spec.resources.*source.cores_from, problems) / count;
  }
  if (count > kMostDevices || memory_mib < 0 || cores > kMost) {
    problems->push_back(
        fmt::format("{}: capacity {} is no node's", spec.resources.*source.counted, counted));
    return {};
  }
  std::vector<Device> devices(static_cast<size_t>(count));
  for (size_t i = 0; i < devices.size(); ++i) {
    Device& device = devices[i];
    device.index = static_cast<int32_t>(i);
    device.id = fmt::format("{}-{}-{}", node.name, source.infix, i);
    device.slots = source.slots;
    if (spec.core_unit == CoreUnit::kUnits) device.slots = static_cast<int32_t>(cores);
    device.memory_mib = static_cast<int32_t>(memory_mib);
    device.cores = static_cast<int32_t>(cores);
    device.type = spec.common_word;
    if (source.two_numa_halves) device.numa = i >= devices.size() / 2 ? 1 : 0;
  }
  return devices;
}

}  // namespace hami::vendor
