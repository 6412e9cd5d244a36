// SPDX-License-Identifier: Apache-2.0

#include "webhook/quota_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace hami::webhook {
namespace {

struct Amount {
  int64_t memory_mib = 0;
  int64_t cores = 0;

  Amount operator+(const Amount& other) const {
    return {memory_mib + other.memory_mib, cores + other.cores};
  }
  Amount Most(const Amount& other) const {
    return {std::max(memory_mib, other.memory_mib), std::max(cores, other.cores)};
  }
};

// The most that runs at any one time: each init container beside the sidecars that began before it,
// then all apps beside all sidecars.
struct Peak {
  Amount sidecars;
  Amount inits;
  Amount apps;

  void Add(domain::ContainerKind kind, const Amount& amount) {
    switch (kind) {
      case domain::ContainerKind::kInit:
        inits = inits.Most(sidecars + amount);
        break;
      case domain::ContainerKind::kSidecar:
        sidecars = sidecars + amount;
        break;
      case domain::ContainerKind::kApp:
        apps = apps + amount;
        break;
    }
  }
  Amount Value() const { return inits.Most(sidecars + apps); }
};

Status Fits(const std::string& name_space, const std::string& resource, int64_t used,
            std::optional<int64_t> limit, int64_t asked) {
  if (!limit || asked == 0 || used + asked <= *limit) return {};
  return Fail(Code::kResourceExhausted,
              fmt::format("the pod asks for {} {}, of which namespace {} has {} left of {}", asked,
                          resource, name_space, std::max<int64_t>(*limit - used, 0), *limit));
}

}  // namespace

Status CheckQuota(const vendor::Registry& registry, const domain::Pod& pod,
                  std::span<const placement::QuotaUse> uses) {
  ASSIGN_OR_RETURN(const auto requests, registry.RequestsOf(pod));
  std::map<vendor::VendorId, Peak> peaks;
  for (size_t container = 0; container < requests.size(); ++container) {
    for (const vendor::Request& request : requests[container]) {
      const int64_t count = request.count;
      peaks[request.vendor].Add(pod.containers[container].kind,
                                {count * request.memory_mib, count * request.cores});
    }
  }
  for (const placement::QuotaUse& use : uses) {
    const auto peak = peaks.find(use.vendor);
    if (use.namespace_name != pod.namespace_name || peak == peaks.end()) continue;
    const Amount asked = peak->second.Value();
    const vendor::ResourceNames& names = registry.at(use.vendor).resources;
    RETURN_IF_ERROR(Fits(use.namespace_name, "MiB of " + names.memory, use.memory_mib,
                         use.memory_limit_mib, asked.memory_mib));
    RETURN_IF_ERROR(Fits(use.namespace_name, names.cores, use.cores, use.cores_limit, asked.cores));
  }
  return {};
}

}  // namespace hami::webhook
