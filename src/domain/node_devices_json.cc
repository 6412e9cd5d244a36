// SPDX-License-Identifier: Apache-2.0
//
// The array of objects.

#include "base/json_writer.h"
#include "domain/json_fields.h"
#include "domain/node_devices.h"
#include "json/value.h"

namespace hami::domain {
namespace {

Result<NodeMigProfile> ReadProfile(const json::Value& object) {
  RETURN_IF_ERROR(CheckObject(object, "migProfiles[]"));
  NodeMigProfile profile;
  ASSIGN_OR_RETURN(profile.name, ReadText(object, "name"));
  ASSIGN_OR_RETURN(profile.memory_mib, ReadInt32(object, "memoryMB"));
  ASSIGN_OR_RETURN(profile.cores, ReadInt32(object, "core"));
  ASSIGN_OR_RETURN(profile.slice_count, ReadInt32(object, "sliceCount"));
  const json::Value places = FindMember(object, "placements");
  RETURN_IF_ERROR(CheckArray(places, "placements"));
  for (const json::Value item : places.Elements()) {
    RETURN_IF_ERROR(CheckObject(item, "placements[]"));
    NodeMigPlace place;
    ASSIGN_OR_RETURN(place.start, ReadInt32(item, "start"));
    ASSIGN_OR_RETURN(place.size, ReadInt32(item, "size"));
    profile.places.push_back(place);
  }
  return profile;
}

Status ReadCustomInfo(const json::Value& info, NodeDevice* device) {
  if (info.kind() == json::Kind::kMissing || info.kind() == json::Kind::kNull) return {};
  RETURN_IF_ERROR(CheckObject(info, "custominfo"));
  for (const auto& [name, value] : info.Members()) {
    if (value.kind() == json::Kind::kText) {
      device->custom_texts.insert_or_assign(std::string(name), std::string(value.Text()));
    } else {
      device->custom_json.insert_or_assign(std::string(name), value.Json());
    }
  }
  return {};
}

Result<NodeDevice> ReadDevice(const json::Value& object) {
  RETURN_IF_ERROR(CheckObject(object, "[]"));
  NodeDevice device;
  ASSIGN_OR_RETURN(device.id, ReadText(object, "id"));
  ASSIGN_OR_RETURN(device.index, ReadInt32(object, "index"));
  if (device.index < 0) return Fail(Code::kInvalidArgument, "\"index\" is negative");
  ASSIGN_OR_RETURN(device.count, ReadInt32(object, "count"));
  ASSIGN_OR_RETURN(device.memory_mib, ReadInt32(object, "devmem"));
  ASSIGN_OR_RETURN(device.cores, ReadInt32(object, "devcore"));
  ASSIGN_OR_RETURN(device.type, ReadText(object, "type"));
  ASSIGN_OR_RETURN(device.numa, ReadInt32(object, "numa"));
  ASSIGN_OR_RETURN(device.mode, ReadText(object, "mode"));
  ASSIGN_OR_RETURN(device.health, ReadFlag(object, "health"));
  ASSIGN_OR_RETURN(device.vendor, ReadText(object, "devicevendor"));
  const json::Value profiles = FindMember(object, "migProfiles");
  RETURN_IF_ERROR(CheckArray(profiles, "migProfiles"));
  for (const json::Value item : profiles.Elements()) {
    ASSIGN_OR_RETURN(NodeMigProfile profile, ReadProfile(item));
    device.mig_profiles.push_back(std::move(profile));
  }
  RETURN_IF_ERROR(ReadCustomInfo(FindMember(object, "custominfo"), &device));
  return device;
}

// Go's omitempty: zero values are not written.
class Omitting {
 public:
  explicit Omitting(base::JsonWriter* json) : json_(json) {}
  Omitting& Member(std::string_view name, int32_t value) {
    if (value != 0) json_->Member(name, value);
    return *this;
  }
  Omitting& Member(std::string_view name, const std::string& value) {
    if (!value.empty()) json_->Member(name, value);
    return *this;
  }

 private:
  base::JsonWriter* const json_;
};

void WriteProfiles(const std::vector<NodeMigProfile>& profiles, base::JsonWriter* json) {
  if (profiles.empty()) return;
  json->Key("migProfiles").BeginArray();
  for (const NodeMigProfile& profile : profiles) {
    json->BeginObject().Member("name", profile.name).Member("memoryMB", profile.memory_mib);
    json->Member("core", profile.cores).Member("sliceCount", profile.slice_count);
    json->Key("placements").BeginArray();
    for (const NodeMigPlace& place : profile.places) {
      json->BeginObject().Member("start", place.start).Member("size", place.size).EndObject();
    }
    json->EndArray().EndObject();
  }
  json->EndArray();
}

void WriteCustomInfo(const NodeDevice& device, base::JsonWriter* json) {
  if (device.custom_texts.empty() && device.custom_json.empty()) return;
  json->Key("custominfo").BeginObject();
  for (const auto& [name, value] : device.custom_json) json->Key(name).Raw(value);
  for (const auto& [name, value] : device.custom_texts) json->Member(name, value);
  json->EndObject();
}

}  // namespace

Result<std::vector<NodeDevice>> ParseNodeDevicesJson(std::string_view text) {
  json::Document document;
  RETURN_IF_ERROR(document.Parse(text));
  if (document.root().kind() != json::Kind::kArray) {
    return Fail(Code::kInvalidArgument, "the list of devices is no array");
  }
  std::vector<NodeDevice> devices;
  for (const json::Value item : document.root().Elements()) {
    Result<NodeDevice> device = ReadDevice(item);
    if (!device) {
      return Fail(std::move(device).error().Wrap("device " + std::to_string(devices.size() + 1)));
    }
    devices.push_back(std::move(*device));
  }
  return devices;
}

std::string FormatNodeDevicesJson(const std::vector<NodeDevice>& devices) {
  base::JsonWriter json;
  json.BeginArray();
  for (const NodeDevice& device : devices) {
    json.BeginObject();
    Omitting(&json)
        .Member("id", device.id)
        .Member("index", device.index)
        .Member("count", device.count)
        .Member("devmem", device.memory_mib)
        .Member("devcore", device.cores)
        .Member("type", device.type)
        .Member("numa", device.numa)
        .Member("mode", device.mode);
    WriteProfiles(device.mig_profiles, &json);
    if (device.health) json.Member("health", true);
    Omitting(&json).Member("devicevendor", device.vendor);
    WriteCustomInfo(device, &json);
    json.EndObject();
  }
  json.EndArray();
  return std::move(json).Take();
}

}  // namespace hami::domain
