// SPDX-License-Identifier: Apache-2.0

#include "domain/nearest_fit.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "base/stable_sort.h"

namespace hami::domain {
namespace {

// A search over all combinations ends after so many steps; then what was found by then counts. A
// claim has at most 32 devices, a node rarely more than 16.
constexpr int kMaxSteps = 100'000;

// The largest part of a device's capacity that is missing; more than 1 for what it never gives.
double MissingPart(const std::vector<Shortage>& shortages) {
  double worst = 0;
  for (const Shortage& shortage : shortages) {
    const double total = shortage.total > 0 ? static_cast<double>(shortage.total) : 1.0;
    const double part = static_cast<double>(shortage.short_by()) / total;
    worst = std::max(worst, shortage.unknown || shortage.too_large ? 2 + part : part);
  }
  return worst;
}

std::optional<Attribute> AttributeOf(const PooledDevice& device, const std::string& qualified) {
  std::string name = qualified;
  if (name.starts_with(device.driver + "/")) name.erase(0, device.driver.size() + 1);
  const auto found = device.device.attributes.find(name);
  if (found == device.device.attributes.end()) return std::nullopt;
  return found->second;
}

bool Covers(const DeviceConstraint& constraint, const std::string& request) {
  return constraint.requests.empty() ||
         std::ranges::find(constraint.requests, request) != constraint.requests.end() ||
         std::ranges::find(constraint.requests, BaseRequest(request)) != constraint.requests.end();
}

// Places the requests of a claim on one node's devices.
class Search {
 public:
  Search(const ResourceClaim& claim, const std::vector<PooledDevice*>& devices,
         const Eligible& eligible)
      : claim_(claim), devices_(devices), eligible_(eligible) {
    // A count of n are n requests for different devices; alternatives are one, the first that fits.
    for (const DeviceRequest& request : claim.requests) {
      const std::string base = BaseRequest(request.name);
      if (groups_.empty() || groups_.back().base != base) groups_.push_back({base, {}, 1});
      groups_.back().alternatives.push_back(&request);
      groups_.back().count = CountOf(request);
    }
    for (size_t group = 0; group < groups_.size(); ++group) {
      for (int64_t i = 0; i < std::min<int64_t>(groups_[group].count, 32); ++i) {
        wants_.push_back(group);
      }
    }
    chosen_.resize(wants_.size());
  }

  // True: everything fits. `best()` is the longest row of requests that could be served.
  bool Run() { return Place(0); }

  struct Choice {
    const DeviceRequest* request = nullptr;
    PooledDevice* device = nullptr;
  };
  const std::vector<Choice>& best() const { return best_; }

  struct Group {
    std::string base;
    std::vector<const DeviceRequest*> alternatives;
    int64_t count;
  };
  const std::vector<Group>& groups() const { return groups_; }
  const std::vector<size_t>& wants() const { return wants_; }

 private:
  // All are as many as the node has.
  int64_t CountOf(const DeviceRequest& request) const {
    const int64_t count =
        request.all
            ? std::ranges::count_if(
                  devices_, [&](PooledDevice* device) { return eligible_(request, *device); })
            : request.count;
    return std::max<int64_t>(count, 1);
  }

  bool Allowed(size_t want, const PooledDevice& device, const DeviceRequest& request) const {
    for (size_t earlier = 0; earlier < want; ++earlier) {
      const Choice& other = chosen_[earlier];
      if (wants_[earlier] == wants_[want] && other.device == &device) return false;
      for (const DeviceConstraint& constraint : claim_.constraints) {
        if (!Covers(constraint, request.name) || !Covers(constraint, other.request->name)) continue;
        const std::optional<Attribute> mine = AttributeOf(device, constraint.attribute);
        const std::optional<Attribute> theirs = AttributeOf(*other.device, constraint.attribute);
        if (!mine || !theirs || (*mine == *theirs) == constraint.distinct) return false;
      }
    }
    return true;
  }

  // Back with -1, in the reverse order.
  static void Charge(PooledDevice* device, const DeviceRequest& request, int64_t sign) {
    if (request.admin_access) return;
    if (!device->device.shareable && sign > 0) device->holds.push_back({});
    if (!device->device.shareable && sign < 0) device->holds.pop_back();
    for (const auto& [name, capacity] : device->device.capacity) {
      std::optional<int64_t> wish;
      for (const auto& [asked, amount] : request.capacity) {
        if (asked == name || asked == device->driver + "/" + name) wish = amount;
      }
      const int64_t charge =
          device->device.shareable ? ChargeFor(capacity, wish).value_or(0) : capacity.value;
      device->used[name] += sign * charge;
    }
  }

  bool Place(size_t want) {
    if (want > best_.size() || best_.empty()) {
      best_.assign(chosen_.begin(), chosen_.begin() + static_cast<std::ptrdiff_t>(want));
    }
    if (want == wants_.size()) return true;
    for (const DeviceRequest* request : groups_[wants_[want]].alternatives) {
      for (PooledDevice* device : devices_) {
        if (++steps_ > kMaxSteps) return false;
        if (!eligible_(*request, *device) || !ShortagesOf(*device, *request).empty() ||
            !Allowed(want, *device, *request)) {
          continue;
        }
        Charge(device, *request, 1);
        chosen_[want] = {request, device};
        if (Place(want + 1)) return true;
        Charge(device, *request, -1);
      }
    }
    return false;
  }

  const ResourceClaim& claim_;
  const std::vector<PooledDevice*>& devices_;
  const Eligible& eligible_;
  std::vector<Group> groups_;
  std::vector<size_t> wants_;  // group of each device wanted
  std::vector<Choice> chosen_;
  std::vector<Choice> best_;
  int steps_ = 0;
};

double WorstOf(const NodeFit& fit) {
  double worst = 0;
  for (const RequestFit& request : fit.requests) {
    if (request.device != nullptr) continue;
    worst = std::max(worst, request.candidates.empty()
                                ? 4.0
                                : MissingPart(request.candidates.front().shortages));
  }
  return worst;
}

int64_t ServedOf(const NodeFit& fit) {
  return std::ranges::count_if(fit.requests,
                               [](const RequestFit& request) { return request.device != nullptr; });
}

NodeFit FitNode(const ResourceClaim& claim, const std::string& node, const DevicePools& pools,
                const Eligible& eligible) {
  std::vector<PooledDevice> scratch;
  std::vector<const PooledDevice*> originals;
  for (const PooledDevice& device : pools.devices) {
    if (device.node != node) continue;
    scratch.push_back(device);
    originals.push_back(&device);
  }
  std::vector<PooledDevice*> devices;
  for (PooledDevice& device : scratch) devices.push_back(&device);
  Search search(claim, devices, eligible);
  NodeFit fit = {.node = node, .fits = search.Run()};
  for (size_t want = 0; want < search.wants().size(); ++want) {
    const auto& group = search.groups()[search.wants()[want]];
    RequestFit request = {.request = group.alternatives.front()};
    if (want < search.best().size()) {
      const auto& choice = search.best()[want];
      request.request = choice.request;
      request.device = originals[static_cast<size_t>(choice.device - scratch.data())];
    }
    for (const PooledDevice* device : originals) {
      if (!eligible(*request.request, *device)) continue;
      std::vector<Shortage> shortages = ShortagesOf(*device, *request.request);
      const bool taken = shortages.empty() && request.device == nullptr;
      request.candidates.push_back({device, std::move(shortages), taken});
    }
    base::StableSortBy(&request.candidates,
                       [](const Candidate& candidate) { return MissingPart(candidate.shortages); });
    fit.requests.push_back(std::move(request));
  }
  return fit;
}

}  // namespace

std::vector<NodeFit> NearestFits(const ResourceClaim& claim, const DevicePools& pools,
                                 const Eligible& eligible) {
  std::vector<std::string> nodes;
  for (const PooledDevice& device : pools.devices) {
    const bool wanted = std::ranges::any_of(
        claim.requests, [&](const DeviceRequest& request) { return eligible(request, device); });
    if (wanted && std::ranges::find(nodes, device.node) == nodes.end()) {
      nodes.push_back(device.node);
    }
  }
  std::vector<NodeFit> fits;
  fits.reserve(nodes.size());
  for (const std::string& node : nodes) fits.push_back(FitNode(claim, node, pools, eligible));
  base::StableSortBy(&fits, [](const NodeFit& fit) {
    return std::tuple(!fit.fits, -ServedOf(fit), WorstOf(fit));
  });
  return fits;
}

}  // namespace hami::domain
