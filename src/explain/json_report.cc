// SPDX-License-Identifier: Apache-2.0

#include "explain/json_report.h"

#include <utility>

#include "base/json_writer.h"
#include "explain/advice.h"
#include "explain/read_objects.h"
#include "explain/wording.h"

namespace hami::explain {
namespace {

using base::JsonWriter;

void WriteTexts(std::string_view key, const std::vector<std::string>& texts, JsonWriter* json) {
  json->Key(key).BeginArray();
  for (const std::string& text : texts) json->Value(text);
  json->EndArray();
}

void WriteAmounts(std::string_view key, const std::vector<NamedAmount>& amounts, JsonWriter* json) {
  json->Key(key).BeginObject();
  for (const NamedAmount& amount : amounts) json->Member(amount.capacity, amount.amount.value);
  json->EndObject();
}

void WriteDevice(const DeviceName& device, JsonWriter* json) {
  json->Member("driver", device.driver).Member("pool", device.pool);
  json->Member("device", device.device).Member("node", device.node);
  json->Member("product", device.product);
}

void WriteRequests(const Explanation& explanation, JsonWriter* json) {
  json->Key("requests").BeginArray();
  for (const Request& request : explanation.requests) {
    json->BeginObject().Member("name", request.name).Member("deviceClass", request.device_class);
    json->Member("driver", request.driver);
    json->Member("all", request.all).Member("count", request.count);
    json->Member("adminAccess", request.admin_access);
    WriteAmounts("capacity", request.capacity, json);
    WriteTexts("selectors", request.selectors, json);
    json->EndObject();
  }
  json->EndArray();
  json->Key("classes").BeginArray();
  for (const ClassFacts& device_class : explanation.classes) {
    json->BeginObject().Member("name", device_class.name);
    WriteTexts("selectors", device_class.selectors, json);
    json->EndObject();
  }
  json->EndArray();
  WriteTexts("constraints", explanation.constraints, json);
}

void WriteHolders(const std::vector<Holder>& holders, JsonWriter* json) {
  json->Key("heldBy").BeginArray();
  for (const Holder& holder : holders) {
    json->BeginObject().Member("claim", holder.claim);
    WriteAmounts("amounts", holder.held, json);
    json->Key("pods").BeginArray();
    for (const HoldingPod& pod : holder.pods) {
      json->BeginObject().Member("name", pod.name).Member("phase", pod.phase).EndObject();
    }
    json->EndArray().EndObject();
  }
  json->EndArray();
}

void WriteCandidate(const Candidate& candidate, JsonWriter* json) {
  json->BeginObject();
  WriteDevice(candidate.device, json);
  json->Member("shareable", candidate.shareable);
  json->Member("inUse", candidate.in_use);
  json->Member("takenByThisClaim", candidate.taken);
  json->Key("capacities").BeginArray();
  for (const Comparison& capacity : candidate.capacities) {
    json->BeginObject().Member("name", capacity.capacity);
    json->Member("asked", capacity.asked.value).Member("free", capacity.free.value);
    json->Member("total", capacity.total.value);
    json->Member("shortBy", capacity.lacks ? capacity.asked.value - capacity.free.value : 0);
    json->Member("never", capacity.never).Member("unknown", capacity.unknown);
    json->EndObject();
  }
  json->EndArray();
  WriteHolders(candidate.holders, json);
  json->EndObject();
}

void WriteUnserved(const Explanation& explanation, JsonWriter* json) {
  json->Key("unserved").BeginArray();
  for (const Unserved& unserved : explanation.unserved) {
    json->BeginObject().Member("request", unserved.request);
    WriteAmounts("atMost", unserved.at_most, json);
    json->Key("nearest");
    WriteCandidate(unserved.nearest, json);
    json->Key("others").BeginArray();
    for (const Candidate& other : unserved.others) WriteCandidate(other, json);
    json->EndArray().Member("more", unserved.more).EndObject();
  }
  json->EndArray();
}

void WriteServed(const Explanation& explanation, JsonWriter* json) {
  json->Key("served").BeginArray();
  for (const Served& served : explanation.served) {
    json->BeginObject().Member("request", served.request);
    WriteDevice(served.device, json);
    WriteAmounts("amounts", served.amounts, json);
    json->Member("published", !served.gone).Member("adminAccess", served.admin_access);
    json->EndObject();
  }
  json->EndArray();
}

void WritePod(const PodFacts& pod, JsonWriter* json) {
  json->BeginObject().Member("namespace", pod.namespace_name).Member("name", pod.name);
  json->Member("phase", pod.phase).Member("node", pod.node).Member("deleted", pod.deleted);
  json->Member("well", IsWell(pod));
  json->Key("conditions").BeginArray();
  for (const PodCondition& condition : pod.conditions) {
    json->BeginObject().Member("type", condition.type).Member("status", condition.holds);
    json->Member("reason", condition.reason).Member("message", condition.message).EndObject();
  }
  json->EndArray().Key("containers").BeginArray();
  for (const StuckContainer& container : pod.stuck) {
    json->BeginObject().Member("name", container.name).Member("reason", container.reason);
    json->Member("message", container.message).Key("exitCode");
    if (container.exit_code) {
      json->Value(*container.exit_code);
    } else {
      json->Null();
    }
    json->EndObject();
  }
  json->EndArray().Key("warnings").BeginArray();
  for (const PodEvent& event : pod.warnings) {
    json->BeginObject().Member("reason", event.reason).Member("message", event.message);
    json->Member("count", event.count).Member("lastSeen", event.last_seen).EndObject();
  }
  json->EndArray().EndObject();
}

void WriteClaim(const Explanation& explanation, JsonWriter* json) {
  json->BeginObject().Member("namespace", explanation.namespace_name);
  json->Member("name", explanation.name).Member("verdict", VerdictName(explanation.verdict));
  json->Member("summary", Headline(explanation)).Member("deleted", explanation.deleted);
  WriteRequests(explanation, json);
  json->Member("node", explanation.node);
  WriteServed(explanation, json);
  WriteUnserved(explanation, json);
  json->Key("pods").BeginArray();
  for (const PodFacts& pod : explanation.pods) WritePod(pod, json);
  json->EndArray();
  WriteTexts("similar", explanation.similar, json);
  json->Member("template", explanation.template_name);
  json->Key("generated").BeginArray();
  for (const GeneratedClaim& made : explanation.generated) {
    json->BeginObject().Member("pod", made.pod).Member("claim", made.claim).EndObject();
  }
  json->EndArray();
  json->Member("upperBounds", explanation.upper_bounds);
  WriteTexts("advice", Advice(explanation), json);
  WriteTexts("notes", Notes(explanation), json);
  json->EndObject();
}

void WritePlacing(const Placing& placing, JsonWriter* json) {
  json->BeginObject().Member("verdict", PlacingVerdictName(placing.verdict));
  json->Member("node", placing.node).Member("fault", placing.fault);
  WriteTexts("asked", placing.asked, json);
  json->Key("misses").BeginArray();
  for (const NodeMiss& miss : placing.misses) {
    json->BeginObject().Member("node", miss.node).Member("cards", miss.cards);
    json->Member("reasons", miss.reasons).EndObject();
  }
  json->EndArray().Member("more", placing.more);
  json->Key("gaps").BeginArray();
  for (const Gap& gap : placing.gaps) {
    json->BeginObject().Member("what", gap.what).Member("why", gap.why).EndObject();
  }
  json->EndArray().EndObject();
}

}  // namespace

std::string RenderJson(const Report& report) {
  JsonWriter json;
  json.BeginObject().Member("formatVersion", 1).Key("pod");
  if (report.pod) {
    WritePod(*report.pod, &json);
  } else {
    json.Null();
  }
  json.Key("claims").BeginArray();
  for (const Explanation& explanation : report.claims) WriteClaim(explanation, &json);
  json.EndArray().Key("devices");
  if (report.placing) {
    WritePlacing(*report.placing, &json);
  } else {
    json.Null();
  }
  json.EndObject();
  return std::move(json).Take() + "\n";
}

}  // namespace hami::explain
