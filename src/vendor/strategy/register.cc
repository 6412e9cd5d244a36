// SPDX-License-Identifier: Apache-2.0
//
// Devices that a node's plugin writes into an annotation.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "domain/node_devices.h"
#include "vendor/strategies.h"

namespace hami::vendor {
namespace {

// What one node can announce: a hostile annotation must not fill our memory.
constexpr size_t kMostDevices = 4096;

Device Convert(domain::NodeDevice&& read) {
  Device device;
  device.id = std::move(read.id);
  device.index = read.index;
  device.slots = read.count;
  device.memory_mib = read.memory_mib;
  device.cores = read.cores;
  device.numa = read.numa;
  device.healthy = read.health;
  device.type = std::move(read.type);
  device.mode = std::move(read.mode);
  device.extra = std::move(read.custom_texts);
  device.extra.merge(read.custom_json);
  for (domain::NodeMigProfile& profile : read.mig_profiles) {
    MigProfile& converted = device.mig_profiles.emplace_back();
    converted.name = std::move(profile.name);
    converted.memory_mib = profile.memory_mib;
    converted.cores = profile.cores;
    converted.slice_count = profile.slice_count;
    for (const domain::NodeMigPlace& place : profile.places) {
      converted.places.push_back({.start = place.start, .size = place.size});
    }
  }
  return device;
}

}  // namespace

std::vector<Device> ReadRegister(const Spec& spec, const domain::Node& node,
                                 std::vector<std::string>* problems) {
  const auto found = node.annotations.find(spec.register_key);
  if (spec.register_key.empty() || found == node.annotations.end()) return {};
  const std::string& text = found->second;
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return {};
  Result<std::vector<domain::NodeDevice>> read =
      text[first] == '[' ? domain::ParseNodeDevicesJson(text) : domain::ParseNodeDevicesText(text);
  if (read && read->size() > kMostDevices) {
    read = Fail(Code::kInvalidArgument, fmt::format("{} devices", read->size()));
  }
  if (!read) {
    problems->push_back(fmt::format("{}: {}", spec.register_key, read.error().message));
    return {};
  }
  std::vector<Device> devices;
  for (domain::NodeDevice& device : *read) devices.push_back(Convert(std::move(device)));
  return devices;
}

}  // namespace hami::vendor
