// SPDX-License-Identifier: Apache-2.0

#include "webhook/json_patch.h"

#include <utility>

#include "base/json_writer.h"

namespace hami::webhook {

std::string Pointer(std::string_view parent, std::string_view name) {
  std::string path(parent);
  path += '/';
  for (const char c : name) {
    if (c == '~') {
      path += "~0";
    } else if (c == '/') {
      path += "~1";
    } else {
      path += c;
    }
  }
  return path;
}

void JsonPatch::AddText(std::string_view path, std::string_view text) {
  std::string json;
  base::AppendJsonString(text, &json);
  Add(path, json);
}

void JsonPatch::Append(std::string_view operation, std::string_view path,
                       const std::string_view* json) {
  text_ += text_.empty() ? "[" : ",";
  text_ += R"({"op":")";
  text_ += operation;
  text_ += R"(","path":)";
  base::AppendJsonString(path, &text_);
  if (json != nullptr) {
    text_ += R"(,"value":)";
    text_ += *json;
  }
  text_ += '}';
}

std::string JsonPatch::Take() && {
  if (!text_.empty()) text_ += ']';
  return std::move(text_);
}

}  // namespace hami::webhook
