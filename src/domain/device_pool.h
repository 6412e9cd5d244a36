// SPDX-License-Identifier: Apache-2.0
//
// The devices of all pools as a scheduler sees them now: what each has, what claims hold of it,
// what one more request lacks. Pure.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "domain/resource_claim.h"
#include "domain/resource_slice.h"

namespace hami::domain {

// What one claim holds of a device.
struct DeviceHold {
  std::string claim;  // namespace/name
  std::map<std::string, int64_t> consumed;
};

struct PooledDevice {
  std::string driver;
  std::string pool;
  std::string node;  // empty: not of one node
  SliceDevice device;
  std::vector<DeviceHold> holds;
  std::map<std::string, int64_t> used;  // by capacity, the sum of the holds
};

struct DevicePools {
  std::vector<PooledDevice> devices;    // by driver, pool and the order in their slices
  std::vector<std::string> incomplete;  // "driver/pool": slices are missing, schedulers wait
};

// Of each pool the slices of its highest generation. Claims without an allocation hold nothing.
DevicePools CollectDevices(const std::vector<ResourceSlice>& slices,
                           const std::vector<ResourceClaim>& claims);

// One thing that a request lacks on a device.
struct Shortage {
  std::string capacity;  // empty: the device itself, which has no capacities and is held
  int64_t asked = 0;     // what would be charged
  int64_t free = 0;
  int64_t total = 0;
  bool unknown = false;    // the device has no such capacity
  bool too_large = false;  // more than the device ever gives

  int64_t short_by() const { return asked - free; }
};

// Empty: the request fits. A device that cannot be shared and is held lacks everything it has.
std::vector<Shortage> ShortagesOf(const PooledDevice& device, const DeviceRequest& request);

// "memory 10Gi" in the format of the device's capacity.
std::string FormatCapacity(const Capacity& like, int64_t value);

}  // namespace hami::domain
