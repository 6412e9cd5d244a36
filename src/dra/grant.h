// SPDX-License-Identifier: Apache-2.0
//
// What a claim gives its containers on this node: the slices of its allocation that are ours, each
// of a GPU that is here. Pure; the records of claims and their CDI documents are made from it.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/resource_claim.h"
#include "gpu/inventory.h"

namespace hami::dra {

// One result of the allocation: one GPU, or a share of it.
struct GrantedSlice {
  std::string request;  // as in the claim; of an alternative "main/sub"
  std::string pool;
  std::string device;    // "hami-gpu-0"
  std::string share_id;  // empty: the GPU is not shared
  std::string uuid;
  int minor = -1;
  std::string pci_bus_id;      // as the kernel writes it
  uint64_t memory_bytes = 0;   // limit
  uint64_t context_bytes = 0;  // what a CUDA context costs there; 0: not known
  int cores_pct = 0;           // 0 and 100: no limit
  std::string policy = "default";
  bool whole = false;         // all of the GPU's memory and no compute limit: needs no library
  bool admin_access = false;  // takes nothing from others

  bool operator==(const GrantedSlice&) const = default;
};

struct ClaimGrant {
  std::string namespace_name;
  std::string name;
  std::string uid;
  std::vector<GrantedSlice> slices;  // in the order of the allocation

  bool operator==(const ClaimGrant&) const = default;
};

// The GPUs that are here, by device name.
struct NodeGpus {
  std::string driver_version;
  bool simulated = false;
  std::map<std::string, gpu::Device> devices;
  std::map<std::string, uint64_t> context_bytes;  // likewise, where it is known
};

// Errors are sentences for the pod's event: what is wrong and what to do.
// kFailedPrecondition: no allocation, none of ours, or more than the GPU has. kNotFound: a GPU is
// gone. kInvalidArgument: parameters of ours that cannot be understood.
Result<ClaimGrant> PlanGrant(const domain::ResourceClaim& claim, const NodeGpus& gpus,
                             std::string_view pool);

// Whether the slices of all claims fit into their GPUs; the message names the GPU and who holds it.
// kResourceExhausted: they do not. The last guard, should a scheduler give a GPU twice.
Status CheckRoom(const ClaimGrant& wanted, const std::vector<const ClaimGrant*>& others,
                 const NodeGpus& gpus);

}  // namespace hami::dra
