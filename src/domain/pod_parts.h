// SPDX-License-Identifier: Apache-2.0
//
// Inside domain: what both readers of pods (JSON, protobuf) find, and what is concluded from it.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "domain/pod.h"

namespace hami::domain {

struct PodParts {
  Pod pod;
  std::vector<std::string> ended_inits;  // init containers that ended with 0
  std::string spec_pod_group;            // spec.schedulingGroup.podGroupName
};

// Whether the annotation is kept.
inline bool IsKept(std::string_view annotation) { return annotation != kLastApplied; }

// Fills in what other fields say: pod_group, init_done.
Pod Complete(PodParts parts);

}  // namespace hami::domain
