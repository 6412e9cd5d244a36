// SPDX-License-Identifier: Apache-2.0

#include "simulate/json_report.h"

#include <string_view>
#include <utility>

#include "base/json_writer.h"

namespace hami::simulate {
namespace {

using base::JsonWriter;

std::string_view FateName(Fate fate) {
  switch (fate) {
    case Fate::kPlaced:
      return "placed";
    case Fate::kWaiting:
      return "no-room";
    case Fate::kRefused:
      return "refused";
  }
  return "";
}

void WritePoint(const Point& point, JsonWriter* json) {
  json->BeginObject().Member("asked", point.asked).Member("allocated", point.allocated);
  json->Member("fragments", point.fragments).EndObject();
}

void WriteLatency(std::string_view key, const Latency& latency, JsonWriter* json) {
  json->Key(key).BeginObject().Member("decisions", latency.decisions);
  json->Member("meanUs", latency.mean_us).Member("p50Us", latency.p50_us);
  json->Member("p99Us", latency.p99_us).Member("maxUs", latency.max_us).EndObject();
}

void WriteTypes(const Outcome& outcome, JsonWriter* json) {
  json->Key("types").BeginArray();
  for (const TypeUse& type : outcome.types) {
    json->BeginObject().Member("vendor", type.vendor).Member("type", type.type);
    json->Member("devices", type.devices).Member("allocated", type.allocated);
    json->Member("memoryMib", type.memory_mib).Member("memoryUsedMib", type.memory_used_mib);
    json->Member("cores", type.cores).Member("coresUsed", type.cores_used).EndObject();
  }
  json->EndArray();
}

void WritePods(const Scenario& scenario, const Outcome& outcome, JsonWriter* json) {
  json->Key("pods").BeginArray();
  for (const PodOutcome& pod : outcome.pods) {
    const WantedPod& wanted = scenario.pods[pod.pod];
    json->BeginObject().Member("namespace", wanted.pod.namespace_name);
    json->Member("name", wanted.pod.name).Member("source", wanted.source);
    json->Member("fate", FateName(pod.fate)).Member("node", pod.node);
    json->Member("reason", pod.reason).Member("nearest", pod.nearest);
    json->Member("waitedSeconds", pod.waited_s);
    json->Key("devices").BeginArray();
    for (const domain::Slice& slice : pod.slices) {
      json->BeginObject().Member("container", slice.container).Member("vendor", slice.vendor);
      json->Member("device", slice.device).Member("memoryMib", slice.memory_mib);
      json->Member("cores", slice.cores);
      json->Member("shape", slice.mig ? slice.mig->profile : slice.shape).EndObject();
    }
    json->EndArray().EndObject();
  }
  json->EndArray();
}

void WriteTexts(std::string_view key, const std::vector<std::string>& texts, JsonWriter* json) {
  json->Key(key).BeginArray();
  for (const std::string& text : texts) json->Value(text);
  json->EndArray();
}

}  // namespace

std::string RenderJson(const Options& options, const Scenario& scenario, const Outcome& outcome) {
  JsonWriter json;
  json.BeginObject().Member("formatVersion", 1).Member("simulated", true);
  json.Member("policy", options.policy_word);
  json.Key("seed");
  if (options.seed) {
    json.Value(*options.seed);
  } else {
    json.Null();
  }
  json.Member("nodes", outcome.nodes).Member("devices", outcome.devices);
  json.Member("placed", outcome.placed).Member("noRoom", outcome.waiting);
  json.Member("refused", outcome.refused);
  json.Key("end");
  WritePoint(outcome.end, &json);
  json.Member("meanAllocated", outcome.mean_allocated);
  json.Member("lostShare", outcome.lost_devices_share);
  json.Member("cpuMilli", outcome.cpu_milli).Member("cpuUsedMilli", outcome.cpu_used_milli);
  json.Member("memoryBytes", outcome.memory_bytes);
  json.Member("memoryUsedBytes", outcome.memory_used_bytes);
  WriteTypes(outcome, &json);
  WriteLatency("latency", outcome.latency, &json);
  WriteLatency("refusalLatency", outcome.refusals, &json);
  json.Key("points").BeginArray();
  for (const Point& point : outcome.points) WritePoint(point, &json);
  json.EndArray();
  WritePods(scenario, outcome, &json);
  WriteTexts("notes", scenario.notes, &json);
  WriteTexts("overcommitted", outcome.overcommitted, &json);
  json.EndObject();
  return std::move(json).Take() + "\n";
}

}  // namespace hami::simulate
