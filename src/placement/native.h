// SPDX-License-Identifier: Apache-2.0
//
// The CPU and memory that a pod takes of its node: what kube-scheduler counts, the requests, at
// any one time (KEP-753). Pure.

#pragma once

#include <cstdint>

#include "base/result.h"
#include "domain/pod.h"

namespace hami::placement {

struct NativeAsk {
  int64_t cpu_milli = 0;
  int64_t memory_bytes = 0;
};

// kInvalidArgument: one of the quantities cannot be read.
Result<NativeAsk> ReadNativeAsk(const domain::Pod& pod);

}  // namespace hami::placement
