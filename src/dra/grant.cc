// SPDX-License-Identifier: Apache-2.0

#include "dra/grant.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "dra/names.h"
#include "dra/slice_config.h"

namespace hami::dra {
namespace {

constexpr int kAllCores = 100;
constexpr uint64_t kMib = uint64_t{1} << 20;

std::string TextOf(const domain::ResourceClaim& claim) {
  return claim.namespace_name + "/" + claim.name;
}

// By its bare name or qualified by ours; nullopt: the server does not share devices.
std::optional<int64_t> ConsumedOf(const domain::DeviceResult& result, const std::string& capacity) {
  for (const std::string& name : {capacity, fmt::format("{}/{}", kDriverName, capacity)}) {
    if (const auto found = result.consumed.find(name); found != result.consumed.end()) {
      return found->second;
    }
  }
  return std::nullopt;
}

// The last entry that applies counts, class entries before claim entries (they come in order).
Result<SliceConfig> ConfigFor(const domain::ResourceClaim& claim,
                              const domain::DeviceResult& result) {
  SliceConfig config;
  for (const domain::OpaqueConfig& entry : claim.configs) {
    if (entry.driver != kDriverName || !entry.AppliesTo(result.request)) continue;
    Result<SliceConfig> parsed = ParseSliceConfig(entry.parameters);
    if (!parsed) {
      return Fail(std::move(parsed).error().Wrap(
          fmt::format("config of {}", entry.from_class ? "the DeviceClass" : "the claim")));
    }
    config = std::move(*parsed);
  }
  return config;
}

Result<GrantedSlice> PlanSlice(const domain::DeviceResult& result, const SliceConfig& config,
                               const NodeGpus& gpus) {
  const auto found = gpus.devices.find(result.device);
  if (found == gpus.devices.end()) {
    return Fail(Code::kNotFound,
                fmt::format("GPU {} is gone from this node; delete the pod, so that its claim is "
                            "allocated again",
                            result.device));
  }
  const gpu::Device& device = found->second;
  GrantedSlice slice;
  slice.request = result.request;
  slice.pool = result.pool;
  slice.device = result.device;
  slice.share_id = result.share_id;
  slice.uuid = device.uuid;
  slice.minor = device.minor;
  slice.pci_bus_id = gpu::KernelBusId(device.pci_bus_id);
  slice.admin_access = result.admin_access;
  slice.policy = config.core_policy;
  const int64_t memory =
      ConsumedOf(result, kMemoryCapacity).value_or(static_cast<int64_t>(device.memory_bytes));
  const int64_t cores = ConsumedOf(result, kCoresCapacity).value_or(kAllCores);
  if (memory <= 0 || cores < 0 || cores > kAllCores) {
    return Fail(Code::kInvalidArgument,
                fmt::format("the allocation gives {} bytes and {} cores of {}, which cannot be "
                            "given; delete the claim and make it again",
                            memory, cores, result.device));
  }
  slice.memory_bytes = static_cast<uint64_t>(memory);
  slice.cores_pct = static_cast<int>(cores);
  if (slice.memory_bytes > device.memory_bytes) {
    return Fail(Code::kFailedPrecondition,
                fmt::format("the allocation gives {} of {}, which has only {}: it was another GPU "
                            "then; delete the pod, so that its claim is allocated again",
                            base::FormatBytesRounded(slice.memory_bytes), result.device,
                            base::FormatBytesRounded(device.memory_bytes)));
  }
  // What is published is rounded down to whole MiB; who has all of that has the GPU.
  slice.whole =
      slice.memory_bytes / kMib == device.memory_bytes / kMib && (cores == 0 || cores == kAllCores);
  if (slice.whole) slice.memory_bytes = device.memory_bytes;
  if (const auto cost = gpus.context_bytes.find(result.device); cost != gpus.context_bytes.end()) {
    slice.context_bytes = cost->second;
  }
  return slice;
}

struct Use {
  uint64_t memory_bytes = 0;
  int cores_pct = 0;
  std::string claims;  // who
};

void AddUse(const ClaimGrant& grant, std::map<std::string, Use>* uses) {
  for (const GrantedSlice& slice : grant.slices) {
    if (slice.admin_access) continue;
    Use& use = (*uses)[slice.device];
    use.memory_bytes += slice.memory_bytes;
    use.cores_pct += slice.cores_pct;
    if (!use.claims.empty()) use.claims += ", ";
    use.claims += grant.namespace_name + "/" + grant.name;
  }
}

}  // namespace

Result<ClaimGrant> PlanGrant(const domain::ResourceClaim& claim, const NodeGpus& gpus,
                             std::string_view pool) {
  if (!claim.allocated) {
    return Fail(
        Code::kFailedPrecondition,
        fmt::format("claim {} is not allocated (any more); the scheduler has to allocate it "
                    "before a pod can start",
                    TextOf(claim)));
  }
  ClaimGrant grant = {.namespace_name = claim.namespace_name, .name = claim.name, .uid = claim.uid};
  for (const domain::DeviceResult& result : claim.results) {
    if (result.driver != kDriverName) continue;
    if (result.pool != pool) {
      return Fail(Code::kFailedPrecondition,
                  fmt::format("claim {} is allocated from pool {}, this node's is {}; delete the "
                              "pod, so that its claim is allocated again",
                              TextOf(claim), result.pool, pool));
    }
    ASSIGN_OR_RETURN(const SliceConfig config, ConfigFor(claim, result));
    ASSIGN_OR_RETURN(GrantedSlice slice, PlanSlice(result, config, gpus));
    grant.slices.push_back(std::move(slice));
  }
  if (grant.slices.empty()) {
    return Fail(Code::kFailedPrecondition,
                fmt::format("claim {} has no device of driver {}", TextOf(claim), kDriverName));
  }
  return grant;
}

Status CheckRoom(const ClaimGrant& wanted, const std::vector<const ClaimGrant*>& others,
                 const NodeGpus& gpus) {
  std::map<std::string, Use> uses;
  for (const ClaimGrant* other : others) {
    if (other->uid != wanted.uid) AddUse(*other, &uses);
  }
  std::map<std::string, Use> asked;
  AddUse(wanted, &asked);
  for (const auto& [device, want] : asked) {
    const Use& used = uses[device];
    const auto found = gpus.devices.find(device);
    if (found == gpus.devices.end()) continue;  // PlanGrant has said so
    const bool memory_fits = used.memory_bytes + want.memory_bytes <= found->second.memory_bytes;
    if (memory_fits && used.cores_pct + want.cores_pct <= kAllCores) continue;
    return Fail(
        Code::kResourceExhausted,
        fmt::format("GPU {} has been given twice: {} of its {} and {} of 100 cores are held by {}, "
                    "{} and {} cores are asked for; delete the pod, so that its claim is allocated "
                    "again",
                    device, base::FormatBytesRounded(used.memory_bytes),
                    base::FormatBytesRounded(found->second.memory_bytes), used.cores_pct,
                    used.claims.empty() ? "nobody" : used.claims,
                    base::FormatBytesRounded(want.memory_bytes), want.cores_pct));
  }
  return {};
}

}  // namespace hami::dra
