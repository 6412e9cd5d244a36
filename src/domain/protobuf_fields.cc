// SPDX-License-Identifier: Apache-2.0

#include "domain/protobuf_fields.h"

#include "domain/pod_parts.h"
#include "protobuf/reader.h"

namespace hami::domain {
namespace {

using protobuf::Reader;

// An entry of a map: 1 is the key, 2 the value.
struct Entry {
  std::string_view key;
  std::string_view value;
};

Result<Entry> ReadEntry(std::string_view message) {
  Entry entry;
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 1) entry.key = fields.Text();
    if (fields.number() == 2) entry.value = fields.Text();
  }
  RETURN_IF_ERROR(fields.End());
  return entry;
}

Status ReadTextEntry(std::string_view message, bool only_kept,
                     std::map<std::string, std::string>* texts) {
  ASSIGN_OR_RETURN(const Entry entry, ReadEntry(message));
  if (!only_kept || IsKept(entry.key)) {
    texts->insert_or_assign(std::string(entry.key), std::string(entry.value));
  }
  return {};
}

// metav1.Time
Status ReadTime(std::string_view message, int64_t* seconds) {
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 1) *seconds = fields.Signed();
  }
  return fields.End();
}

void Set(std::string* target, std::string_view text) {
  if (target != nullptr) *target = text;
}

}  // namespace

Status ReadMetadataProtobuf(std::string_view message, const MetadataFields& target) {
  Reader fields(message);
  while (fields.Next()) {
    switch (fields.number()) {
      case 1:
        Set(target.name, fields.Text());
        break;
      case 3:
        Set(target.namespace_name, fields.Text());
        break;
      case 5:
        Set(target.uid, fields.Text());
        break;
      case 6:
        Set(target.resource_version, fields.Text());
        break;
      case 8:
        if (target.created_s != nullptr) {
          RETURN_IF_ERROR(ReadTime(fields.Text(), target.created_s));
        }
        break;
      case 9:
        if (target.terminating != nullptr) *target.terminating = true;
        break;
      case 11:
        RETURN_IF_ERROR(ReadTextEntry(fields.Text(), false, target.labels));
        break;
      case 12:
        RETURN_IF_ERROR(ReadTextEntry(fields.Text(), true, target.annotations));
        break;
      default:
        break;
    }
  }
  return fields.End();
}

Status ReadResourceProtobuf(std::string_view message, ResourceTexts* resources) {
  ASSIGN_OR_RETURN(const Entry entry, ReadEntry(message));
  std::string_view text;
  Reader quantity(entry.value);
  while (quantity.Next()) {
    if (quantity.number() == 1) text = quantity.Text();
  }
  RETURN_IF_ERROR(quantity.End());
  resources->insert_or_assign(std::string(entry.key), std::string(text));
  return {};
}

}  // namespace hami::domain
