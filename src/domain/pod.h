// SPDX-License-Identifier: Apache-2.0
//
// Pods, as far as placing them needs: plain values. Source: core/v1 Pod, as JSON or as protobuf
// (protobuf_objects.h); both read the same.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace hami::domain {

enum class ContainerKind : uint8_t {
  kInit,
  kSidecar,  // an init container with restartPolicy Always: runs as long as the pod (KEP-753)
  kApp,
};

// Extended and native resources by name, as texts: who reads one knows which form it must have.
using ResourceTexts = std::map<std::string, std::string>;

// kubectl's copy of the whole object: large, and nothing that we act on. Left out when reading.
inline constexpr std::string_view kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";

struct PodContainer {
  std::string name;
  ContainerKind kind = ContainerKind::kApp;
  bool privileged = false;
  ResourceTexts limits;
  ResourceTexts requests;

  // The limit, else the request, else null: how HAMi reads all its resources.
  const std::string* Asked(const std::string& resource) const;

  bool operator==(const PodContainer&) const = default;
};

struct Pod {
  std::string namespace_name;
  std::string name;
  std::string uid;
  std::string resource_version;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;  // but for kLastApplied
  std::vector<PodContainer> containers;  // init containers first, both in the order of the spec
  ResourceTexts overhead;
  std::string scheduler_name;
  std::string node_name;            // empty: not bound
  std::string nominated_node_name;  // room is being made there
  std::string phase;                // "Pending", "Running", "Succeeded", "Failed"
  int32_t priority = 0;
  std::string priority_class;   // priorityClassName; empty: none
  bool has_deadline = false;    // activeDeadlineSeconds
  bool never_preempts = false;  // preemptionPolicy: Never
  bool gated = false;           // schedulingGates are not empty
  bool terminating = false;     // has a deletionTimestamp
  bool init_done = false;  // every plain init container has ended with 0; true where there is none
  std::string pod_group;   // label scheduling.x-k8s.io/pod-group, or spec.schedulingGroup
  int64_t created_s = 0;   // unix seconds

  bool IsOver() const { return phase == "Succeeded" || phase == "Failed"; }
  std::string Text() const { return namespace_name + "/" + name; }

  bool operator==(const Pod&) const = default;
};

// kInvalidArgument if it is no pod: another kind, no spec. Unknown fields are left out, what has
// another type than it should reads as absent. A pod under admission may have neither name nor uid.
Result<Pod> ReadPod(const json::Value& object);

}  // namespace hami::domain
