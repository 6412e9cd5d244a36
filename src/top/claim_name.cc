// SPDX-License-Identifier: Apache-2.0

#include "top/claim_name.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/file.h"

namespace hami::top {
namespace {

constexpr size_t kMostRecordBytes = size_t{4} << 20;

}  // namespace

std::string ClaimName(const std::string& records_folder, const std::string& uid) {
  if (records_folder.empty()) return uid;
  const Result<std::string> text =
      base::ReadFile(base::JoinPath(records_folder, uid + ".json"), kMostRecordBytes);
  // The first line has the checksum: what cannot be used here is only a name.
  const size_t line = text ? text->find('\n') : std::string::npos;
  if (line == std::string::npos) return uid;
  const nlohmann::json record =
      nlohmann::json::parse(text->begin() + static_cast<std::ptrdiff_t>(line) + 1, text->end(),
                            nullptr, /*allow_exceptions=*/false);
  if (!record.is_object()) return uid;
  const auto name_space = record.find("namespace");
  const auto name = record.find("name");
  if (name_space == record.end() || name == record.end() || !name_space->is_string() ||
      !name->is_string()) {
    return uid;
  }
  return name_space->get<std::string>() + "/" + name->get<std::string>();
}

}  // namespace hami::top
