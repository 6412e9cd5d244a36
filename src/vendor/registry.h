// SPDX-License-Identifier: Apache-2.0
//
// All accelerators that we place, as data: what a container asks for, what admission does to it,
// which devices a node has, what is written on a pod. Contract: hami-control-plane.md sections
// 1.3, 1.8, 2, 3 and 6. Pure; a Registry does not change after it was made, so any thread may use
// it.

#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "domain/allocation.h"
#include "domain/node.h"
#include "domain/pod.h"
#include "vendor/device.h"
#include "vendor/request.h"
#include "vendor/spec.h"

namespace hami::vendor {

// The two families of chips that HAMi only schedules where its flags --enable-ascend and
// --enable-iluvatar say so: elsewhere their resources belong to their makers' own plugins.
struct Families {
  bool ascend = true;
  bool iluvatar = true;
};

struct ConfigWarning {
  std::string where;    // "nvidia.resourceFooName"
  std::string message;  // for a person
};

class Registry {
 public:
  // All vendors as HAMi's chart configures them.
  static Registry Default();

  // HAMi's device-config.yaml as it is (contract 1.3). What it does not know is a warning, counted
  // by the caller; what cannot be read is kInvalidArgument and says where.
  static Result<Registry> FromDeviceConfig(std::string_view yaml,
                                           std::vector<ConfigWarning>* warnings);
  static Result<Registry> FromDeviceConfig(std::string_view yaml, const Families& families,
                                           std::vector<ConfigWarning>* warnings);

  size_t size() const { return specs_.size(); }
  const Spec& at(VendorId id) const { return specs_[id]; }
  // By common word; null if there is none.
  const Spec* Find(std::string_view common_word) const;
  // Names of all resources that the scheduler must not count itself (managedResources).
  std::vector<std::string> ResourceNames() const;

  // Keys of all pod annotations that a decision writes, of all vendors: nobody else may.
  std::vector<std::string> DecisionKeys() const;

  // By container of the pod; a container without devices has no entry. kInvalidArgument says which
  // container, which resource, and what to write instead.
  Result<std::vector<std::vector<Request>>> RequestsOf(const domain::Pod& pod) const;
  Selectors SelectorsOf(const domain::Pod& pod, VendorId id) const;

  // What admission does to a container, over all vendors. An error is the denial's text.
  Result<Admission> Admit(const domain::Pod& pod, size_t container) const;

  // The devices of all vendors that the node announces, ordered by vendor and index. What cannot
  // be read is left out and told in `problems` (one line each, for the log and a metric). Not
  // healthy are also those whose plugin is gone: the node has none of them to allocate, or HAMi's
  // scheduler asked (contract 1.4) and got no answer until `now_s`, wall time.
  std::vector<Device> DevicesOf(const domain::Node& node, std::vector<std::string>* problems,
                                int64_t now_s = 0) const;

  // What the pod's annotations say that it holds (contract 1.5): also what an older HAMi wrote.
  // kInvalidArgument: malformed or forged. An allocation without node: it holds nothing.
  Result<domain::Allocation> ReadAllocation(const domain::Pod& pod) const;

  // The annotations of a decision (contract 2.3 and section 6), all vendors, without the keys of
  // bind-phase and bind-time. `now_ns` is wall time.
  std::map<std::string, std::string> WriteAllocation(const domain::Pod& pod,
                                                     const domain::Allocation& allocation,
                                                     std::span<const Device> node_devices,
                                                     int64_t now_ns) const;

 private:
  explicit Registry(std::vector<Spec> specs);
  // The vendors of which the container names a resource, ascending. Most containers name none.
  std::vector<VendorId> NamedBy(const domain::PodContainer& container) const;

  std::vector<Spec> specs_;
  std::vector<std::pair<std::string, VendorId>> owners_;  // by resource, sorted
  bool hides_ = false;  // a vendor wants its variable in containers without its devices
};

}  // namespace hami::vendor
