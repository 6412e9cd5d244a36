// SPDX-License-Identifier: Apache-2.0

#include "explain/candidates.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <variant>

#include "base/stable_sort.h"

namespace hami::explain {
namespace {

constexpr int64_t kMib = int64_t{1} << 20;

std::string LocalName(const std::string& name, const std::string& driver) {
  return name.starts_with(driver + "/") ? name.substr(driver.size() + 1) : name;
}

std::vector<HoldingPod> PodsOf(const std::string& claim_key,
                               const std::vector<domain::ResourceClaim>& claims) {
  std::vector<HoldingPod> pods;
  for (const domain::ResourceClaim& claim : claims) {
    if (claim.namespace_name + "/" + claim.name != claim_key) continue;
    for (const domain::ClaimConsumer& consumer : claim.reserved_for) {
      if (consumer.resource == "pods") pods.push_back({.name = consumer.name});
    }
  }
  return pods;
}

// Several shares of one claim on one device are one holder.
std::vector<Holder> HoldersOf(const domain::PooledDevice& device,
                              const std::vector<domain::ResourceClaim>& claims) {
  std::map<std::string, std::map<std::string, int64_t>> held;
  for (const domain::DeviceHold& hold : device.holds) {
    for (const auto& [name, amount] : hold.consumed) held[hold.claim][name] += amount;
  }
  std::vector<Holder> holders;
  for (const auto& [claim, amounts] : held) {
    holders.push_back(
        {.claim = claim, .pods = PodsOf(claim, claims), .held = NotedAmounts(&device, amounts)});
  }
  return holders;
}

// The largest part of a capacity that it holds and that is missing.
double Weight(const Holder& holder, const std::vector<Comparison>& capacities) {
  double weight = 0;
  for (const Comparison& capacity : capacities) {
    if (!capacity.lacks || capacity.total.value <= 0) continue;
    for (const NamedAmount& held : holder.held) {
      if (held.capacity != capacity.capacity) continue;
      weight = std::max(weight, static_cast<double>(held.amount.value) /
                                    static_cast<double>(capacity.total.value));
    }
  }
  return weight;
}

}  // namespace

DeviceName NameOf(const domain::PooledDevice& device) {
  DeviceName name = {.driver = device.driver,
                     .pool = device.pool,
                     .node = device.node,
                     .device = device.device.name};
  const auto product = device.device.attributes.find("productName");
  if (product != device.device.attributes.end()) {
    if (const auto* text = std::get_if<std::string>(&product->second)) name.product = *text;
  }
  return name;
}

std::vector<NamedAmount> NotedAmounts(const domain::PooledDevice* device,
                                      const std::map<std::string, int64_t>& amounts) {
  std::vector<NamedAmount> noted;
  for (const auto& [name, value] : amounts) {
    bool binary = value >= kMib && value % kMib == 0;
    const std::string local = device == nullptr ? name : LocalName(name, device->driver);
    if (device != nullptr) {
      const auto found = device->device.capacity.find(local);
      if (found != device->device.capacity.end()) binary = found->second.binary;
    }
    noted.push_back({local, {value, binary}});
  }
  return noted;
}

std::vector<NamedAmount> FreeOf(const domain::PooledDevice& device) {
  std::vector<NamedAmount> free;
  for (const auto& [name, capacity] : device.device.capacity) {
    const auto used = device.used.find(name);
    int64_t left = capacity.value - (used == device.used.end() ? 0 : used->second);
    if (!device.device.shareable && !device.holds.empty()) left = 0;
    free.push_back({name, {std::max<int64_t>(left, 0), capacity.binary}});
  }
  return free;
}

Candidate Compare(const domain::Candidate& candidate, const domain::DeviceRequest& request,
                  const std::vector<domain::ResourceClaim>& claims) {
  const domain::PooledDevice& device = *candidate.device;
  Candidate compared = {
      .device = NameOf(device), .shareable = device.device.shareable, .taken = candidate.taken};
  for (const NamedAmount& free : FreeOf(device)) {
    const domain::Capacity& capacity = device.device.capacity.at(free.capacity);
    Comparison comparison = {
        .capacity = free.capacity, .free = free.amount, .total = {capacity.value, capacity.binary}};
    std::optional<int64_t> wish;
    for (const auto& [name, amount] : request.capacity) {
      if (LocalName(name, device.driver) == free.capacity) wish = amount;
    }
    const int64_t charged = device.device.shareable
                                ? domain::ChargeFor(capacity, wish).value_or(wish.value_or(0))
                                : std::max(wish.value_or(0), capacity.value);
    comparison.asked = {charged, capacity.binary};
    for (const domain::Shortage& shortage : candidate.shortages) {
      if (shortage.unknown || shortage.capacity != free.capacity) continue;
      comparison.lacks = true;
      comparison.asked.value = shortage.asked;
      comparison.never = shortage.too_large || shortage.asked > shortage.total;
    }
    compared.capacities.push_back(comparison);
  }
  compared.in_use = !device.device.shareable && !device.holds.empty();
  for (const domain::Shortage& shortage : candidate.shortages) {
    if (!shortage.unknown) continue;
    compared.capacities.push_back(
        {.capacity = shortage.capacity,
         .asked = {shortage.asked, shortage.asked >= kMib && shortage.asked % kMib == 0},
         .lacks = true,
         .never = true,
         .unknown = true});
  }
  compared.holders = HoldersOf(device, claims);
  base::StableSortBy(&compared.holders,
                     [&](const Holder& holder) { return -Weight(holder, compared.capacities); });
  return compared;
}

}  // namespace hami::explain
