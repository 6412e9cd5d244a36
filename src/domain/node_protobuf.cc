// SPDX-License-Identifier: Apache-2.0
//
// The numbers are those of core/v1: Node, NodeSpec, Taint, NodeStatus, NodeCondition.

#include "domain/protobuf_fields.h"
#include "domain/protobuf_objects.h"
#include "protobuf/reader.h"

namespace hami::domain {
namespace {

using protobuf::Reader;

Status ReadCondition(std::string_view message, Node* node) {
  std::string_view type;
  std::string_view status;
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 1) type = fields.Text();
    if (fields.number() == 2) status = fields.Text();
  }
  if (type == "Ready") node->ready = status == "True";
  return fields.End();
}

Status ReadTaint(std::string_view message, Node* node) {
  Taint& taint = node->taints.emplace_back();
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 1) taint.key = fields.Text();
    if (fields.number() == 2) taint.value = fields.Text();
    if (fields.number() == 3) taint.effect = fields.Text();
  }
  return fields.End();
}

Status ReadSpec(std::string_view message, Node* node) {
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 4) node->unschedulable = fields.Flag();
    if (fields.number() == 5) RETURN_IF_ERROR(ReadTaint(fields.Text(), node));
  }
  return fields.End();
}

Status ReadStatus(std::string_view message, Node* node) {
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 1) {
      RETURN_IF_ERROR(ReadResourceProtobuf(fields.Text(), &node->capacity));
    } else if (fields.number() == 2) {
      RETURN_IF_ERROR(ReadResourceProtobuf(fields.Text(), &node->allocatable));
    } else if (fields.number() == 4) {
      RETURN_IF_ERROR(ReadCondition(fields.Text(), node));
    }
  }
  return fields.End();
}

}  // namespace

Result<Node> ReadNodeProtobuf(std::string_view message) {
  Node node;
  const MetadataFields metadata{.name = &node.name,
                                .uid = &node.uid,
                                .resource_version = &node.resource_version,
                                .labels = &node.labels,
                                .annotations = &node.annotations};
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 1) RETURN_IF_ERROR(ReadMetadataProtobuf(fields.Text(), metadata));
    if (fields.number() == 2) RETURN_IF_ERROR(ReadSpec(fields.Text(), &node));
    if (fields.number() == 3) RETURN_IF_ERROR(ReadStatus(fields.Text(), &node));
  }
  RETURN_IF_ERROR(fields.End());
  if (node.name.empty()) return Fail(Code::kInvalidArgument, "a node without a name");
  return node;
}

}  // namespace hami::domain
