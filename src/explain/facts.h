// SPDX-License-Identifier: Apache-2.0
//
// What the API server said about a claim and its surroundings, as plain values: gather.h fills
// them, analyse.h reads them, tests write them down.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "domain/resource_claim.h"
#include "domain/resource_slice.h"

namespace hami::explain {

// Something that could not be read. Everything else is explained without it.
struct Gap {
  std::string what;  // "ResourceClaims of other namespaces"
  std::string why;
  bool operator==(const Gap&) const = default;
};

struct PodCondition {
  std::string type;
  bool holds = false;
  std::string reason;
  std::string message;
};

// An entry of spec.resourceClaims. From a template, `claim` is empty until it was made.
struct PodClaim {
  std::string entry;
  std::string claim;
  std::string template_name;
};

// A container that does not run, and why.
struct StuckContainer {
  std::string name;
  std::string reason;
  std::string message;
  std::optional<int64_t> exit_code;  // of its last end
};

struct PodEvent {
  std::string reason;
  std::string message;
  int64_t count = 1;
  std::string last_seen;  // RFC 3339
};

struct PodFacts {
  std::string namespace_name;
  std::string name;
  std::string uid;
  std::string phase;
  std::string node;       // empty: not scheduled
  std::string scheduler;  // spec.schedulerName
  bool deleted = false;
  std::vector<PodCondition> conditions;
  std::vector<StuckContainer> stuck;
  std::vector<PodClaim> claims;
  std::vector<PodEvent> warnings;  // newest first; only of pods that do not run
};

struct ClassFacts {
  std::string name;
  std::vector<std::string> selectors;
};

struct NodeFacts {
  std::string name;
  bool labelled = false;  // gpu=on
  bool ready = false;
  bool cordoned = false;
};

// The DaemonSet of our driver.
struct PluginFacts {
  bool found = false;
  std::string namespace_name;
  int64_t wanted = 0;
  int64_t ready = 0;
};

// What does not depend on the claim asked about.
struct ClusterFacts {
  std::string server_version;  // empty: not asked, or not said
  bool served = true;          // resource.k8s.io/v1
  std::optional<std::vector<ClassFacts>> classes;
  std::optional<std::vector<domain::ResourceSlice>> slices;
  std::vector<domain::ResourceClaim> claims;
  bool all_claims = true;  // else those of one namespace
  // Asked for only where no device is published.
  std::optional<std::vector<NodeFacts>> nodes;
  std::optional<PluginFacts> plugin;
  std::vector<Gap> gaps;
};

// A claim made from a template, with the pod it was made for.
struct GeneratedClaim {
  std::string pod;
  std::string claim;  // empty: not made yet
};

struct ClaimFacts {
  std::string namespace_name;
  std::string name;
  std::optional<domain::ResourceClaim> claim;
  std::vector<PodFacts> pods;  // that name it, or that it is reserved for

  // Of a claim that is not there:
  std::vector<std::string> similar;  // "name", or "namespace/name" of another namespace
  bool is_template = false;          // a ResourceClaimTemplate has this name
  std::vector<GeneratedClaim> generated;
  std::vector<Gap> gaps;
};

}  // namespace hami::explain
