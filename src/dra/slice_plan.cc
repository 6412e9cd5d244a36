// SPDX-License-Identifier: Apache-2.0

#include "dra/slice_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "dra/names.h"
#include "gpu/pcie_root.h"

namespace hami::dra {
namespace {

using domain::Capacity;
using domain::RequestPolicy;
using domain::ResourceSlice;
using domain::Semver;
using domain::SliceDevice;

constexpr int64_t kMib = int64_t{1} << 20;
constexpr int64_t kAllCores = 100;
constexpr int kOldestWithWholeSlices = 35;
constexpr size_t kMaxTextBytes = 64;  // of an attribute: the server refuses a slice for one longer
constexpr char kSharingGate[] = "DRAConsumableCapacity";

Capacity CoresOf() {
  return {.value = kAllCores,
          .policy = RequestPolicy{
              .default_value = 0,
              .valid_range = RequestPolicy::Range{.min = 0, .max = kAllCores, .step = 1}}};
}

// Whole MiB, so that every step of the range is reachable.
Capacity MemoryOf(const gpu::Device& device) {
  const int64_t total = static_cast<int64_t>(device.memory_bytes) / kMib * kMib;
  return {.value = total,
          .binary = true,
          .policy = RequestPolicy{
              .default_value = total,
              .valid_range = RequestPolicy::Range{.min = kMib, .max = total, .step = kMib}}};
}

SliceDevice PlanDevice(const SlicePlanInput& input, const gpu::Device& device) {
  SliceDevice planned;
  planned.name = DeviceName(device);
  planned.shareable = true;
  auto& attributes = planned.attributes;
  const std::string bus_id = gpu::KernelBusId(device.pci_bus_id);
  attributes["type"] = std::string(kDeviceType);
  attributes["uuid"] = device.uuid;
  attributes["minor"] = int64_t{device.minor >= 0 ? device.minor : device.index};
  attributes["productName"] = device.name.substr(0, kMaxTextBytes);
  attributes["brand"] = device.brand;
  attributes["architecture"] = gpu::ArchitectureName(device.compute_major, device.compute_minor);
  attributes["cudaComputeCapability"] =
      Semver{fmt::format("{}.{}.0", device.compute_major, device.compute_minor)};
  attributes["driverVersion"] = Semver{DriverSemver(input.inventory.driver_version)};
  attributes["cudaDriverVersion"] = Semver{fmt::format(
      "{}.{}.0", input.inventory.cuda_version / 1000, input.inventory.cuda_version % 1000 / 10)};
  if (!bus_id.empty()) attributes["pcieBusID"] = bus_id;
  if (const std::optional<std::string> root = gpu::FindPcieRoot(input.sysfs, bus_id)) {
    attributes["resource.kubernetes.io/pcieRoot"] = *root;
  }
  planned.capacity = {{kCoresCapacity, CoresOf()}, {kMemoryCapacity, MemoryOf(device)}};
  return planned;
}

// What a server without that gate keeps.
SliceDevice WithoutSharing(SliceDevice device) {
  device.shareable = false;
  for (auto& [name, capacity] : device.capacity) capacity.policy.reset();
  return device;
}

}  // namespace

std::string DeviceName(const gpu::Device& device) {
  return fmt::format("{}-{}", kDeviceType, device.minor >= 0 ? device.minor : device.index);
}

std::string DriverSemver(const std::string& driver_version) {
  std::string version;
  int parts = 0;
  for (size_t begin = 0; begin <= driver_version.size() && parts < 3; ++parts) {
    const size_t end = std::min(driver_version.find('.', begin), driver_version.size());
    std::string part = driver_version.substr(begin, end - begin);
    part.erase(0, std::min(part.find_first_not_of('0'), part.size()));
    const bool number = part.find_first_not_of("0123456789") == std::string::npos;
    version += (parts == 0 ? "" : ".") + (part.empty() || !number ? "0" : part);
    begin = end + 1;
  }
  for (; parts < 3; ++parts) version += ".0";
  return version;
}

std::vector<ResourceSlice> PlanSlices(const SlicePlanInput& input) {
  std::vector<gpu::Device> devices = input.inventory.devices;
  std::ranges::sort(devices, {}, [](const gpu::Device& device) {
    return std::pair(device.minor >= 0 ? device.minor : device.index, device.index);
  });
  ResourceSlice empty;
  empty.driver = kDriverName;
  empty.node_name = empty.pool_name = input.node_name;
  std::vector<ResourceSlice> slices;
  for (const gpu::Device& device : devices) {
    if (slices.empty() || input.server_minor < kOldestWithWholeSlices) slices.push_back(empty);
    slices.back().devices.push_back(PlanDevice(input, device));
  }
  if (slices.empty()) slices.push_back(empty);
  for (ResourceSlice& slice : slices) slice.pool_slices = static_cast<int64_t>(slices.size());
  return slices;
}

std::vector<std::string> DroppedFields(const ResourceSlice& sent, const ResourceSlice& stored) {
  for (size_t i = 0; i < sent.devices.size() && i < stored.devices.size(); ++i) {
    const SliceDevice& wanted = sent.devices[i];
    const SliceDevice& kept = stored.devices[i];
    bool dropped = wanted.shareable && !kept.shareable;
    for (const auto& [name, capacity] : wanted.capacity) {
      const auto found = kept.capacity.find(name);
      dropped =
          dropped || (capacity.policy && found != kept.capacity.end() && !found->second.policy);
    }
    if (dropped) return {kSharingGate};
  }
  return {};
}

bool SameContent(const ResourceSlice& wanted, const ResourceSlice& stored,
                 const std::vector<std::string>& dropped) {
  const bool shared = std::ranges::find(dropped, kSharingGate) == dropped.end();
  const auto same = [&](const SliceDevice& device, const SliceDevice& kept) {
    return (shared ? device : WithoutSharing(device)) == kept;
  };
  return wanted.driver == stored.driver && wanted.node_name == stored.node_name &&
         wanted.pool_name == stored.pool_name && wanted.pool_slices == stored.pool_slices &&
         std::ranges::equal(wanted.devices, stored.devices, same);
}

}  // namespace hami::dra
