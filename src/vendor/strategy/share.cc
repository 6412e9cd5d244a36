// SPDX-License-Identifier: Apache-2.0
//
// Shares of cards and whole cards, the common case.

#include <algorithm>
#include <limits>
#include <optional>

#include "vendor/asked.h"
#include "vendor/strategies.h"

namespace hami::vendor {
namespace {

constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
constexpr int32_t kAll = 100;  // percent

}  // namespace

Result<Request> AskShare(const Spec& spec, const domain::Pod& /*pod*/,
                         const domain::PodContainer& container) {
  Request request;
  const ResourceNames& names = spec.resources;
  ASSIGN_OR_RETURN(const std::optional<int64_t> count, Asked(container, names.count, kMostDevices));
  if (!count || *count == 0) return request;
  request.count = static_cast<int32_t>(*count);
  ASSIGN_OR_RETURN(const std::optional<int32_t> memory_mib, AskedMemoryMib(spec, container));
  ASSIGN_OR_RETURN(const std::optional<int64_t> percent, Asked(container, names.memory_pct, kMost));
  ASSIGN_OR_RETURN(const std::optional<int64_t> cores, Asked(container, names.cores, kMost));
  request.memory_mib = memory_mib.value_or(0);
  if (request.memory_mib == 0 && percent.value_or(0) > 0) {
    request.memory_pct = static_cast<int32_t>(std::min<int64_t>(*percent, kAll));
  }
  if (request.memory_mib == 0 && request.memory_pct == 0) {
    request.memory_mib = spec.units.default_memory_mib;
    if (request.memory_mib == 0) request.memory_pct = kAll;
  }
  request.cores =
      static_cast<int32_t>(std::min<int64_t>(cores.value_or(spec.units.default_cores), kAll));
  return request;
}

Result<Request> AskShareOrWholes(const Spec& spec, const domain::Pod& pod,
                                 const domain::PodContainer& container) {
  ASSIGN_OR_RETURN(Request request, AskShare(spec, pod, container));
  if (request.count > 1) request.cores = kAll;
  return request;
}

Status AdmitPresence(const Spec& spec, const domain::Pod& pod,
                     const domain::PodContainer& container, Admission* admission) {
  ASSIGN_OR_RETURN(const Request request, spec.ask(spec, pod, Admitted(container, *admission)));
  if (request.count > 0) admission->has_devices = true;
  return {};
}

Status AdmitIluvatar(const Spec& spec, const domain::Pod& pod,
                     const domain::PodContainer& container, Admission* admission) {
  ASSIGN_OR_RETURN(const Request request, spec.ask(spec, pod, container));
  if (request.count == 0) return {};
  admission->has_devices = true;
  if (request.count > 1) {
    admission->limits[spec.resources.cores] =
        std::to_string(int64_t{request.count} * spec.units.card_cores);
  }
  // Spelt as the vendor's plugin reads it.
  if (!container.name.empty()) {
    admission->environment.emplace_back("SOL_CONTINER_NAME", container.name);
  }
  return {};
}

Status AdmitAmd(const Spec& spec, const domain::Pod& pod, const domain::PodContainer& container,
                Admission* admission) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> cores,
                   Asked(container, spec.resources.cores, kAll));
  if (cores && *cores == 0) {
    return Refuse(container, spec.resources.cores,
                  "0 compute units cannot run anything: write 1 to 100, or leave it out for all");
  }
  ASSIGN_OR_RETURN(const std::optional<int32_t> memory_mib, AskedMemoryMib(spec, container));
  if (cores || memory_mib) admission->has_devices = true;
  return AdmitPresence(spec, pod, container, admission);
}

}  // namespace hami::vendor
