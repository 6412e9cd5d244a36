// SPDX-License-Identifier: Apache-2.0
//
// Room that is promised to a pod that the API does not show on a node yet. Plain values.

#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "domain/allocation.h"
#include "kube/object.h"
#include "placement/cluster.h"

namespace hami::extender {

enum class Hold : uint8_t {
  kReserved,   // chosen by a filter
  kBinding,    // being written
  kBound,      // written; the watch has not shown it yet
  kUncertain,  // written or not: the answer never came
  kNominated,  // victims are leaving
};

struct Reservation {
  kube::ObjectKey pod;
  std::string uid;
  uint64_t version = 0;  // of the pod, as it was when the room was reserved
  domain::Allocation allocation;
  placement::PodFacts facts;
  std::map<std::string, std::string> annotations;  // what the bind writes
  std::string allocation_id;                       // of domain::kAllocation, among them
  bool grouped = false;                            // one of a PodGroup
  Hold hold = Hold::kReserved;
  int64_t until_ns = 0;  // monotonic
};

}  // namespace hami::extender
