// SPDX-License-Identifier: Apache-2.0
//
// coordination.k8s.io/v1 Leases, as client-go's leader election uses them: plain values. Pure.

#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "json/value.h"
#include "kube/object.h"

namespace hami::kube {

struct Lease {
  ObjectKey key;
  std::string resource_version;
  std::string holder;       // empty: nobody
  int64_t duration_s = 0;   // how long after a renewal nobody else may take it
  int64_t acquired_ns = 0;  // wall time of the holder
  int64_t renewed_ns = 0;   // likewise
  int64_t transitions = 0;  // how often it changed hands
};

// kInvalidArgument: no Lease. What is absent is 0 or empty.
Result<Lease> ReadLease(const json::Value& object);

// For create.
std::string WriteLease(const Lease& lease);

// A merge patch of what a holder changes, which fails unless the Lease still has the
// resource_version; labels, owners and what else there is stay.
std::string WriteLeasePatch(const Lease& lease);

}  // namespace hami::kube
