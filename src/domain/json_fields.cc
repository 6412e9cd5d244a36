// SPDX-License-Identifier: Apache-2.0

#include "domain/json_fields.h"

#include <algorithm>
#include <limits>

namespace hami::domain {
namespace {

using json::Kind;

// ASCII alone: no known name has another letter.
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool IsSameName(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, Lower, Lower);
}

tl::unexpected<Error> WrongType(std::string_view name, std::string_view wanted) {
  return Fail(Code::kInvalidArgument, "\"" + std::string(name) + "\" is no " + std::string(wanted));
}

bool IsAbsent(const json::Value& value) {
  return value.kind() == Kind::kMissing || value.kind() == Kind::kNull;
}

}  // namespace

json::Value FindMember(const json::Value& object, std::string_view name) {
  json::Value found;
  for (const auto& [key, value] : object.Members()) {
    if (IsSameName(key, name)) found = value;
  }
  return found;
}

Result<std::string> ReadText(const json::Value& object, std::string_view name) {
  const json::Value value = FindMember(object, name);
  if (IsAbsent(value)) return std::string();
  if (value.kind() != Kind::kText) return WrongType(name, "text");
  return std::string(value.Text());
}

Result<int32_t> ToInt32(const json::Value& value, std::string_view name) {
  constexpr int64_t kNone = std::numeric_limits<int64_t>::min();
  const int64_t number = value.Int(kNone);
  if (number < std::numeric_limits<int32_t>::min() ||
      number > std::numeric_limits<int32_t>::max()) {
    return WrongType(name, "32-bit number");
  }
  return static_cast<int32_t>(number);
}

Result<int32_t> ReadInt32(const json::Value& object, std::string_view name) {
  const json::Value value = FindMember(object, name);
  if (IsAbsent(value)) return 0;
  return ToInt32(value, name);
}

Result<bool> ReadFlag(const json::Value& object, std::string_view name) {
  const json::Value value = FindMember(object, name);
  if (IsAbsent(value)) return false;
  if (value.kind() != Kind::kFlag) return WrongType(name, "flag");
  return value.Flag();
}

Status CheckArray(const json::Value& value, std::string_view what) {
  if (!IsAbsent(value) && value.kind() != Kind::kArray) return WrongType(what, "array");
  return {};
}

Status CheckObject(const json::Value& value, std::string_view what) {
  if (value.kind() != Kind::kObject) return WrongType(what, "object");
  return {};
}

}  // namespace hami::domain
