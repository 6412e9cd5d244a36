// SPDX-License-Identifier: Apache-2.0
//
// What is to be placed, and by which rules.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/pod.h"
#include "placement/quota_scope.h"
#include "vendor/registry.h"

namespace hami::placement {

enum class NodePolicy : uint8_t {
  kBinpack,        // the fullest node that fits
  kSpread,         // the emptiest
  kFragmentation,  // the node whose free room stays most useful for what the cluster runs
};

enum class DeviceKey : uint8_t { kBinpack, kSpread, kNuma };

// hami.io/gpu-scheduler-policy, also as a chain (contract 1.7).
struct DevicePolicy {
  std::vector<DeviceKey> keys = {DeviceKey::kSpread};  // none: spread
  bool only_idle = false;                              // mutex
  bool topology_aware = false;                         // the set of devices that is connected best
  bool by_pod = false;  // asked for by the pod: kFragmentation then chooses the node alone
};

struct Weights {
  int32_t slot = 1;
  int32_t core = 1;
  int32_t memory = 1;
};

struct Policy {
  NodePolicy node = NodePolicy::kBinpack;
  DevicePolicy device;
  Weights weights;
  bool numa_bind = false;
};

struct ContainerAsk {
  domain::ContainerKind kind = domain::ContainerKind::kApp;
  std::vector<vendor::Request> requests;  // empty: no devices
};

struct Request {
  std::string pod_uid;  // what it holds already does not count
  std::string namespace_name;
  std::vector<ContainerAsk> containers;                // as in the pod
  std::vector<vendor::Selectors> selectors;            // by vendor id
  std::map<std::string, std::string> pod_annotations;  // for rules of single vendors
  Policy policy;
  int64_t cpu_milli = 0;  // what the pod adds on its node, native resources
  int64_t memory_bytes = 0;
  ScopeTraits traits;  // which quotas with scopes hold for the pod
  // Nodes without so much CPU and memory left do not fit. For callers that have no kube-scheduler
  // before them; nodes whose CPU is not known (0) are not looked at.
  bool check_native = false;

  bool WantsDevices() const;
};

// The words of --node-scheduler-policy and hami.io/node-scheduler-policy; none for other words.
std::optional<NodePolicy> ParseNodePolicy(std::string_view word);
// Those of --gpu-scheduler-policy and hami.io/gpu-scheduler-policy. Unknown words do nothing, as in
// HAMi; where none is known the policy is spread.
DevicePolicy ParseDevicePolicy(std::string_view words);
// "slot=1,core=1,memory=3": each exactly once, whole numbers from 0, one of them above it.
Result<Weights> ParseWeights(std::string_view text);

// `defaults` are those of the program's flags. kInvalidArgument: what the pod asks for or one of
// its annotations cannot be read; the text says which and what is allowed.
Result<Request> MakeRequest(const vendor::Registry& registry, const domain::Pod& pod,
                            const Policy& defaults);

}  // namespace hami::placement
