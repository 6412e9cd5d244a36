// SPDX-License-Identifier: Apache-2.0
//
// Inside domain: reading JSON as strictly as Go does where HAMi decodes into a struct. Absent and
// null are empty, 0 or false; another type is an error.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/value.h"

namespace hami::domain {

// The member by its name in any case; the last one if there are several, as Go has it.
json::Value FindMember(const json::Value& object, std::string_view name);

Result<std::string> ReadText(const json::Value& object, std::string_view name);
Result<int32_t> ReadInt32(const json::Value& object, std::string_view name);
Result<int32_t> ToInt32(const json::Value& value, std::string_view name);
Result<bool> ReadFlag(const json::Value& object, std::string_view name);

// kInvalidArgument unless it is missing, null, or an array; null is empty.
Status CheckArray(const json::Value& value, std::string_view what);
Status CheckObject(const json::Value& value, std::string_view what);

}  // namespace hami::domain
