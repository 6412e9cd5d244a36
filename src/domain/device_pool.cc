// SPDX-License-Identifier: Apache-2.0

#include "domain/device_pool.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "base/stable_sort.h"
#include "domain/quantity.h"

namespace hami::domain {
namespace {

using PoolKey = std::pair<std::string, std::string>;  // driver, pool

// "driver/name" and "name" are one capacity.
std::string LocalName(const std::string& name, const std::string& driver) {
  return name.starts_with(driver + "/") ? name.substr(driver.size() + 1) : name;
}

void AddHold(const ResourceClaim& claim, const DeviceResult& result, PooledDevice* device) {
  DeviceHold hold = {.claim = claim.namespace_name + "/" + claim.name};
  for (const auto& [name, amount] : result.consumed) {
    hold.consumed[LocalName(name, device->driver)] = amount;
  }
  // A device that is not shared is held whole.
  if (result.consumed.empty()) {
    for (const auto& [name, capacity] : device->device.capacity) {
      hold.consumed[name] = capacity.value;
    }
  }
  for (const auto& [name, amount] : hold.consumed) device->used[name] += amount;
  device->holds.push_back(std::move(hold));
}

}  // namespace

DevicePools CollectDevices(const std::vector<ResourceSlice>& slices,
                           const std::vector<ResourceClaim>& claims) {
  std::map<PoolKey, int64_t> newest;
  std::map<PoolKey, int64_t> count;
  for (const ResourceSlice& slice : slices) {
    int64_t& generation = newest[{slice.driver, slice.pool_name}];
    generation = std::max(generation, slice.pool_generation);
  }
  DevicePools pools;
  for (const ResourceSlice& slice : slices) {
    const PoolKey key = {slice.driver, slice.pool_name};
    if (slice.pool_generation != newest[key]) continue;
    ++count[key];
    for (const SliceDevice& device : slice.devices) {
      pools.devices.push_back({.driver = slice.driver,
                               .pool = slice.pool_name,
                               .node = slice.node_name,
                               .device = device});
    }
  }
  for (const ResourceSlice& slice : slices) {
    const PoolKey key = {slice.driver, slice.pool_name};
    if (slice.pool_generation != newest[key] || count[key] >= slice.pool_slices) continue;
    const std::string name = slice.driver + "/" + slice.pool_name;
    if (std::ranges::find(pools.incomplete, name) == pools.incomplete.end()) {
      pools.incomplete.push_back(name);
    }
  }
  base::StableSortBy(&pools.devices, [](const PooledDevice& device) {
    return std::tie(device.driver, device.pool);
  });
  for (const ResourceClaim& claim : claims) {
    for (const DeviceResult& result : claim.results) {
      if (result.admin_access) continue;
      for (PooledDevice& device : pools.devices) {
        if (device.driver == result.driver && device.pool == result.pool &&
            device.device.name == result.device) {
          AddHold(claim, result, &device);
        }
      }
    }
  }
  return pools;
}

std::vector<Shortage> ShortagesOf(const PooledDevice& device, const DeviceRequest& request) {
  std::vector<Shortage> shortages;
  std::map<std::string, int64_t> asked;
  for (const auto& [name, amount] : request.capacity) {
    const std::string local = LocalName(name, device.driver);
    asked[local] = amount;
    if (!device.device.capacity.contains(local)) {
      shortages.push_back({.capacity = name, .asked = amount, .unknown = true});
    }
  }
  if (request.admin_access) return shortages;
  if (!device.device.shareable && !device.holds.empty() && device.device.capacity.empty()) {
    shortages.push_back({.asked = 1, .total = 1});
  }
  for (const auto& [name, capacity] : device.device.capacity) {
    const auto wish = asked.find(name);
    const std::optional<int64_t> request_value =
        wish == asked.end() ? std::nullopt : std::optional(wish->second);
    const auto used = device.used.find(name);
    const int64_t free = capacity.value - (used == device.used.end() ? 0 : used->second);
    if (!device.device.shareable) {
      const int64_t want = request_value.value_or(0);
      if (want > capacity.value || !device.holds.empty()) {
        shortages.push_back({.capacity = name,
                             .asked = std::max(want, capacity.value),
                             .free = device.holds.empty() ? capacity.value : 0,
                             .total = capacity.value,
                             .too_large = want > capacity.value});
      }
      continue;
    }
    const std::optional<int64_t> charge = ChargeFor(capacity, request_value);
    if (charge && *charge <= free) continue;
    shortages.push_back({.capacity = name,
                         .asked = charge.value_or(request_value.value_or(capacity.value)),
                         .free = free,
                         .total = capacity.value,
                         .too_large = !charge});
  }
  return shortages;
}

std::string FormatCapacity(const Capacity& like, int64_t value) {
  if (value < 0) return "-" + FormatCapacity(like, -value);
  return like.binary ? FormatBinaryQuantity(value) : FormatDecimalQuantity(value);
}

}  // namespace hami::domain
