// SPDX-License-Identifier: Apache-2.0

#include "webhook/pod_changes.h"

#include <fmt/format.h>

#include <cstddef>
#include <optional>

#include "base/json_writer.h"

namespace hami::webhook {
namespace {

using Texts = std::map<std::string, std::string>;

std::string JsonOf(const Texts& texts) {
  base::JsonWriter json;
  json.BeginObject();
  for (const auto& [name, value] : texts) json.Member(name, value);
  return std::move(json.EndObject()).Take();
}

std::string JsonOf(const std::pair<std::string, std::string>& variable) {
  base::JsonWriter json;
  json.BeginObject().Member("name", variable.first).Member("value", variable.second);
  return std::move(json.EndObject()).Take();
}

// As a person wrote it: a text, or a number, which Kubernetes allows too.
std::string TextOf(const json::Value& value) {
  return value.kind() == json::Kind::kNumber ? value.Json() : std::string(value.Text());
}

// What of `wanted` is not in `current`.
Texts Missing(const json::Value& current, const Texts& wanted) {
  Texts missing;
  for (const auto& [name, value] : wanted) {
    const json::Value now = current[name];
    if (!now.exists() || TextOf(now) != value) missing.emplace(name, value);
  }
  return missing;
}

struct Found {
  size_t index;
  json::Value variable;
};

std::optional<Found> FindLast(const json::Value& variables, std::string_view name) {
  std::optional<Found> found;
  size_t index = 0;
  for (const json::Value variable : variables.Elements()) {
    if (variable["name"].Text() == name) found = Found{index, variable};
    ++index;
  }
  return found;
}

bool Is(const json::Value& variable, std::string_view value) {
  const json::Value now = variable["value"];
  return now.kind() == json::Kind::kText && now.Text() == value && !variable["valueFrom"].exists();
}

}  // namespace

void PodChanges::RemoveLabel(std::string_view key) {
  patch_.Remove(Pointer("/metadata/labels", key));
}

void PodChanges::SetScheduler(std::string_view name) {
  if (object_["spec"]["schedulerName"].Text() == name) return;
  patch_.AddText("/spec/schedulerName", name);
}

void PodChanges::SetResources(const std::string& path, const json::Value& raw,
                              const domain::PodContainer& wanted,
                              std::vector<std::string>* warnings) {
  const json::Value resources = raw["resources"];
  const Texts limits = Missing(resources["limits"], wanted.limits);
  const Texts requests = Missing(resources["requests"], wanted.requests);
  if (limits.empty() && requests.empty()) return;
  for (const auto& [name, value] : limits) {
    const json::Value limit = resources["limits"][name];
    const json::Value written = limit.exists() ? limit : resources["requests"][name];
    if (!written.exists() || TextOf(written) == value) continue;
    warnings->push_back(
        fmt::format("container {}: {} of {} became {}", wanted.name, name, TextOf(written), value));
  }
  const std::string parent = path + "/resources";
  if (resources.kind() != json::Kind::kObject) {
    std::string json = R"({"limits":)" + JsonOf(limits);
    if (!requests.empty()) json += R"(,"requests":)" + JsonOf(requests);
    patch_.Add(parent, json + '}');
    return;
  }
  for (const auto& [kind, texts] : {std::pair{"limits", &limits}, {"requests", &requests}}) {
    if (texts->empty()) continue;
    const std::string place = Pointer(parent, kind);
    if (resources[kind].kind() != json::Kind::kObject) {
      patch_.Add(place, JsonOf(*texts));
      continue;
    }
    for (const auto& [name, value] : *texts) patch_.AddText(Pointer(place, name), value);
  }
}

void PodChanges::SetEnvironment(const std::string& path, const json::Value& raw,
                                const Environment& environment,
                                std::vector<std::string>* warnings) {
  const json::Value variables = raw["env"];
  const std::string place = path + "/env";
  Texts wanted;  // where two vendors set one name, the later counts
  for (const auto& [name, value] : environment) wanted.insert_or_assign(name, value);
  if (wanted.empty()) return;
  if (variables.kind() != json::Kind::kArray) {
    std::string json;
    for (const auto& variable : wanted) json += (json.empty() ? "[" : ",") + JsonOf(variable);
    patch_.Add(place, json + ']');
    return;
  }
  for (const auto& variable : wanted) {
    const auto& [name, value] = variable;
    const std::optional<Found> found = FindLast(variables, name);
    if (!found) {
      patch_.Add(place + "/-", JsonOf(variable));
    } else if (!Is(found->variable, value)) {
      patch_.Replace(fmt::format("{}/{}", place, found->index), JsonOf(variable));
      warnings->push_back(fmt::format("container {}: the environment variable {} became {}",
                                      raw["name"].Text(), name, value));
    }
  }
}

void PodChanges::WriteAnnotations() {
  const json::Value current = object_["metadata"]["annotations"];
  const bool has_any = current.kind() == json::Kind::kObject;
  for (const std::string& key : removed_annotations_) {
    if (!annotations_.contains(key)) patch_.Remove(Pointer("/metadata/annotations", key));
  }
  const Texts missing = Missing(current, annotations_);
  if (missing.empty()) return;
  if (!has_any) {
    const bool has_metadata = object_["metadata"].kind() == json::Kind::kObject;
    const std::string json = JsonOf(missing);
    if (has_metadata) return patch_.Add("/metadata/annotations", json);
    return patch_.Add("/metadata", R"({"annotations":)" + json + '}');
  }
  for (const auto& [key, value] : missing) {
    patch_.AddText(Pointer("/metadata/annotations", key), value);
  }
}

std::string PodChanges::Take() && {
  WriteAnnotations();
  if (!runtime_class_.empty() && object_["spec"]["runtimeClassName"].Text().empty()) {
    patch_.AddText("/spec/runtimeClassName", runtime_class_);
  }
  return std::move(patch_).Take();
}

}  // namespace hami::webhook
