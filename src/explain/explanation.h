// SPDX-License-Identifier: Apache-2.0
//
// Why a claim is as it is: what analyse.h finds and both renderings print. Plain values.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "explain/facts.h"

namespace hami::explain {

enum class Verdict : uint8_t {
  kNotServed,     // the server has no resource.k8s.io/v1
  kNotFound,      // no claim of this name
  kNotMade,       // of a template, whose claim does not exist yet
  kAllocated,     // has its devices
  kDeviceGone,    // has devices that are no longer published
  kClassMissing,  // a request names a DeviceClass that does not exist
  kUnreadable,    // slices may not be listed, so nothing can be said about room
  kNotPublished,  // no device of the driver anywhere
  kIncomplete,    // only in pools whose slices are not all there yet
  kSharingOff,    // devices cannot be shared: a feature gate is off
  kNeverFits,     // would not fit on an empty cluster
  kNoRoom,        // fits, once others give something back
  kFits,          // fits now, and waits for something else
};

// An amount with the notation that its device uses.
struct Amount {
  int64_t value = 0;
  bool binary = false;
  bool operator==(const Amount&) const = default;
};

struct NamedAmount {
  std::string capacity;
  Amount amount;
  bool operator==(const NamedAmount&) const = default;
};

struct Request {
  std::string name;
  std::string device_class;
  std::string driver;  // of eligible devices; empty: any
  bool all = false;
  int64_t count = 1;
  bool admin_access = false;
  std::vector<NamedAmount> capacity;
  std::vector<std::string> selectors;
};

// A device, named for people and programs.
struct DeviceName {
  std::string driver;
  std::string pool;
  std::string node;
  std::string device;
  std::string product;  // empty: the slice does not say
};

// How one capacity of a device compares with what a request asks.
struct Comparison {
  std::string capacity;
  Amount asked;
  Amount free;
  Amount total;
  bool lacks = false;
  bool never = false;    // more than the device ever gives
  bool unknown = false;  // the device has no such capacity
};

struct HoldingPod {
  std::string name;
  std::string phase;  // empty: not known
};

struct Holder {
  std::string claim;  // namespace/name
  std::vector<HoldingPod> pods;
  std::vector<NamedAmount> held;
};

// A device as one request sees it.
struct Candidate {
  DeviceName device;
  std::vector<Comparison> capacities;
  std::vector<Holder> holders;  // most first
  bool shareable = true;
  bool in_use = false;  // whole, because it is not shareable
  bool taken = false;   // has room, but the claim's other requests leave none for this one

  bool never() const;
};

// A request that the nearest node cannot serve.
struct Unserved {
  std::string request;
  Candidate nearest;
  std::vector<Candidate> others;     // on this node and on others, nearest first
  size_t more = 0;                   // others that are not listed
  std::vector<NamedAmount> at_most;  // with this the nearest would do; empty: with nothing
};

// A request that could be served now, or that was served.
struct Served {
  std::string request;
  DeviceName device;
  std::vector<NamedAmount> amounts;  // consumed, or free
  bool gone = false;                 // no longer published
  bool admin_access = false;
};

struct Explanation {
  std::string namespace_name;
  std::string name;
  Verdict verdict = Verdict::kFits;
  bool deleted = false;
  std::vector<Request> requests;
  std::vector<ClassFacts> classes;       // that requests name and that exist
  std::vector<std::string> constraints;  // "distinctAttribute d/uuid"

  std::string node;  // of `served` and `unserved`
  std::vector<Served> served;
  std::vector<Unserved> unserved;
  std::vector<PodFacts> pods;

  // Details of the verdict.
  std::string missing_class;
  std::vector<std::string> known_classes;
  std::string missing_driver;
  bool slices_without_devices = false;  // the driver publishes, but no device
  std::vector<std::string> incomplete_pools;
  std::vector<NodeFacts> nodes;  // for kNotPublished of our driver
  bool nodes_known = false;
  bool plugin_known = false;
  PluginFacts plugin;
  std::string server_version;
  std::string template_name;  // kNotMade, and kNotFound where a template has the name
  std::vector<GeneratedClaim> generated;
  std::vector<std::string> similar;

  std::vector<Gap> gaps;
  bool upper_bounds = false;  // what is free may be less: not all claims could be read
  bool sharing_off = false;   // our devices are published as not shareable
};

// "no-room", as --json prints it.
std::string VerdictName(Verdict verdict);

}  // namespace hami::explain
