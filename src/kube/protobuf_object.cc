// SPDX-License-Identifier: Apache-2.0

#include "kube/protobuf_object.h"

#include "kube/encoded_object.h"
#include "protobuf/reader.h"

namespace hami::kube {
namespace {

using protobuf::Reader;

constexpr std::string_view kMagic("k8s\0", 4);
constexpr std::string_view kInitialEventsEnd = "k8s.io/initial-events-end";

// An entry of the annotations: whether it ends the initial events.
Result<bool> EndsInitialEvents(std::string_view entry) {
  std::string_view key;
  std::string_view value;
  Reader fields(entry);
  while (fields.Next()) {
    if (fields.number() == 1) key = fields.Text();
    if (fields.number() == 2) value = fields.Text();
  }
  RETURN_IF_ERROR(fields.End());
  return key == kInitialEventsEnd && value == "true";
}

// metav1.ObjectMeta
Status ReadObjectMeta(std::string_view message, ObjectFacts* facts) {
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 1) facts->key.name = fields.Text();
    if (fields.number() == 3) facts->key.name_space = fields.Text();
    if (fields.number() == 6) facts->resource_version = fields.Text();
    if (fields.number() == 12 && !facts->ends_initial_events) {
      ASSIGN_OR_RETURN(facts->ends_initial_events, EndsInitialEvents(fields.Text()));
    }
  }
  return fields.End();
}

// metav1.ListMeta
Status ReadListMeta(std::string_view message, ProtobufListFacts* facts) {
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 2) facts->resource_version = fields.Text();
    if (fields.number() == 3) facts->continue_token = fields.Text();
  }
  return fields.End();
}

// runtime.TypeMeta
Status ReadKind(std::string_view message, std::string_view* kind) {
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 2) *kind = fields.Text();
  }
  return fields.End();
}

// runtime.RawExtension
Result<std::string_view> ReadRaw(std::string_view message) {
  std::string_view raw;
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 1) raw = fields.Text();
  }
  RETURN_IF_ERROR(fields.End());
  return raw;
}

}  // namespace

bool IsProtobufText(std::string_view text) { return text.starts_with(kMagic); }

Result<ProtobufObject> OpenEnvelope(std::string_view text) {
  if (!IsProtobufText(text)) return Fail(Code::kInvalidArgument, "no envelope of protobuf");
  ProtobufObject object;
  bool has_message = false;
  Reader fields(text.substr(kMagic.size()));
  while (fields.Next()) {
    if (fields.number() == 1) RETURN_IF_ERROR(ReadKind(fields.Text(), &object.kind));
    if (fields.number() != 2) continue;
    object.message = fields.Text();
    has_message = true;
  }
  RETURN_IF_ERROR(fields.End());
  if (!has_message) return Fail(Code::kInvalidArgument, "an empty envelope of protobuf");
  return object;
}

Result<ProtobufListFacts> ReadProtobufList(
    std::string_view message, const std::function<Status(std::string_view item)>& visit) {
  ProtobufListFacts facts;
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 1) RETURN_IF_ERROR(ReadListMeta(fields.Text(), &facts));
    if (fields.number() == 2) RETURN_IF_ERROR(visit(fields.Text()));
  }
  RETURN_IF_ERROR(fields.End());
  return facts;
}

Result<ProtobufEvent> ReadProtobufEvent(std::string_view frame) {
  ProtobufEvent event;
  std::string_view raw;
  Reader fields(frame);
  while (fields.Next()) {
    if (fields.number() == 1) event.type = fields.Text();
    if (fields.number() == 2) {
      ASSIGN_OR_RETURN(raw, ReadRaw(fields.Text()));
    }
  }
  RETURN_IF_ERROR(fields.End());
  ASSIGN_OR_RETURN(event.object, OpenEnvelope(raw));
  return event;
}

Result<ObjectFacts> ReadObjectFacts(const EncodedObject& object) {
  ObjectFacts facts;
  if (!object.IsProtobuf()) {
    const json::Value metadata = object.json["metadata"];
    facts.key = {std::string(metadata["namespace"].Text()), std::string(metadata["name"].Text())};
    facts.resource_version = metadata["resourceVersion"].Text();
    facts.ends_initial_events = metadata["annotations"][kInitialEventsEnd].Text() == "true";
    return facts;
  }
  Reader fields(object.protobuf);
  while (fields.Next()) {
    if (fields.number() == 1) RETURN_IF_ERROR(ReadObjectMeta(fields.Text(), &facts));
  }
  RETURN_IF_ERROR(fields.End());
  return facts;
}

}  // namespace hami::kube
