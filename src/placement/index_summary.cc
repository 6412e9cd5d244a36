// SPDX-License-Identifier: Apache-2.0
//
// Summaries of nodes, limits of namespaces.

#include <algorithm>
#include <functional>
#include <limits>

#include "placement/index.h"
#include "placement/score.h"

namespace hami::placement {
namespace {

constexpr std::array<size_t, 4> kSteps = {1, 2, 4, 8};

// The best, second, fourth and eighth best; -1 where there are fewer.
template <typename To, size_t kSize>
void FillSteps(std::vector<int64_t>* amounts, std::array<To, kSize>* steps) {
  std::sort(amounts->begin(), amounts->end(), std::greater<>());
  for (size_t i = 0; i < kSize; ++i) {
    const int64_t amount = amounts->size() >= kSteps[i] ? (*amounts)[kSteps[i] - 1] : -1;
    (*steps)[i] =
        static_cast<To>(std::clamp<int64_t>(amount, 0, int64_t{std::numeric_limits<To>::max()}));
  }
}

// Checks 11 to 13 of contract 1.8 as one number that a request's cores must not exceed.
int64_t CoresFor(const DeviceState& device) {
  constexpr int64_t kMany = std::numeric_limits<int16_t>::max();
  if (device.mig) return kMany;
  const int64_t left = int64_t{device.total.cores} - device.used.cores;
  if (left <= 0) return device.total.cores == 0 && left == 0 ? 0 : -1;
  if (device.total.cores == 100 && device.used.slots > 0) return std::min<int64_t>(left, 99);
  return std::min(left, kMany);
}

void TakeSmaller(std::optional<int64_t>* limit, int64_t value) {
  if (!*limit || value < **limit) *limit = value;
}

}  // namespace

void ClusterIndex::Summarise(uint32_t number) {
  versions_[number] = ++changes_;
  for (std::vector<Summary>& of_vendor : summaries_) {
    if (!of_vendor.empty()) of_vendor[number] = {};
  }
  for (const VendorRange& range : nodes_[number]->ranges) SummariseVendor(number, range);
}

void ClusterIndex::SummariseVendor(uint32_t number, const VendorRange& range) {
  const NodeState& node = *nodes_[number];
  std::vector<Summary>& of_vendor = summaries_[range.vendor];
  if (of_vendor.empty()) {
    of_vendor.resize(nodes_.size());
    rooms_[range.vendor].resize(nodes_.size());
  }
  Rooms& rooms = rooms_[range.vendor][number];
  rooms = {};
  rooms.memory_mib.fill(-1);
  Summary& summary = of_vendor[number];
  // Decisions and changes of one thread use the same space again and again.
  static thread_local std::vector<int64_t> memory;
  static thread_local std::vector<int64_t> cores;
  static thread_local std::vector<int64_t> pct;
  memory.clear();
  cores.clear();
  pct.clear();
  for (uint16_t i = range.begin; i < range.end; ++i) {
    const DeviceState& device = node.devices[i];
    const size_t place = summary.devices++;
    summary.models |= uint64_t{1} << (device.model % 64);
    if (!device.healthy || device.cordoned || device.fault) continue;
    if (device.used.slots >= device.total.slots) continue;
    ++summary.open;
    if (device.used.slots == 0) ++summary.idle;
    summary.mig = summary.mig || device.mig;
    const int64_t free_mib = int64_t{device.total.memory_mib} - device.used.memory_mib;
    memory.push_back(free_mib);
    cores.push_back(CoresFor(device));
    pct.push_back(device.total.memory_mib > 0
                      ? std::clamp<int64_t>(free_mib * 100 / device.total.memory_mib, 0, 100)
                      : 100);
    if (place >= Rooms::kMost) continue;
    rooms.memory_mib[place] = static_cast<int32_t>(std::max<int64_t>(free_mib, 0));
    rooms.cores[place] = static_cast<int16_t>(cores.back());
    rooms.pct[place] = static_cast<uint8_t>(pct.back());
  }
  summary.exact = size_t{range.end} - range.begin <= Rooms::kMost;
  FillSteps(&memory, &summary.free_memory_mib);
  FillSteps(&cores, &summary.free_cores);
  FillSteps(&pct, &summary.free_pct);
  summary.score =
      NodeScoreOf(std::span(node.devices).subspan(range.begin, size_t{range.end} - range.begin));
}

void ClusterIndex::PutQuota(const QuotaFacts& quota) {
  NamespaceState* space = SpaceOf(quota.namespace_name);
  space->quotas[quota.name] = {.limits = quota.limits, .scope = quota.scope};
  ReadLimits(space);
}

void ClusterIndex::RemoveQuota(std::string_view namespace_name, std::string_view name) {
  const auto found = namespaces_.find(namespace_name);
  if (found == namespaces_.end()) return;
  NamespaceState* space = found->second.get();
  const auto quota = space->quotas.find(name);
  if (quota == space->quotas.end()) return;
  space->quotas.erase(quota);
  ReadLimits(space);
  DropIfUnused(space);
}

bool ClusterIndex::ReadLimits(const NamespaceState::Quota& quota,
                              std::vector<NamespaceState::Limit>* limits) const {
  bool any = false;
  for (size_t id = 0; id < registry_->size(); ++id) {
    const vendor::Spec& spec = registry_->at(static_cast<vendor::VendorId>(id));
    const vendor::ResourceNames& names = spec.resources;
    const auto limit_of = [&quota](const std::string& resource) -> const int64_t* {
      if (resource.empty()) return nullptr;
      const auto found = quota.limits.find("limits." + resource);
      return found == quota.limits.end() ? nullptr : &found->second;
    };
    if (const int64_t* memory = limit_of(names.memory)) {
      // As HAMi has it (contract 1.11): the unit of requests, 256 MiB for MLU, does not count.
      const int64_t factor = std::max<int64_t>(spec.units.memory_factor, 1);
      const int64_t most = std::numeric_limits<int64_t>::max() / factor;
      TakeSmaller(&(*limits)[id].memory_mib, std::min(*memory, most) * factor);
      any = true;
    }
    if (const int64_t* cores = limit_of(names.cores)) {
      TakeSmaller(&(*limits)[id].cores, *cores);
      any = true;
    }
  }
  return any;
}

void ClusterIndex::ReadLimits(NamespaceState* space) {
  space->limits.assign(registry_->size(), {});
  space->scoped.clear();
  bool any = false;
  for (const auto& [name, quota] : space->quotas) {
    if (quota.scope.empty()) {
      any = ReadLimits(quota, &space->limits) || any;
      continue;
    }
    NamespaceState::Scoped scoped{.scope = quota.scope, .limits = {}, .held = {}};
    scoped.limits.resize(registry_->size());
    scoped.held.resize(registry_->size());
    if (ReadLimits(quota, &scoped.limits)) space->scoped.push_back(std::move(scoped));
  }
  if (!any) space->limits.clear();
  if (space->scoped.empty()) return;
  for (const std::unique_ptr<PodState>& pod : pods_) {
    if (pod == nullptr || pod->space != space) continue;
    for (NamespaceState::Scoped& scoped : space->scoped) CountScoped(*pod, &scoped);
  }
}

}  // namespace hami::placement
