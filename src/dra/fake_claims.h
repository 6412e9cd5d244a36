// SPDX-License-Identifier: Apache-2.0
//
// For tests: a node with the GPUs of the published guide, claims that were allocated there, and an
// API server's store of claims in memory. FakeClaims is thread-safe; the rest makes plain values.

#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "domain/resource_claim.h"
#include "dra/claim_keeper.h"
#include "dra/grant.h"
#include "dra/names.h"
#include "gpu/inventory.h"

namespace hami::dra {

inline constexpr char kGuideNode[] = "ecs-a10-sh";
inline constexpr char kGuideUuid[] = "GPU-f1c7d08c-ae21-13e7-0de0-9eb14ff71eaf";
// What the guide's node publishes of an A10, and what of the card that leaves out.
inline constexpr int64_t kA10Mib = 23028;
inline constexpr uint64_t kA10Bytes = static_cast<uint64_t>(kA10Mib) * base::kMib + 700'000;

// Number 0 is the guide's.
inline gpu::Device MakeA10(int number) {
  const std::string uuid = kGuideUuid;
  return {.index = number,
          .uuid = uuid.substr(0, uuid.size() - 1) + "f0123456789"[number],
          .name = "NVIDIA A10",
          .minor = number,
          .pci_bus_id = "00000000:6" + std::to_string(5 + number) + ":01.0",
          .brand = "Nvidia",
          .compute_major = 8,
          .compute_minor = 6,
          .memory_bytes = kA10Bytes};
}

inline std::string NameOfGpu(int number) { return "hami-gpu-" + std::to_string(number); }

inline NodeGpus MakeGpus(int count) {
  NodeGpus gpus = {.driver_version = "550.144.03"};
  for (int number = 0; number < count; ++number) {
    gpus.devices[NameOfGpu(number)] = MakeA10(number);
  }
  return gpus;
}

inline std::shared_ptr<NodeView> MakeNode(int count) {
  auto node = std::make_shared<NodeView>();
  node->gpus = MakeGpus(count);
  node->files.binaries = {{"/opt/nvidia/bin/nvidia-smi", "/usr/bin/nvidia-smi"}};
  node->files.device_nodes = {{"/dev/nvidiactl", "/dev/nvidiactl"}};
  for (int number = 0; number < count; ++number) {
    const std::string path = "/dev/nvidia" + std::to_string(number);
    node->files.gpu_nodes.push_back({number, {{path, path}}});
  }
  return node;
}

// One result of an allocation. Nothing consumed: of a server that does not share devices.
struct FakeShare {
  std::string device = "hami-gpu-0";
  std::optional<int64_t> memory_mib = 10240;
  std::optional<int64_t> cores_pct = 50;
  std::string request = "gpu";
};

// default/<name>, with the UID "uid-<name>".
inline domain::ResourceClaim MakeClaim(const std::string& name,
                                       const std::vector<FakeShare>& shares = {{}}) {
  domain::ResourceClaim claim;
  claim.namespace_name = "default";
  claim.name = name;
  claim.uid = "uid-" + name;
  claim.allocated = true;
  for (const FakeShare& share : shares) {
    domain::DeviceResult result = {.request = share.request,
                                   .driver = kDriverName,
                                   .pool = kGuideNode,
                                   .device = share.device};
    const auto mib = static_cast<int64_t>(base::kMib);
    if (share.memory_mib) result.consumed[kMemoryCapacity] = *share.memory_mib * mib;
    if (share.cores_pct) result.consumed[kCoresCapacity] = *share.cores_pct;
    if (!result.consumed.empty()) {
      result.share_id = "share-" + name + "-" + std::to_string(claim.results.size());
    }
    claim.results.push_back(std::move(result));
  }
  return claim;
}

inline ClaimRef RefTo(const domain::ResourceClaim& claim) {
  return {claim.namespace_name, claim.name, claim.uid};
}

class FakeClaims : public ClaimSource {
 public:
  // In place of one of that name.
  void Put(const domain::ResourceClaim& claim) {
    const std::lock_guard lock(mutex_);
    claims_[{claim.namespace_name, claim.name}] = claim;
  }
  void Delete(const domain::ResourceClaim& claim) {
    const std::lock_guard lock(mutex_);
    claims_.erase({claim.namespace_name, claim.name});
  }
  // What every call answers from now on; nullopt: what was put.
  void Break(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    broken_ = std::move(error);
  }
  int fetches() const { return fetches_; }

  Result<domain::ResourceClaim> Fetch(const ClaimRef& claim) override {
    ++fetches_;
    const std::lock_guard lock(mutex_);
    if (broken_) return Fail(Error(*broken_));
    const auto found = claims_.find({claim.namespace_name, claim.name});
    if (found == claims_.end()) return Fail(Code::kNotFound, "there is no such claim");
    return found->second;
  }

  Result<std::vector<domain::ResourceClaim>> FetchOfNode() override {
    const std::lock_guard lock(mutex_);
    if (broken_) return Fail(Error(*broken_));
    std::vector<domain::ResourceClaim> claims;
    for (const auto& [key, claim] : claims_) {
      if (!claim.results.empty() && claim.results[0].pool == kGuideNode) claims.push_back(claim);
    }
    return claims;
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, domain::ResourceClaim> claims_;
  std::optional<Error> broken_;
  std::atomic<int> fetches_{0};
};

}  // namespace hami::dra
