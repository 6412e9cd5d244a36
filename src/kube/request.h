// SPDX-License-Identifier: Apache-2.0
//
// One request to the API server, as a value: Client sends it. The makers below know the paths and
// content types; what they leave open is set on the result.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "kube/object.h"

namespace hami::kube {

enum class Verb : uint8_t { kGet, kList, kWatch, kCreate, kUpdate, kPatch, kDelete };

std::string_view VerbName(Verb verb);  // "get", as in RBAC

struct ApiRequest {
  Verb verb = Verb::kGet;
  std::string path;  // "/api/v1/nodes/n1"
  std::vector<std::pair<std::string, std::string>> query;
  std::string body;
  std::string content_type;
  // Which forms of an answer are understood, the preferred first.
  std::string accept = "application/json";

  // For everything, retries and waiting included.
  int64_t timeout_ms = 30'000;
  // Whether a second execution does no harm; then broken connections and answers 5xx are tried
  // again too. The makers set it.
  bool repeatable = true;
  size_t max_body_bytes = size_t{1} << 30;
};

struct ListOptions {
  std::string name_space;  // empty: all of them, or an object of the cluster
  std::string field_selector;
  std::string label_selector;
  int page_size = 500;
};

enum class PatchKind : uint8_t {
  kMerge,      // RFC 7386: members replace, null removes; repeatable
  kJson,       // RFC 6902: operations; not repeatable
  kStrategic,  // Kubernetes' own: lists are merged by the key of their type; repeatable. Not for
               // custom resources
};

// An object is deleted only if these are still its own. Without a uid a delete is not repeatable,
// because a new object of the same name may have come.
struct Preconditions {
  std::string uid;
  std::string resource_version;
};

ApiRequest GetRequest(const ResourceType& type, const ObjectKey& key);
// One page. `continue_token` and `resource_version` may be empty.
ApiRequest ListRequest(const ResourceType& type, const ListOptions& options,
                       const std::string& continue_token = {},
                       const std::string& resource_version = {});
// The bodies are JSON objects with apiVersion and kind. An empty name in the key makes no
// difference to Create: the object says its name.
ApiRequest CreateRequest(const ResourceType& type, const std::string& name_space, std::string body);
ApiRequest UpdateRequest(const ResourceType& type, const ObjectKey& key, std::string body);
ApiRequest PatchRequest(const ResourceType& type, const ObjectKey& key, PatchKind kind,
                        std::string body);
ApiRequest DeleteRequest(const ResourceType& type, const ObjectKey& key,
                         const Preconditions& preconditions);
// Streams events until `timeout_s` is over. Bookmarks are asked for.
ApiRequest WatchRequest(const ResourceType& type, const ListOptions& options,
                        const std::string& resource_version, int64_t timeout_s);
// Streams first what there is (consistently), then a bookmark that ends it
// (ObjectFacts::ends_initial_events), then events. KEP-3157: a server that does not have it answers
// 422 Invalid.
ApiRequest StreamingListRequest(const ResourceType& type, const ListOptions& options,
                                int64_t timeout_s);

// The same request for a subresource: Subresource(UpdateRequest(...), "status").
ApiRequest Subresource(ApiRequest request, std::string_view name);

// kInvalidArgument for names that no object can have and that would change the path.
Status CheckKey(const ObjectKey& key);

// Path and query, escaped.
std::string Target(const ApiRequest& request);

}  // namespace hami::kube
