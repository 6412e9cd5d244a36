// SPDX-License-Identifier: Apache-2.0
//
// Kunlun: shares of a card in a few sizes; whole cards by index.

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "vendor/asked.h"
#include "vendor/device_list.h"
#include "vendor/strategies.h"

namespace hami::vendor {
namespace {

constexpr int64_t kMost = std::numeric_limits<int32_t>::max();

// The next step; more than the largest is the whole card, as HAMi has it.
int32_t RoundUp(const std::vector<int32_t>& steps, int64_t memory) {
  const auto step = std::lower_bound(steps.begin(), steps.end(), memory);
  return step == steps.end() ? steps.back() : *step;
}

}  // namespace

Result<Request> AskStepped(const Spec& spec, const domain::Pod& /*pod*/,
                           const domain::PodContainer& container) {
  Request request;
  const ResourceNames& names = spec.resources;
  ASSIGN_OR_RETURN(const std::optional<int64_t> count, Asked(container, names.count, kMostDevices));
  if (!count || *count == 0) return request;
  request.count = static_cast<int32_t>(*count);
  ASSIGN_OR_RETURN(const std::optional<int32_t> memory_mib, AskedMemoryMib(spec, container));
  const std::vector<int32_t>& steps = spec.units.memory_steps;
  const int32_t whole_mib = steps.back();
  request.memory_mib =
      memory_mib.value_or(0) == 0 ? whole_mib : RoundUp(steps, memory_mib.value_or(0));
  request.cores = static_cast<int32_t>(int64_t{request.memory_mib} * 100 / whole_mib);
  return request;
}

Status AdmitStepped(const Spec& spec, const domain::Pod& pod, const domain::PodContainer& container,
                    Admission* admission) {
  ASSIGN_OR_RETURN(const Request request, spec.ask(spec, pod, container));
  if (request.count == 0) return {};
  admission->has_devices = true;
  ASSIGN_OR_RETURN(const std::optional<int64_t> memory,
                   Asked(container, spec.resources.memory, kMost));
  if (!memory) return {};
  const std::string rounded = std::to_string(request.memory_mib);
  admission->limits[spec.resources.memory] = rounded;
  admission->requests[spec.resources.memory] = rounded;
  return {};
}

void NoteKunlun(const Spec& /*spec*/, const Grant& grant,
                std::map<std::string, std::string>* annotations) {
  // The protocol has room for one container: the last with devices, as HAMi writes it.
  for (const auto& slices : grant.containers) {
    if (slices.empty()) continue;
    (*annotations)["BAIDU_COM_DEVICE_IDX"] = DeviceIndexes(grant, slices);
  }
}

}  // namespace hami::vendor
