// SPDX-License-Identifier: Apache-2.0
//
// Moore Threads: memory and cores are asked for all devices of a container together.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "vendor/asked.h"
#include "vendor/device_list.h"
#include "vendor/strategies.h"

namespace hami::vendor {
namespace {

constexpr int64_t kMost = std::numeric_limits<int32_t>::max();

// Of one device, in the resource's unit.
Status CheckStep(const Spec& spec, const domain::PodContainer& container, int64_t memory) {
  const std::vector<int32_t>& steps = spec.units.memory_steps;
  if (std::find(steps.begin(), steps.end(), memory) != steps.end()) return {};
  return Refuse(container, spec.resources.memory,
                fmt::format("{} is none of {}", memory, fmt::join(steps, ", ")));
}

}  // namespace

Result<Request> AskDivided(const Spec& spec, const domain::Pod& /*pod*/,
                           const domain::PodContainer& container) {
  Request request;
  const ResourceNames& names = spec.resources;
  ASSIGN_OR_RETURN(const std::optional<int64_t> count, Asked(container, names.count, kMostDevices));
  if (!count || *count == 0) return request;
  request.count = static_cast<int32_t>(*count);
  const int64_t unit_mib = int64_t{spec.units.memory_mib} * spec.units.memory_factor;
  ASSIGN_OR_RETURN(const std::optional<int64_t> memory,
                   Asked(container, names.memory, kMost / unit_mib));
  ASSIGN_OR_RETURN(const std::optional<int64_t> cores, Asked(container, names.cores, kMost));
  if (memory.value_or(0) == 0) {
    request.memory_pct = 100;
    request.cores = spec.units.card_cores;
    return request;
  }
  if (*memory % *count != 0) {
    return Refuse(container, names.memory,
                  fmt::format("{} for {} devices does not divide evenly", *memory, *count));
  }
  RETURN_IF_ERROR(CheckStep(spec, container, *memory / *count));
  request.memory_mib = static_cast<int32_t>(*memory / *count * unit_mib);
  request.cores = static_cast<int32_t>(cores.value_or(0) / *count);
  return request;
}

Status AdmitDivided(const Spec& spec, const domain::Pod& pod, const domain::PodContainer& container,
                    Admission* admission) {
  const ResourceNames& names = spec.resources;
  ASSIGN_OR_RETURN(const std::optional<int64_t> count, Asked(container, names.count, kMostDevices));
  if (!count || *count == 0) return {};
  if (*count > 1 || AskedText(container, names.memory) == nullptr) {
    admission->limits[names.cores] = std::to_string(*count * spec.units.card_cores);
    admission->limits[names.memory] = std::to_string(*count * spec.units.card_memory);
    if (*count > 1) {
      admission->pod_annotations["mthreads.com/request-gpu-num"] = std::to_string(*count);
    }
  }
  return AdmitPresence(spec, pod, container, admission);
}

void NoteMthreads(const Spec& /*spec*/, const Grant& grant,
                  std::map<std::string, std::string>* annotations) {
  // All containers are on the same devices (ChoiceRule::kSameDevices), so the last speaks for all.
  for (const auto& slices : grant.containers) {
    if (slices.empty()) continue;
    (*annotations)["mthreads.com/gpu-index"] = DeviceIndexes(grant, slices);
    (*annotations)["mthreads.com/predicate-time"] = std::to_string(grant.now_ns);
    (*annotations)["mthreads.com/predicate-node"] = grant.node;
  }
}

}  // namespace hami::vendor
