// SPDX-License-Identifier: Apache-2.0

#include "kube/request.h"

#include <algorithm>

#include "base/json_writer.h"

namespace hami::kube {
namespace {

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '~';
}

void AppendEscaped(std::string_view text, std::string* out) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (const char c : text) {
    if (IsUnreserved(c)) {
      *out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    *out += '%';
    *out += kDigits[byte >> 4];
    *out += kDigits[byte & 15];
  }
}

std::string CollectionPath(const ResourceType& type, std::string_view name_space) {
  std::string path = type.group.empty() ? "/api/" : "/apis/" + type.group + "/";
  path += type.version;
  if (!name_space.empty()) {
    path += "/namespaces/";
    AppendEscaped(name_space, &path);
  }
  path += '/';
  path += type.plural;
  return path;
}

std::string ObjectPath(const ResourceType& type, const ObjectKey& key) {
  std::string path = CollectionPath(type, key.name_space);
  path += '/';
  AppendEscaped(key.name, &path);
  return path;
}

void AddSelectors(const ListOptions& options, ApiRequest* request) {
  if (!options.field_selector.empty()) {
    request->query.emplace_back("fieldSelector", options.field_selector);
  }
  if (!options.label_selector.empty()) {
    request->query.emplace_back("labelSelector", options.label_selector);
  }
}

// A page has some megabytes; a list in one piece may have a thousand.
constexpr int64_t kPageTimeoutMs = 60'000;
constexpr int64_t kWholeListTimeoutMs = 300'000;

constexpr char kJsonType[] = "application/json";

std::string_view PatchType(PatchKind kind) {
  switch (kind) {
    case PatchKind::kMerge:
      return "application/merge-patch+json";
    case PatchKind::kJson:
      return "application/json-patch+json";
    case PatchKind::kStrategic:
      return "application/strategic-merge-patch+json";
  }
  return {};
}

}  // namespace

std::string_view VerbName(Verb verb) {
  constexpr std::string_view kNames[] = {"get",    "list",  "watch", "create",
                                         "update", "patch", "delete"};
  return kNames[static_cast<size_t>(verb)];
}

ApiRequest GetRequest(const ResourceType& type, const ObjectKey& key) {
  return {.verb = Verb::kGet, .path = ObjectPath(type, key)};
}

ApiRequest ListRequest(const ResourceType& type, const ListOptions& options,
                       const std::string& continue_token, const std::string& resource_version) {
  ApiRequest request{.verb = Verb::kList, .path = CollectionPath(type, options.name_space)};
  AddSelectors(options, &request);
  request.timeout_ms = options.page_size > 0 ? kPageTimeoutMs : kWholeListTimeoutMs;
  if (options.page_size > 0) request.query.emplace_back("limit", std::to_string(options.page_size));
  if (!continue_token.empty()) request.query.emplace_back("continue", continue_token);
  if (!resource_version.empty()) request.query.emplace_back("resourceVersion", resource_version);
  return request;
}

ApiRequest CreateRequest(const ResourceType& type, const std::string& name_space,
                         std::string body) {
  return {.verb = Verb::kCreate,
          .path = CollectionPath(type, name_space),
          .body = std::move(body),
          .content_type = kJsonType,
          .repeatable = false};
}

ApiRequest UpdateRequest(const ResourceType& type, const ObjectKey& key, std::string body) {
  return {.verb = Verb::kUpdate,
          .path = ObjectPath(type, key),
          .body = std::move(body),
          .content_type = kJsonType};
}

ApiRequest PatchRequest(const ResourceType& type, const ObjectKey& key, PatchKind kind,
                        std::string body) {
  return {.verb = Verb::kPatch,
          .path = ObjectPath(type, key),
          .body = std::move(body),
          .content_type = std::string(PatchType(kind)),
          .repeatable = kind != PatchKind::kJson};
}

ApiRequest DeleteRequest(const ResourceType& type, const ObjectKey& key,
                         const Preconditions& preconditions) {
  ApiRequest request{.verb = Verb::kDelete,
                     .path = ObjectPath(type, key),
                     .repeatable = !preconditions.uid.empty()};
  if (preconditions.uid.empty() && preconditions.resource_version.empty()) return request;
  base::JsonWriter json;
  json.BeginObject().Member("kind", "DeleteOptions").Member("apiVersion", "v1");
  json.Key("preconditions").BeginObject();
  if (!preconditions.uid.empty()) json.Member("uid", preconditions.uid);
  if (!preconditions.resource_version.empty()) {
    json.Member("resourceVersion", preconditions.resource_version);
  }
  json.EndObject().EndObject();
  request.body = std::move(json).Take();
  request.content_type = kJsonType;
  return request;
}

ApiRequest WatchRequest(const ResourceType& type, const ListOptions& options,
                        const std::string& resource_version, int64_t timeout_s) {
  ApiRequest request{.verb = Verb::kWatch, .path = CollectionPath(type, options.name_space)};
  AddSelectors(options, &request);
  request.query.emplace_back("watch", "1");
  request.query.emplace_back("allowWatchBookmarks", "true");
  request.query.emplace_back("timeoutSeconds", std::to_string(timeout_s));
  if (!resource_version.empty()) request.query.emplace_back("resourceVersion", resource_version);
  return request;
}

ApiRequest StreamingListRequest(const ResourceType& type, const ListOptions& options,
                                int64_t timeout_s) {
  ApiRequest request = WatchRequest(type, options, "", timeout_s);
  request.query.emplace_back("sendInitialEvents", "true");
  request.query.emplace_back("resourceVersionMatch", "NotOlderThan");
  return request;
}

ApiRequest Subresource(ApiRequest request, std::string_view name) {
  request.path += '/';
  AppendEscaped(name, &request.path);
  return request;
}

Status CheckKey(const ObjectKey& key) {
  for (const std::string& part : {key.name, key.name_space}) {
    if (part == "." || part == ".." || part.find('/') != std::string::npos) {
      return Fail(Code::kInvalidArgument, "no object can be called \"" + part + "\"");
    }
  }
  if (key.name.empty()) return Fail(Code::kInvalidArgument, "the object's name is empty");
  return {};
}

std::string Target(const ApiRequest& request) {
  std::string target = request.path;
  char separator = '?';
  for (const auto& [name, value] : request.query) {
    target += separator;
    AppendEscaped(name, &target);
    target += '=';
    AppendEscaped(value, &target);
    separator = '&';
  }
  return target;
}

}  // namespace hami::kube
