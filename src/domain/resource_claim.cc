// SPDX-License-Identifier: Apache-2.0

#include "domain/resource_claim.h"

#include <algorithm>

#include "domain/quantity.h"

namespace hami::domain {
namespace {

Result<std::map<std::string, int64_t>> ReadQuantities(const json::Value& object) {
  std::map<std::string, int64_t> quantities;
  for (const auto& [name, value] : object.Members()) {
    const std::string text =
        value.kind() == json::Kind::kNumber ? value.Json() : std::string(value.Text());
    ASSIGN_OR_RETURN(quantities[std::string(name)], ParseQuantity(text));
  }
  return quantities;
}

Result<DeviceRequest> ReadRequest(const json::Value& object, std::string name) {
  DeviceRequest request;
  request.name = std::move(name);
  request.device_class = object["deviceClassName"].Text();
  request.all = object["allocationMode"].Text() == "All";
  request.count = object["count"].Int(1);
  request.admin_access = object["adminAccess"].Flag();
  ASSIGN_OR_RETURN(request.capacity, ReadQuantities(object["capacity"]["requests"]));
  for (const json::Value selector : object["selectors"].Elements()) {
    request.selectors.emplace_back(selector["cel"]["expression"].Text());
  }
  return request;
}

Status ReadRequests(const json::Value& devices, std::vector<DeviceRequest>* requests) {
  for (const json::Value item : devices["requests"].Elements()) {
    const std::string name(item["name"].Text());
    if (const json::Value exactly = item["exactly"]; exactly.exists()) {
      ASSIGN_OR_RETURN(DeviceRequest request, ReadRequest(exactly, name));
      requests->push_back(std::move(request));
    }
    for (const json::Value alternative : item["firstAvailable"].Elements()) {
      ASSIGN_OR_RETURN(
          DeviceRequest request,
          ReadRequest(alternative, name + "/" + std::string(alternative["name"].Text())));
      requests->push_back(std::move(request));
    }
  }
  return {};
}

DeviceConstraint ReadConstraint(const json::Value& object) {
  DeviceConstraint constraint;
  for (const json::Value request : object["requests"].Elements()) {
    constraint.requests.emplace_back(request.Text());
  }
  constraint.distinct = object["distinctAttribute"].exists();
  constraint.attribute =
      object[constraint.distinct ? "distinctAttribute" : "matchAttribute"].Text();
  return constraint;
}

Result<DeviceResult> ReadResult(const json::Value& object) {
  DeviceResult result;
  result.request = object["request"].Text();
  result.driver = object["driver"].Text();
  result.pool = object["pool"].Text();
  result.device = object["device"].Text();
  result.share_id = object["shareID"].Text();
  result.admin_access = object["adminAccess"].Flag();
  ASSIGN_OR_RETURN(result.consumed, ReadQuantities(object["consumedCapacity"]));
  return result;
}

}  // namespace

bool OpaqueConfig::AppliesTo(const std::string& request) const {
  return requests.empty() || std::ranges::find(requests, request) != requests.end() ||
         std::ranges::find(requests, BaseRequest(request)) != requests.end();
}

std::string BaseRequest(const std::string& request) { return request.substr(0, request.find('/')); }

Result<ResourceClaim> ReadResourceClaim(const json::Value& object) {
  ResourceClaim claim;
  const json::Value metadata = object["metadata"];
  claim.namespace_name = metadata["namespace"].Text();
  claim.name = metadata["name"].Text();
  claim.uid = metadata["uid"].Text();
  claim.deleted = metadata["deletionTimestamp"].exists();
  RETURN_IF_ERROR(ReadRequests(object["spec"]["devices"], &claim.requests));
  for (const json::Value item : object["spec"]["devices"]["constraints"].Elements()) {
    claim.constraints.push_back(ReadConstraint(item));
  }
  const json::Value status = object["status"];
  const json::Value allocation = status["allocation"];
  claim.allocated = allocation.exists();
  for (const json::Value item : allocation["devices"]["results"].Elements()) {
    ASSIGN_OR_RETURN(DeviceResult result, ReadResult(item));
    claim.results.push_back(std::move(result));
  }
  for (const json::Value item : allocation["devices"]["config"].Elements()) {
    OpaqueConfig config;
    config.from_class = item["source"].Text() == "FromClass";
    for (const json::Value request : item["requests"].Elements()) {
      config.requests.emplace_back(request.Text());
    }
    config.driver = item["opaque"]["driver"].Text();
    config.parameters = item["opaque"]["parameters"].Json();
    claim.configs.push_back(std::move(config));
  }
  for (const json::Value item : status["reservedFor"].Elements()) {
    claim.reserved_for.push_back({.resource = std::string(item["resource"].Text()),
                                  .name = std::string(item["name"].Text()),
                                  .uid = std::string(item["uid"].Text())});
  }
  return claim;
}

}  // namespace hami::domain
