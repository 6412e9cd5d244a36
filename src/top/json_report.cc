// SPDX-License-Identifier: Apache-2.0

#include "top/json_report.h"

#include <optional>
#include <utility>

#include "base/json_writer.h"
#include "base/version.h"

namespace hami::top {
namespace {

template <typename T>
void Figure(const char* name, const std::optional<T>& value, base::JsonWriter* json) {
  json->Key(name);
  if (value) {
    json->Value(*value);
  } else {
    json->Null();
  }
}

void WriteDevice(const Device& device, base::JsonWriter* json) {
  json->BeginObject();
  Figure("index", device.index, json);
  json->Member("uuid", device.uuid).Member("name", device.name);
  Figure("memory_bytes", device.memory_bytes, json);
  Figure("used_bytes", device.used_bytes, json);
  Figure("utilization_pct", device.utilization_pct, json);
  json->Member("granted_bytes", device.granted_bytes)
      .Member("granted_cores_pct", device.granted_cores_pct)
      .Member("slices", device.slices)
      .EndObject();
}

void WriteProcess(const Process& process, bool counts_gpu_ns, base::JsonWriter* json) {
  json->BeginObject().Member("slot", process.slot).Member("pid", process.pid);
  Figure("host_pid", process.host_pid, json);
  Figure("alive", process.alive, json);
  json->Member("used_bytes", process.used_bytes);
  Figure("gpu_ns", counts_gpu_ns ? std::optional(process.gpu_ns) : std::nullopt, json);
  Figure("compute_pct", process.compute_pct, json);
  json->Member("command", process.command).EndObject();
}

const char* SourceName(ComputeSource source) {
  switch (source) {
    case ComputeSource::kRegion:
      return "region";
    case ComputeSource::kDriver:
      return "driver";
    case ComputeSource::kNone:
      break;
  }
  return nullptr;
}

void WriteUse(const Slice& slice, base::JsonWriter* json) {
  const auto counted = [&](uint64_t bytes) {
    return slice.counted ? std::optional(bytes) : std::nullopt;
  };
  Figure("used_bytes", counted(slice.used_bytes), json);
  Figure("hidden_bytes", counted(slice.hidden_bytes), json);
  Figure("compute_pct", slice.compute_pct, json);
  const char* const source = SourceName(slice.compute_source);
  Figure("compute_source", source == nullptr ? std::nullopt : std::optional(source), json);
  Figure("gpu_ns", slice.gpu_ns, json);
  Figure("throttled_ns", slice.throttled_ns, json);
  Figure("throttled_pct", slice.throttled_pct, json);
  Figure("refused", slice.refused, json);
}

void WriteSlice(const Slice& slice, base::JsonWriter* json) {
  json->BeginObject()
      .Member("name", slice.name)
      .Member("kind", KindName(slice.kind))
      .Member("path", slice.path)
      .Member("device_uuid", slice.device_uuid);
  Figure("device_index", slice.device_index, json);
  json->Member("device_name", slice.device_name)
      .Member("rung", slice.rung)
      .Member("degraded", slice.degraded)
      .Member("simulated", slice.simulated);
  Figure("memory_limit_bytes", slice.memory_limit_bytes, json);
  Figure("cores_limit_pct", slice.cores_limit_pct, json);
  json->Member("cores_enforced", slice.cores_enforced).Member("launches_held", slice.launches_held);
  WriteUse(slice, json);
  json->Member("problem", slice.problem).Key("processes").BeginArray();
  for (const Process& process : slice.processes) {
    WriteProcess(process, slice.gpu_ns.has_value(), json);
  }
  json->EndArray().EndObject();
}

}  // namespace

std::string JsonOf(const Snapshot& snapshot) {
  constexpr int kFormatVersion = 1;
  constexpr int64_t kNsPerMs = 1'000'000;
  base::JsonWriter json;
  json.BeginObject()
      .Member("format_version", kFormatVersion)
      .Member("hami_version", base::Version())
      .Member("time_unix_ms", snapshot.wall_ns / kNsPerMs);
  Figure("interval_ms",
         snapshot.interval_ns ? std::optional(*snapshot.interval_ns / kNsPerMs) : std::nullopt,
         &json);
  json.Member("driver_version", snapshot.driver_version).Member("simulation", snapshot.simulation);
  json.Key("devices").BeginArray();
  for (const Device& device : snapshot.devices) WriteDevice(device, &json);
  json.EndArray().Key("slices").BeginArray();
  for (const Slice& slice : snapshot.slices) WriteSlice(slice, &json);
  json.EndArray().Key("notes").BeginArray();
  for (const std::string& note : snapshot.notes) json.Value(note);
  json.EndArray().EndObject();
  return std::move(json).Take() + "\n";
}

}  // namespace hami::top
