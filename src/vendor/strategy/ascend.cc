// SPDX-License-Identifier: Apache-2.0
//
// Ascend: cards cut by the driver's templates, or softly by HAMi's own library where the pod says
// so (contract 6.2).

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "base/json_writer.h"
#include "vendor/asked.h"
#include "vendor/strategies.h"

namespace hami::vendor {
namespace {

constexpr int64_t kMost = std::numeric_limits<int32_t>::max();

const Template* RoundUp(const Units& units, int32_t memory_mib) {
  const auto fits = [memory_mib](const Template& piece) { return piece.memory_mib >= memory_mib; };
  const auto found = std::find_if(units.templates.begin(), units.templates.end(), fits);
  return found == units.templates.end() ? nullptr : &*found;
}

const Template* OfSize(const Units& units, int32_t memory_mib) {
  const Template* piece = RoundUp(units, memory_mib);
  return piece != nullptr && piece->memory_mib == memory_mib ? piece : nullptr;
}

Status CheckPairs(const Spec& spec, const domain::PodContainer& container, int64_t count) {
  if (!spec.units.in_pairs || count % 2 == 0) return {};
  return Refuse(container, spec.resources.count,
                fmt::format("{}: its devices come in pairs, write {} or {}", count,
                            std::max<int64_t>(2, count - 1), count + 1));
}

Status CheckCapacity(const Spec& spec, const domain::PodContainer& container, int32_t memory_mib) {
  if (spec.units.capacity_mib == 0 || memory_mib <= spec.units.capacity_mib) return {};
  return Refuse(
      container, spec.resources.memory,
      fmt::format("{} MiB is more than the {} of a card", memory_mib, spec.units.capacity_mib));
}

// Rounds memory_mib up and names the template; the whole card has none.
Status Cut(const Spec& spec, const domain::PodContainer& container, Request* request) {
  if (AskedText(container, spec.resources.cores) != nullptr) {
    return Refuse(container, spec.resources.cores,
                  fmt::format("cores can only be asked with the annotation {}: {}", kAscendModeKey,
                              kAscendSoft));
  }
  if (request->memory_mib == 0) return {};
  if (const Template* piece = RoundUp(spec.units, request->memory_mib)) {
    request->memory_mib = piece->memory_mib;
    request->shape.name = piece->name;
  } else if (spec.units.allocatable_mib > 0) {
    request->memory_mib = spec.units.allocatable_mib;
  }
  if (request->count > 1 && !request->shape.name.empty()) {
    return Refuse(container, spec.resources.memory,
                  fmt::format("vNPU not supported for multiple devices: leave it out for {} whole "
                              "cards, or ask for 1",
                              request->count));
  }
  return {};
}

}  // namespace

Result<Request> AskTemplate(const Spec& spec, const domain::Pod& pod,
                            const domain::PodContainer& container) {
  Request request;
  const ResourceNames& names = spec.resources;
  ASSIGN_OR_RETURN(const std::optional<int64_t> count, Asked(container, names.count, kMostDevices));
  if (!count || *count == 0) return request;
  RETURN_IF_ERROR(CheckPairs(spec, container, *count));
  request.count = static_cast<int32_t>(*count);
  ASSIGN_OR_RETURN(const std::optional<int32_t> memory_mib, AskedMemoryMib(spec, container));
  request.memory_mib = memory_mib.value_or(0);
  RETURN_IF_ERROR(CheckCapacity(spec, container, request.memory_mib));
  if (IsAscendSoft(pod)) {
    ASSIGN_OR_RETURN(const std::optional<int64_t> cores, Asked(container, names.cores, 100));
    request.cores = static_cast<int32_t>(cores.value_or(0));
    request.shape.name = kAscendSoft;
  } else {
    RETURN_IF_ERROR(Cut(spec, container, &request));
  }
  if (request.memory_mib == 0) request.memory_pct = 100;
  return request;
}

Status AdmitTemplate(const Spec& spec, const domain::Pod& pod,
                     const domain::PodContainer& container, Admission* admission) {
  const ResourceNames& names = spec.resources;
  ASSIGN_OR_RETURN(const std::optional<int64_t> count, Asked(container, names.count, kMostDevices));
  if (!count || *count == 0) return {};
  if (spec.units.in_pairs && *count == 1) {
    admission->limits[names.count] = "2";
    admission->requests[names.count] = "2";
  }
  ASSIGN_OR_RETURN(const Request request, spec.ask(spec, pod, Admitted(container, *admission)));
  admission->has_devices = true;
  ASSIGN_OR_RETURN(const std::optional<int64_t> asked, Asked(container, names.memory, kMost));
  if (IsAscendSoft(pod) || asked.value_or(0) == 0) return {};
  const int64_t unit_mib = int64_t{spec.units.memory_mib} * spec.units.memory_factor;
  // Down: what is left is no less than was asked, so it stands for the same template; rounded up it
  // might stand for the next, or be more than a card has.
  const int64_t rounded = request.memory_mib / unit_mib;
  admission->limits[names.memory] = std::to_string(rounded);
  admission->requests[names.memory] = std::to_string(rounded);
  return {};
}

bool IsAscendSoft(const domain::Pod& pod) {
  const auto mode = pod.annotations.find(kAscendModeKey);
  return mode != pod.annotations.end() && mode->second == kAscendSoft;
}

void NoteAscend(const Spec& spec, const Grant& grant,
                std::map<std::string, std::string>* annotations) {
  const bool soft = IsAscendSoft(*grant.pod);
  base::JsonWriter json;
  json.BeginArray();
  bool any = false;
  for (const auto& slices : grant.containers) {
    for (const domain::Slice* slice : slices) {
      any = true;
      json.BeginObject().Member("UUID", slice->device);
      const Template* piece = soft ? nullptr : OfSize(spec.units, slice->memory_mib);
      if (piece != nullptr) json.Member("temp", piece->name);
      json.Member("memory", slice->memory_mib).Member("core", slice->cores).EndObject();
    }
  }
  if (!any) return;
  (*annotations)["huawei.com/" + spec.common_word] = std::move(json.EndArray()).Take();
  (*annotations)["predicate-time"] = std::to_string(grant.now_ns / 1'000'000'000);
}

Status ReadAscendNote(const Spec& spec, const domain::Pod& pod,
                      std::vector<domain::Slice>* slices) {
  const bool soft = IsAscendSoft(pod);
  for (domain::Slice& slice : *slices) {
    if (soft) {
      slice.shape = kAscendSoft;
    } else if (const Template* piece = OfSize(spec.units, slice.memory_mib)) {
      slice.shape = piece->name;
    }
  }
  return {};
}

}  // namespace hami::vendor
