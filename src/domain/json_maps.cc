// SPDX-License-Identifier: Apache-2.0

#include "domain/json_maps.h"

#include "domain/pod_parts.h"

namespace hami::domain {

std::map<std::string, std::string> ReadTexts(const json::Value& object) {
  std::map<std::string, std::string> texts;
  for (const auto& [name, value] : object.Members()) {
    if (value.kind() == json::Kind::kText) texts.emplace(name, value.Text());
  }
  return texts;
}

std::map<std::string, std::string> ReadAnnotations(const json::Value& object) {
  std::map<std::string, std::string> texts;
  for (const auto& [name, value] : object.Members()) {
    if (value.kind() == json::Kind::kText && IsKept(name)) texts.emplace(name, value.Text());
  }
  return texts;
}

ResourceTexts ReadResources(const json::Value& object) {
  ResourceTexts resources;
  for (const auto& [name, value] : object.Members()) {
    if (value.kind() == json::Kind::kText) resources.emplace(name, value.Text());
    if (value.kind() == json::Kind::kNumber) resources.emplace(name, value.Json());
  }
  return resources;
}

}  // namespace hami::domain
