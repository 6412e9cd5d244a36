// SPDX-License-Identifier: Apache-2.0
//
// resource.k8s.io ResourceClaims, as far as a driver and a person who waits for one need them:
// plain values. Contract: the API group's version v1 (KEP-4381, KEP-5075).

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace hami::domain {

// One thing asked for: a request's `exactly`, or one of its alternatives.
struct DeviceRequest {
  std::string name;  // of an alternative: "request/alternative"
  std::string device_class;
  bool all = false;  // allocationMode All
  int64_t count = 1;
  bool admin_access = false;
  std::map<std::string, int64_t> capacity;  // by qualified name, as asked
  std::vector<std::string> selectors;       // CEL
};

// All devices of these requests have the same value of an attribute, or all different ones.
struct DeviceConstraint {
  std::vector<std::string> requests;  // empty: all
  std::string attribute;              // qualified
  bool distinct = false;
};

// One device, or a share of one, that was given.
struct DeviceResult {
  std::string request;  // "request" or "request/alternative"
  std::string driver;
  std::string pool;
  std::string device;
  std::string share_id;  // empty: the device is not shared
  bool admin_access = false;
  std::map<std::string, int64_t> consumed;  // by qualified name; empty where nothing is shared
};

// A driver's own parameters, class entries before claim entries: the last one counts.
struct OpaqueConfig {
  bool from_class = false;
  std::vector<std::string> requests;  // empty: all
  std::string driver;
  std::string parameters;  // JSON

  // Whether it is meant for a result of this request.
  bool AppliesTo(const std::string& request) const;
};

struct ClaimConsumer {
  std::string resource;  // "pods"
  std::string name;
  std::string uid;
};

struct ResourceClaim {
  std::string namespace_name;
  std::string name;
  std::string uid;
  bool deleted = false;  // has a deletionTimestamp
  std::vector<DeviceRequest> requests;
  std::vector<DeviceConstraint> constraints;
  bool allocated = false;
  std::vector<DeviceResult> results;
  std::vector<OpaqueConfig> configs;  // of the allocation
  std::vector<ClaimConsumer> reserved_for;
};

// kInvalidArgument for a quantity that is none.
Result<ResourceClaim> ReadResourceClaim(const json::Value& object);

// "main" of "main/sub": what the kubelet and containers know.
std::string BaseRequest(const std::string& request);

}  // namespace hami::domain
