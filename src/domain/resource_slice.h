// SPDX-License-Identifier: Apache-2.0
//
// resource.k8s.io ResourceSlices, as far as we publish and read them: plain values. Quantities are
// whole numbers; the text that a server keeps is made from them by the format of the capacity.
// Contract: the API group's version v1 (KEP-4381), with consumable capacity (KEP-5075).

#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace hami::domain {

// A semantic version, which the API keeps apart from a string.
struct Semver {
  std::string text;
  bool operator==(const Semver&) const = default;
};

using Attribute = std::variant<int64_t, bool, std::string, Semver>;

// How much of a capacity a share may take, and what one takes that does not say.
struct RequestPolicy {
  std::optional<int64_t> default_value;
  std::vector<int64_t> valid_values;  // ascending; empty: any, or the range
  struct Range {
    int64_t min = 0;
    std::optional<int64_t> max;
    std::optional<int64_t> step;
    bool operator==(const Range&) const = default;
  };
  std::optional<Range> valid_range;

  bool operator==(const RequestPolicy&) const = default;
};

struct Capacity {
  int64_t value = 0;
  bool binary = false;  // printed as 10Gi, not as 10737418240
  std::optional<RequestPolicy> policy;

  bool operator==(const Capacity&) const = default;
};

// What a share is charged for one capacity: the default or everything without a request, else the
// request rounded up. nullopt: the device cannot give that.
std::optional<int64_t> ChargeFor(const Capacity& capacity, std::optional<int64_t> request);

struct SliceDevice {
  std::string name;
  bool shareable = false;                       // allowMultipleAllocations
  std::map<std::string, Attribute> attributes;  // by name; the driver's own without its domain
  std::map<std::string, Capacity> capacity;     // likewise

  bool operator==(const SliceDevice&) const = default;
};

struct ResourceSlice {
  std::string name;  // empty: not created yet
  std::string uid;
  std::string resource_version;
  std::string driver;
  std::string node_name;  // empty: not of one node
  std::string pool_name;
  int64_t pool_generation = 0;
  int64_t pool_slices = 1;  // resourceSliceCount
  std::vector<SliceDevice> devices;
};

// kInvalidArgument if the object cannot be one (a quantity that is none, no driver). Fields that we
// do not know are left out.
Result<ResourceSlice> ReadResourceSlice(const json::Value& object);

struct SliceOwner {
  std::string node_name;
  std::string node_uid;
};

// The object for create (no name: generateName "<node>-<driver>-") or update.
std::string WriteResourceSlice(const ResourceSlice& slice, const SliceOwner& owner);

}  // namespace hami::domain
