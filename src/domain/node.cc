// SPDX-License-Identifier: Apache-2.0

#include "domain/node.h"

#include "domain/json_maps.h"

namespace hami::domain {

Result<Node> ReadNode(const json::Value& object) {
  if (object.kind() != json::Kind::kObject) return Fail(Code::kInvalidArgument, "no object");
  if (const std::string_view kind = object["kind"].Text("Node"); kind != "Node") {
    return Fail(Code::kInvalidArgument, "a " + std::string(kind.substr(0, 64)) + " is no node");
  }
  Node node;
  const json::Value metadata = object["metadata"];
  node.name = metadata["name"].Text();
  if (node.name.empty()) return Fail(Code::kInvalidArgument, "a node without a name");
  node.uid = metadata["uid"].Text();
  node.resource_version = metadata["resourceVersion"].Text();
  node.labels = ReadTexts(metadata["labels"]);
  node.annotations = ReadAnnotations(metadata["annotations"]);
  node.unschedulable = object["spec"]["unschedulable"].Flag();
  for (const json::Value item : object["spec"]["taints"].Elements()) {
    node.taints.push_back({.key = std::string(item["key"].Text()),
                           .value = std::string(item["value"].Text()),
                           .effect = std::string(item["effect"].Text())});
  }
  const json::Value status = object["status"];
  node.capacity = ReadResources(status["capacity"]);
  node.allocatable = ReadResources(status["allocatable"]);
  for (const json::Value condition : status["conditions"].Elements()) {
    if (condition["type"].Text() == "Ready") node.ready = condition["status"].Text() == "True";
  }
  return node;
}

}  // namespace hami::domain
