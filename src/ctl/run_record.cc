// SPDX-License-Identifier: Apache-2.0

#include "ctl/run_record.h"

#include "base/json_writer.h"
#include "base/version.h"

namespace hami::ctl {
namespace {

void Figure(base::JsonWriter* json, const char* name, const std::optional<uint64_t>& value) {
  json->Key(name);
  if (value) {
    json->Value(*value);
  } else {
    json->Null();
  }
}

}  // namespace

std::string WriteRunRecord(const RunRecord& record) {
  const Booking& booking = record.booking;
  base::JsonWriter json;
  json.BeginObject()
      .Member("hami_version", base::Version())
      .Member("name", booking.name)
      .Member("device_uuid", booking.device_uuid)
      .Member("device_index", booking.device_index)
      .Member("device_name", booking.device_name)
      .Member("driver_version", record.driver_version)
      .Member("simulated", !booking.simulation.empty())
      .Member("simulation", booking.simulation)
      .Member("memory_limit_bytes", booking.memory_bytes)
      .Member("cores_pct", booking.cores_pct)
      .Member("policy", booking.policy)
      .Member("degraded", booking.degraded)
      .Member("started_unix_s", booking.created_unix_s)
      .Member("duration_ms", record.duration_ms)
      .Member("exit_code", record.exit_code);
  Figure(&json, "memory_high_water_bytes", record.memory_high_water_bytes);
  Figure(&json, "throttled_ns", record.throttled_ns);
  Figure(&json, "refused_allocations", record.refused);
  Figure(&json, "escapes", record.escapes);
  Figure(&json, "unlimited_processes", record.unlimited_processes);
  json.Key("command").BeginArray();
  for (const std::string& word : booking.command) json.Value(word);
  json.EndArray().EndObject();
  return std::move(json).Take() + "\n";
}

}  // namespace hami::ctl
