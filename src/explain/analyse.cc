// SPDX-License-Identifier: Apache-2.0

#include "explain/analyse.h"

#include <algorithm>
#include <utility>

#include "base/stable_sort.h"
#include "domain/device_pool.h"
#include "domain/nearest_fit.h"
#include "dra/names.h"
#include "explain/candidates.h"
#include "explain/eligibility.h"
#include "explain/read_objects.h"

namespace hami::explain {
namespace {

using domain::DevicePools;
using domain::NodeFit;
using domain::PooledDevice;
using domain::RequestFit;

constexpr size_t kMostOthers = 4;

const PooledDevice* FindDevice(const DevicePools& pools, const domain::DeviceResult& result) {
  for (const PooledDevice& device : pools.devices) {
    if (device.driver == result.driver && device.pool == result.pool &&
        device.device.name == result.device) {
      return &device;
    }
  }
  return nullptr;
}

// Our driver publishes devices that can be shared; the server has dropped that field.
bool IsSharingOff(const std::vector<Request>& requests, const DevicePools& pools) {
  const bool ours =
      std::ranges::find(requests, dra::kDriverName, &Request::driver) != requests.end();
  return ours && std::ranges::any_of(pools.devices, [](const PooledDevice& device) {
           return device.driver == dra::kDriverName && !device.device.shareable;
         });
}

// Any device that the request may have: it tells how amounts are written.
const PooledDevice* SampleFor(const domain::DeviceRequest& request, const DevicePools& pools,
                              const domain::Eligible& eligible) {
  const auto found = std::ranges::find_if(
      pools.devices, [&](const PooledDevice& device) { return eligible(request, device); });
  return found == pools.devices.end() ? nullptr : &*found;
}

void DescribeRequests(const domain::ResourceClaim& claim, const ClusterFacts& cluster,
                      const DevicePools& pools, Explanation* out) {
  const domain::Eligible eligible = EligibleIn(cluster, pools);
  for (const domain::DeviceRequest& request : claim.requests) {
    out->requests.push_back(
        {.name = request.name,
         .device_class = request.device_class,
         .driver = DriverOfRequest(request, cluster),
         .all = request.all,
         .count = request.count,
         .admin_access = request.admin_access,
         .capacity = NotedAmounts(SampleFor(request, pools, eligible), request.capacity),
         .selectors = request.selectors});
    const ClassFacts* device_class = FindClass(cluster, request.device_class);
    const bool known = std::ranges::find(out->classes, request.device_class, &ClassFacts::name) !=
                       out->classes.end();
    if (device_class != nullptr && !known) out->classes.push_back(*device_class);
  }
  for (const domain::DeviceConstraint& constraint : claim.constraints) {
    out->constraints.push_back((constraint.distinct ? "distinctAttribute " : "matchAttribute ") +
                               constraint.attribute);
  }
}

void DescribeAllocation(const domain::ResourceClaim& claim, const DevicePools& pools,
                        bool slices_known, Explanation* out) {
  out->verdict = Verdict::kAllocated;
  for (const domain::DeviceResult& result : claim.results) {
    const PooledDevice* device = FindDevice(pools, result);
    Served served = {
        .request = result.request,
        .device = {.driver = result.driver, .pool = result.pool, .device = result.device},
        .amounts = NotedAmounts(device, result.consumed),
        .gone = slices_known && device == nullptr,
        .admin_access = result.admin_access};
    if (device != nullptr) served.device = NameOf(*device);
    if (served.gone) out->verdict = Verdict::kDeviceGone;
    if (out->node.empty()) out->node = served.device.node;
    out->served.push_back(std::move(served));
  }
}

// What the nearest device could give of what it lacks. Empty if that would be nothing useful.
std::vector<NamedAmount> AtMost(const PooledDevice& device, const Candidate& nearest) {
  std::vector<NamedAmount> most;
  for (const Comparison& capacity : nearest.capacities) {
    if (!capacity.lacks) continue;
    if (capacity.unknown || !nearest.shareable) return {};
    const domain::Capacity& published = device.device.capacity.at(capacity.capacity);
    int64_t least = 1;
    Amount amount = capacity.free;
    if (published.policy && published.policy->valid_range) {
      least = published.policy->valid_range->min;
      amount.value =
          std::min(amount.value, published.policy->valid_range->max.value_or(amount.value));
    } else if (published.policy && !published.policy->valid_values.empty()) {
      const std::vector<int64_t>& values = published.policy->valid_values;
      const auto above = std::ranges::upper_bound(values, amount.value);
      amount.value = above == values.begin() ? 0 : *(above - 1);
    }
    if (amount.value < least) return {};
    most.push_back({capacity.capacity, amount});
  }
  return most;
}

// The same request on a node that is not the nearest.
const RequestFit* SameRequest(const NodeFit& fit, const RequestFit& request) {
  for (const RequestFit& other : fit.requests) {
    const bool same =
        domain::BaseRequest(other.request->name) == domain::BaseRequest(request.request->name);
    if (same && other.device == nullptr && !other.candidates.empty()) return &other;
  }
  return nullptr;
}

Unserved DescribeUnserved(const RequestFit& request, const std::vector<NodeFit>& fits,
                          const std::vector<domain::ResourceClaim>& claims) {
  const domain::Candidate& nearest = request.candidates.front();
  Unserved unserved = {.request = request.request->name,
                       .nearest = Compare(nearest, *request.request, claims)};
  unserved.at_most = AtMost(*nearest.device, unserved.nearest);
  const auto add = [&](const domain::Candidate& candidate, const domain::DeviceRequest& asked) {
    if (unserved.others.size() == kMostOthers) {
      ++unserved.more;
    } else {
      unserved.others.push_back(Compare(candidate, asked, claims));
    }
  };
  for (size_t i = 1; i < request.candidates.size(); ++i) {
    add(request.candidates[i], *request.request);
  }
  for (size_t i = 1; i < fits.size(); ++i) {
    if (const RequestFit* other = SameRequest(fits[i], request)) {
      add(other->candidates.front(), *other->request);
    }
  }
  return unserved;
}

// A request is in the way if its own device lacks something. Where none is, it is all of them
// together.
void DescribeNearest(const std::vector<NodeFit>& fits,
                     const std::vector<domain::ResourceClaim>& claims, Explanation* out) {
  const NodeFit& nearest = fits.front();
  out->node = nearest.node;
  const auto lacks = [](const RequestFit& request) {
    return request.device == nullptr && !request.candidates.empty() &&
           !request.candidates.front().taken;
  };
  const bool some_lack = std::ranges::any_of(nearest.requests, lacks);
  for (const RequestFit& request : nearest.requests) {
    if (request.device != nullptr) {
      out->served.push_back({.request = request.request->name,
                             .device = NameOf(*request.device),
                             .amounts = FreeOf(*request.device)});
      continue;
    }
    if (request.candidates.empty() || (some_lack && !lacks(request))) continue;
    const bool listed = std::ranges::find(out->unserved, request.request->name,
                                          &Unserved::request) != out->unserved.end();
    if (!listed) out->unserved.push_back(DescribeUnserved(request, fits, claims));
  }
}

// A request none of whose alternatives has an eligible device; null: there is none.
const domain::DeviceRequest* WithoutDevices(const domain::ResourceClaim& claim,
                                            const DevicePools& pools,
                                            const domain::Eligible& eligible) {
  for (const domain::DeviceRequest& request : claim.requests) {
    const bool some = std::ranges::any_of(claim.requests, [&](const auto& alternative) {
      return domain::BaseRequest(alternative.name) == domain::BaseRequest(request.name) &&
             SampleFor(alternative, pools, eligible) != nullptr;
    });
    if (!some) return &request;
  }
  return nullptr;
}

// Why a request has no eligible device.
void DescribeNothing(const domain::DeviceRequest& request, const ClusterFacts& cluster,
                     const DevicePools& pools, Explanation* out) {
  const std::string driver = DriverOfRequest(request, cluster);
  const auto of_driver = [&](const auto& thing) {
    return driver.empty() || thing.driver == driver;
  };
  out->missing_driver = driver;
  out->verdict =
      std::ranges::any_of(pools.devices, of_driver) ? Verdict::kIncomplete : Verdict::kNotPublished;
  out->slices_without_devices = std::ranges::any_of(*cluster.slices, of_driver);
  out->nodes_known = cluster.nodes.has_value();
  out->nodes = cluster.nodes.value_or(std::vector<NodeFacts>());
  out->plugin_known = cluster.plugin.has_value();
  out->plugin = cluster.plugin.value_or(PluginFacts());
}

bool DescribeMissingClass(const domain::ResourceClaim& claim, const ClusterFacts& cluster,
                          Explanation* out) {
  if (!cluster.classes) return false;
  for (const domain::DeviceRequest& request : claim.requests) {
    if (FindClass(cluster, request.device_class) != nullptr) continue;
    out->verdict = Verdict::kClassMissing;
    out->missing_class = request.device_class;
    for (const ClassFacts& known : *cluster.classes) out->known_classes.push_back(known.name);
    return true;
  }
  return false;
}

void DescribeWaiting(const domain::ResourceClaim& claim, const ClusterFacts& cluster,
                     const DevicePools& pools, Explanation* out) {
  if (DescribeMissingClass(claim, cluster, out)) return;
  if (!cluster.slices) {
    out->verdict = Verdict::kUnreadable;
    return;
  }
  const domain::Eligible eligible = EligibleIn(cluster, pools);
  if (const domain::DeviceRequest* request = WithoutDevices(claim, pools, eligible)) {
    return DescribeNothing(*request, cluster, pools, out);
  }
  const std::vector<NodeFit> fits = NearestFits(claim, pools, eligible);
  if (fits.front().fits) {
    out->verdict = Verdict::kFits;
    return DescribeNearest(fits, cluster.claims, out);
  }
  const DevicePools empty = domain::CollectDevices(*cluster.slices, {});
  const domain::Eligible eligible_empty = EligibleIn(cluster, empty);
  const std::vector<NodeFit> ever = NearestFits(claim, empty, eligible_empty);
  if (!ever.front().fits) {
    out->verdict = Verdict::kNeverFits;
    return DescribeNearest(ever, {}, out);
  }
  out->verdict = out->sharing_off ? Verdict::kSharingOff : Verdict::kNoRoom;
  DescribeNearest(fits, cluster.claims, out);
}

}  // namespace

Explanation Analyse(const ClaimFacts& facts, const ClusterFacts& cluster) {
  Explanation out = {.namespace_name = facts.namespace_name,
                     .name = facts.name,
                     .pods = facts.pods,
                     .server_version = cluster.server_version,
                     .generated = facts.generated,
                     .similar = facts.similar,
                     .gaps = cluster.gaps,
                     .upper_bounds = !cluster.all_claims};
  out.gaps.insert(out.gaps.end(), facts.gaps.begin(), facts.gaps.end());
  if (facts.is_template) out.template_name = facts.name;
  base::StableSortBy(&out.pods, IsWell);  // those with trouble first
  if (!cluster.served) {
    out.verdict = Verdict::kNotServed;
    return out;
  }
  if (!facts.claim) {
    out.verdict = Verdict::kNotFound;
    return out;
  }
  const domain::ResourceClaim& claim = *facts.claim;
  out.deleted = claim.deleted;
  const DevicePools pools = domain::CollectDevices(
      cluster.slices.value_or(std::vector<domain::ResourceSlice>()), cluster.claims);
  out.incomplete_pools = pools.incomplete;
  DescribeRequests(claim, cluster, pools, &out);
  out.sharing_off = IsSharingOff(out.requests, pools);
  if (claim.allocated) {
    DescribeAllocation(claim, pools, cluster.slices.has_value(), &out);
  } else {
    DescribeWaiting(claim, cluster, pools, &out);
  }
  return out;
}

std::vector<std::string> HoldingPods(const Explanation& explanation) {
  std::vector<std::string> pods;
  for (const Unserved& unserved : explanation.unserved) {
    for (const Holder& holder : unserved.nearest.holders) {
      const std::string name_space = holder.claim.substr(0, holder.claim.find('/') + 1);
      for (const HoldingPod& pod : holder.pods) pods.push_back(name_space + pod.name);
    }
  }
  return pods;
}

void SetPhases(const std::map<std::string, std::string>& phases, Explanation* explanation) {
  for (Unserved& unserved : explanation->unserved) {
    for (Holder& holder : unserved.nearest.holders) {
      const std::string name_space = holder.claim.substr(0, holder.claim.find('/') + 1);
      for (HoldingPod& pod : holder.pods) {
        const auto found = phases.find(name_space + pod.name);
        if (found != phases.end()) pod.phase = found->second;
      }
    }
  }
}

}  // namespace hami::explain
