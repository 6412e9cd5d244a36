// SPDX-License-Identifier: Apache-2.0
//
// What an object of the API is called: its resource type and its key. Plain values.

#pragma once

#include <charconv>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>

namespace hami::kube {

// "apps/v1 deployments" is {"apps", "v1", "deployments"}; the core group is "".
struct ResourceType {
  std::string group;
  std::string version;
  std::string plural;

  bool operator==(const ResourceType&) const = default;

  std::string ApiVersion() const { return group.empty() ? version : group + "/" + version; }
};

inline const ResourceType kNodes{"", "v1", "nodes"};
inline const ResourceType kPods{"", "v1", "pods"};
inline const ResourceType kEvents{"", "v1", "events"};
inline const ResourceType kConfigMaps{"", "v1", "configmaps"};
inline const ResourceType kLeases{"coordination.k8s.io", "v1", "leases"};
inline const ResourceType kDeviceClasses{"resource.k8s.io", "v1", "deviceclasses"};
inline const ResourceType kResourceSlices{"resource.k8s.io", "v1", "resourceslices"};
inline const ResourceType kResourceClaims{"resource.k8s.io", "v1", "resourceclaims"};
inline const ResourceType kResourceClaimTemplates{"resource.k8s.io", "v1",
                                                  "resourceclaimtemplates"};

struct ObjectKey {
  std::string name_space;  // empty for objects of the cluster
  std::string name;

  bool operator==(const ObjectKey&) const = default;
  auto operator<=>(const ObjectKey&) const = default;

  // "team-a/train", or "train" for an object of the cluster.
  std::string Text() const { return name_space.empty() ? name : name_space + "/" + name; }
};

struct ObjectKeyHash {
  size_t operator()(const ObjectKey& key) const {
    return std::hash<std::string>()(key.name) * 31 + std::hash<std::string>()(key.name_space);
  }
};

// Of two versions of objects of one type the later one's is the larger number, whatever the object
// (etcd's revisions; KEP-5504 promises it). 0: it is no number, and nothing is known.
inline uint64_t VersionNumber(std::string_view resource_version) {
  uint64_t number = 0;
  const char* const begin = resource_version.data();
  const char* const end = begin + resource_version.size();
  const auto [rest, error] = std::from_chars(begin, end, number);
  return error == std::errc() && rest == end ? number : 0;
}

}  // namespace hami::kube
