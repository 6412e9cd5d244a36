// SPDX-License-Identifier: Apache-2.0

#include "domain/mig_allocations.h"

#include <set>
#include <utility>

#include "base/json_writer.h"
#include "domain/json_fields.h"
#include "json/value.h"

namespace hami::domain {
namespace {

bool IsThere(const json::Value& object, std::string_view name) {
  const json::Kind kind = FindMember(object, name).kind();
  return kind != json::Kind::kMissing && kind != json::Kind::kNull;
}

// What the node adds once the instance is there.
Status ReadInstance(const json::Value& object, MigPlacement* placement) {
  const int present = static_cast<int>(IsThere(object, "migUUID")) +
                      static_cast<int>(IsThere(object, "gpuInstanceID")) +
                      static_cast<int>(IsThere(object, "computeInstanceID"));
  if (present == 0) return {};
  ASSIGN_OR_RETURN(placement->mig_uuid, ReadText(object, "migUUID"));
  ASSIGN_OR_RETURN(placement->gpu_instance, ReadInt32(object, "gpuInstanceID"));
  ASSIGN_OR_RETURN(placement->compute_instance, ReadInt32(object, "computeInstanceID"));
  if (present != 3 || placement->mig_uuid.empty()) {
    return Fail(Code::kInvalidArgument, "an instance that is known in part");
  }
  if (placement->gpu_instance < 0 || placement->compute_instance < 0) {
    return Fail(Code::kInvalidArgument, "an instance with a negative number");
  }
  return {};
}

Result<MigAllocation> ReadAllocation(const json::Value& object) {
  RETURN_IF_ERROR(CheckObject(object, "[]"));
  MigAllocation allocation;
  ASSIGN_OR_RETURN(allocation.container, ReadInt32(object, "containerIndex"));
  ASSIGN_OR_RETURN(allocation.device, ReadInt32(object, "deviceIndex"));
  ASSIGN_OR_RETURN(allocation.gpu, ReadText(object, "gpuUUID"));
  MigPlacement& placement = allocation.placement;
  ASSIGN_OR_RETURN(placement.profile, ReadText(object, "profile"));
  if (const json::Value place = FindMember(object, "placement"); place.exists()) {
    RETURN_IF_ERROR(CheckObject(place, "placement"));
    ASSIGN_OR_RETURN(placement.start, ReadInt32(place, "start"));
    ASSIGN_OR_RETURN(placement.size, ReadInt32(place, "size"));
  }
  if (allocation.container < 0 || allocation.device < 0) {
    return Fail(Code::kInvalidArgument, "a negative index");
  }
  if (allocation.gpu.empty()) return Fail(Code::kInvalidArgument, "no gpuUUID");
  if (placement.profile.empty()) return Fail(Code::kInvalidArgument, "no profile");
  if (placement.size <= 0 || placement.start < 0) {
    return Fail(Code::kInvalidArgument, "a placement that is none");
  }
  RETURN_IF_ERROR(ReadInstance(object, &placement));
  return allocation;
}

}  // namespace

Result<std::vector<MigAllocation>> ParseMigAllocations(std::string_view text) {
  json::Document document;
  RETURN_IF_ERROR(document.Parse(text));
  if (document.root().kind() != json::Kind::kArray) {
    return Fail(Code::kInvalidArgument, "the list of MIG allocations is no array");
  }
  std::vector<MigAllocation> allocations;
  std::set<std::pair<int32_t, int32_t>> seen;
  for (const json::Value item : document.root().Elements()) {
    Result<MigAllocation> allocation = ReadAllocation(item);
    if (allocation && !seen.emplace(allocation->container, allocation->device).second) {
      allocation = Fail(Code::kInvalidArgument, "the same device of a container twice");
    }
    if (!allocation) {
      return Fail(std::move(allocation)
                      .error()
                      .Wrap("MIG allocation " + std::to_string(allocations.size() + 1)));
    }
    allocations.push_back(std::move(*allocation));
  }
  return allocations;
}

std::string FormatMigAllocations(const std::vector<MigAllocation>& allocations) {
  base::JsonWriter json;
  json.BeginArray();
  for (const MigAllocation& allocation : allocations) {
    const MigPlacement& placement = allocation.placement;
    json.BeginObject().Member("containerIndex", allocation.container);
    json.Member("deviceIndex", allocation.device).Member("gpuUUID", allocation.gpu);
    json.Member("profile", placement.profile);
    json.Key("placement").BeginObject().Member("start", placement.start);
    json.Member("size", placement.size).EndObject();
    if (!placement.mig_uuid.empty()) {
      json.Member("migUUID", placement.mig_uuid).Member("gpuInstanceID", placement.gpu_instance);
      json.Member("computeInstanceID", placement.compute_instance);
    }
    json.EndObject();
  }
  json.EndArray();
  return std::move(json).Take();
}

}  // namespace hami::domain
