// SPDX-License-Identifier: Apache-2.0

#include "kube/lease.h"

#include <algorithm>

#include "base/json_writer.h"
#include "base/timestamp.h"

namespace hami::kube {
namespace {

constexpr int64_t kMaxDurationS = 86'400;

void WriteSpec(const Lease& lease, base::JsonWriter* json) {
  json->Key("spec").BeginObject();
  json->Member("holderIdentity", lease.holder).Member("leaseDurationSeconds", lease.duration_s);
  json->Member("acquireTime", base::FormatMicroTimestamp(lease.acquired_ns));
  json->Member("renewTime", base::FormatMicroTimestamp(lease.renewed_ns));
  json->Member("leaseTransitions", lease.transitions).EndObject();
}

}  // namespace

Result<Lease> ReadLease(const json::Value& object) {
  Lease lease;
  const json::Value metadata = object["metadata"];
  lease.key = {std::string(metadata["namespace"].Text()), std::string(metadata["name"].Text())};
  if (lease.key.name.empty()) return Fail(Code::kInvalidArgument, "a Lease without a name");
  lease.resource_version = metadata["resourceVersion"].Text();
  const json::Value spec = object["spec"];
  lease.holder = spec["holderIdentity"].Text();
  lease.duration_s = std::clamp<int64_t>(spec["leaseDurationSeconds"].Int(), 0, kMaxDurationS);
  lease.acquired_ns = base::ParseTimestamp(spec["acquireTime"].Text()).value_or(0);
  lease.renewed_ns = base::ParseTimestamp(spec["renewTime"].Text()).value_or(0);
  lease.transitions = spec["leaseTransitions"].Int();
  return lease;
}

std::string WriteLease(const Lease& lease) {
  base::JsonWriter json;
  json.BeginObject().Member("apiVersion", kLeases.ApiVersion()).Member("kind", "Lease");
  json.Key("metadata").BeginObject();
  json.Member("namespace", lease.key.name_space).Member("name", lease.key.name).EndObject();
  WriteSpec(lease, &json);
  json.EndObject();
  return std::move(json).Take();
}

std::string WriteLeasePatch(const Lease& lease) {
  base::JsonWriter json;
  json.BeginObject().Key("metadata").BeginObject();
  json.Member("resourceVersion", lease.resource_version).EndObject();
  WriteSpec(lease, &json);
  json.EndObject();
  return std::move(json).Take();
}

}  // namespace hami::kube
