// SPDX-License-Identifier: Apache-2.0

#include "domain/resource_slice.h"

#include <algorithm>

#include "base/json_writer.h"
#include "domain/quantity.h"

namespace hami::domain {
namespace {

using base::JsonWriter;

Result<int64_t> ReadQuantity(const json::Value& value) {
  // The server prints text; a client may have sent a number.
  if (value.kind() == json::Kind::kNumber) return ParseQuantity(value.Json());
  return ParseQuantity(value.Text());
}

Result<std::optional<int64_t>> ReadOptionalQuantity(const json::Value& value) {
  if (!value.exists()) return std::optional<int64_t>();
  ASSIGN_OR_RETURN(const int64_t quantity, ReadQuantity(value));
  return std::optional<int64_t>(quantity);
}

Result<RequestPolicy> ReadPolicy(const json::Value& object) {
  RequestPolicy policy;
  ASSIGN_OR_RETURN(policy.default_value, ReadOptionalQuantity(object["default"]));
  for (const json::Value value : object["validValues"].Elements()) {
    ASSIGN_OR_RETURN(const int64_t valid, ReadQuantity(value));
    policy.valid_values.push_back(valid);
  }
  if (const json::Value range = object["validRange"]; range.exists()) {
    policy.valid_range = RequestPolicy::Range{};
    ASSIGN_OR_RETURN(policy.valid_range->min, ReadQuantity(range["min"]));
    ASSIGN_OR_RETURN(policy.valid_range->max, ReadOptionalQuantity(range["max"]));
    ASSIGN_OR_RETURN(policy.valid_range->step, ReadOptionalQuantity(range["step"]));
  }
  return policy;
}

std::optional<Attribute> ReadAttribute(const json::Value& object) {
  if (const json::Value value = object["int"]; value.exists()) return value.Int();
  if (const json::Value value = object["bool"]; value.exists()) return value.Flag();
  if (const json::Value value = object["string"]; value.exists()) return std::string(value.Text());
  if (const json::Value value = object["version"]; value.exists()) {
    return Semver{std::string(value.Text())};
  }
  return std::nullopt;  // a list, or of a version of the API that we do not know
}

// "driver/name" and "name" are the same name.
std::string LocalName(std::string_view name, std::string_view driver) {
  if (name.size() > driver.size() && name.starts_with(driver) && name[driver.size()] == '/') {
    name.remove_prefix(driver.size() + 1);
  }
  return std::string(name);
}

Result<SliceDevice> ReadDevice(const json::Value& object, std::string_view driver) {
  SliceDevice device;
  device.name = object["name"].Text();
  device.shareable = object["allowMultipleAllocations"].Flag();
  for (const auto& [name, value] : object["attributes"].Members()) {
    if (std::optional<Attribute> attribute = ReadAttribute(value)) {
      device.attributes[LocalName(name, driver)] = std::move(*attribute);
    }
  }
  for (const auto& [name, value] : object["capacity"].Members()) {
    Capacity capacity;
    ASSIGN_OR_RETURN(capacity.value, ReadQuantity(value["value"]));
    capacity.binary = value["value"].Text().ends_with('i');
    if (const json::Value policy = value["requestPolicy"]; policy.exists()) {
      ASSIGN_OR_RETURN(capacity.policy, ReadPolicy(policy));
    }
    device.capacity[LocalName(name, driver)] = std::move(capacity);
  }
  return device;
}

class Writer {
 public:
  void Quantity(std::string_view name, int64_t value, bool binary) {
    json_.Member(name, binary ? FormatBinaryQuantity(value) : FormatDecimalQuantity(value));
  }

  void Capacities(const std::map<std::string, Capacity>& capacities) {
    json_.Key("capacity").BeginObject();
    for (const auto& [name, capacity] : capacities) {
      json_.Key(name).BeginObject();
      Quantity("value", capacity.value, capacity.binary);
      if (capacity.policy) Policy(*capacity.policy, capacity.binary);
      json_.EndObject();
    }
    json_.EndObject();
  }

  void Policy(const RequestPolicy& policy, bool binary) {
    json_.Key("requestPolicy").BeginObject();
    if (policy.default_value) Quantity("default", *policy.default_value, binary);
    if (!policy.valid_values.empty()) {
      json_.Key("validValues").BeginArray();
      for (const int64_t value : policy.valid_values) {
        json_.Value(binary ? FormatBinaryQuantity(value) : FormatDecimalQuantity(value));
      }
      json_.EndArray();
    }
    if (policy.valid_range) {
      json_.Key("validRange").BeginObject();
      Quantity("min", policy.valid_range->min, binary);
      if (policy.valid_range->max) Quantity("max", *policy.valid_range->max, binary);
      if (policy.valid_range->step) Quantity("step", *policy.valid_range->step, binary);
      json_.EndObject();
    }
    json_.EndObject();
  }

  void Attributes(const std::map<std::string, Attribute>& attributes) {
    json_.Key("attributes").BeginObject();
    for (const auto& [name, attribute] : attributes) {
      json_.Key(name).BeginObject();
      if (const auto* number = std::get_if<int64_t>(&attribute)) json_.Member("int", *number);
      if (const auto* flag = std::get_if<bool>(&attribute)) json_.Member("bool", *flag);
      if (const auto* text = std::get_if<std::string>(&attribute)) json_.Member("string", *text);
      if (const auto* version = std::get_if<Semver>(&attribute)) {
        json_.Member("version", version->text);
      }
      json_.EndObject();
    }
    json_.EndObject();
  }

  void Metadata(const ResourceSlice& slice, const SliceOwner& owner) {
    json_.Key("metadata").BeginObject();
    if (slice.name.empty()) {
      json_.Member("generateName", owner.node_name + "-" + slice.driver + "-");
    } else {
      json_.Member("name", slice.name);
      json_.Member("uid", slice.uid);
      json_.Member("resourceVersion", slice.resource_version);
    }
    json_.Key("ownerReferences").BeginArray().BeginObject();
    json_.Member("apiVersion", "v1").Member("kind", "Node");
    json_.Member("name", owner.node_name).Member("uid", owner.node_uid);
    json_.Member("controller", true);
    json_.EndObject().EndArray().EndObject();
  }

  JsonWriter& json() { return json_; }

 private:
  JsonWriter json_;
};

}  // namespace

std::optional<int64_t> ChargeFor(const Capacity& capacity, std::optional<int64_t> request) {
  if (!capacity.policy) return request ? request : capacity.value;
  const RequestPolicy& policy = *capacity.policy;
  if (!request) return policy.default_value ? policy.default_value : capacity.value;
  if (policy.valid_range) {
    const RequestPolicy::Range& range = *policy.valid_range;
    int64_t charge = std::max(*request, range.min);
    if (range.step && *range.step > 0) {
      const int64_t over = (charge - range.min) % *range.step;
      if (over != 0) charge += *range.step - over;
    }
    if (range.max && charge > *range.max) return std::nullopt;
    return charge;
  }
  if (policy.valid_values.empty()) return request;
  const auto fits = std::ranges::lower_bound(policy.valid_values, *request);
  if (fits == policy.valid_values.end()) return std::nullopt;
  return *fits;
}

Result<ResourceSlice> ReadResourceSlice(const json::Value& object) {
  ResourceSlice slice;
  const json::Value metadata = object["metadata"];
  slice.name = metadata["name"].Text();
  slice.uid = metadata["uid"].Text();
  slice.resource_version = metadata["resourceVersion"].Text();
  const json::Value spec = object["spec"];
  slice.driver = spec["driver"].Text();
  if (slice.driver.empty()) {
    return Fail(Code::kInvalidArgument, "ResourceSlice " + slice.name + " names no driver");
  }
  slice.node_name = spec["nodeName"].Text();
  slice.pool_name = spec["pool"]["name"].Text();
  slice.pool_generation = spec["pool"]["generation"].Int();
  slice.pool_slices = spec["pool"]["resourceSliceCount"].Int();
  for (const json::Value item : spec["devices"].Elements()) {
    Result<SliceDevice> device = ReadDevice(item, slice.driver);
    if (!device) return Fail(std::move(device).error().Wrap("ResourceSlice " + slice.name));
    slice.devices.push_back(std::move(*device));
  }
  return slice;
}

std::string WriteResourceSlice(const ResourceSlice& slice, const SliceOwner& owner) {
  Writer writer;
  JsonWriter& json = writer.json();
  json.BeginObject();
  json.Member("apiVersion", "resource.k8s.io/v1").Member("kind", "ResourceSlice");
  writer.Metadata(slice, owner);
  json.Key("spec").BeginObject();
  json.Member("driver", slice.driver).Member("nodeName", slice.node_name);
  json.Key("pool").BeginObject();
  json.Member("name", slice.pool_name).Member("generation", slice.pool_generation);
  json.Member("resourceSliceCount", slice.pool_slices).EndObject();
  json.Key("devices").BeginArray();
  for (const SliceDevice& device : slice.devices) {
    json.BeginObject().Member("name", device.name);
    writer.Attributes(device.attributes);
    writer.Capacities(device.capacity);
    if (device.shareable) json.Member("allowMultipleAllocations", true);
    json.EndObject();
  }
  json.EndArray().EndObject().EndObject();
  return std::move(json).Take();
}

}  // namespace hami::domain
