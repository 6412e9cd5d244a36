// SPDX-License-Identifier: Apache-2.0
//
// Where a claim that waits would come closest to being allocated, and what is missing there. Pure.
//
// All requests of a claim are allocated on one node. Selectors are CEL, which is not evaluated
// here: `eligible` says which devices a request may have at all.

#pragma once

#include <functional>
#include <string>
#include <vector>

#include "domain/device_pool.h"
#include "domain/resource_claim.h"

namespace hami::domain {

// One device that a request could have, or nearly.
struct Candidate {
  const PooledDevice* device = nullptr;
  std::vector<Shortage> shortages;  // empty: it fits
  bool taken = false;               // fits, but another request of this claim needs it
};

struct RequestFit {
  const DeviceRequest* request = nullptr;
  const PooledDevice* device = nullptr;  // what it gets; null: nothing
  std::vector<Candidate> candidates;     // nearest first
};

struct NodeFit {
  std::string node;  // empty: devices that are of no single node
  bool fits = false;
  std::vector<RequestFit> requests;
};

using Eligible = std::function<bool(const DeviceRequest& request, const PooledDevice& device)>;

// Every node that has an eligible device, nearest first: the one that serves most requests and,
// among those, whose worst device lacks the smallest part of what it has.
std::vector<NodeFit> NearestFits(const ResourceClaim& claim, const DevicePools& pools,
                                 const Eligible& eligible);

}  // namespace hami::domain
