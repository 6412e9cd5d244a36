// SPDX-License-Identifier: Apache-2.0

#include "extender/fake_api.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "domain/names.h"

namespace hami::extender {
namespace {

using Json = FakeApi::Json;

// "/api/v1/namespaces/default/pods/p" is of "/api/v1/pods".
std::string CollectionOf(const std::string& path) {
  std::string folder = path.substr(0, path.rfind('/'));
  const size_t at = folder.find("/namespaces/");
  if (at == std::string::npos) return folder;
  const size_t after = folder.find('/', at + 12);
  return folder.substr(0, at) + folder.substr(after);
}

// Selectors of one name, and of one label.
bool Matches(const std::string& field, const std::string& label, const Json& object) {
  const Json& metadata = object["metadata"];
  if (!field.empty() && field != "metadata.name%3D" + metadata["name"].get<std::string>()) {
    return false;
  }
  if (label.empty()) return true;
  const Json labels = metadata.value("labels", Json::object());
  return std::ranges::any_of(labels.items(), [&](const auto& each) {
    std::string text = each.key() + "%3D" + each.value().template get<std::string>();
    for (size_t at = text.find('/'); at != std::string::npos; at = text.find('/')) {
      text.replace(at, 1, "%2F");
    }
    return label == text;
  });
}

std::string Query(const std::string& target, const std::string& name) {
  const size_t at = target.find(name + "=");
  if (at == std::string::npos) return "";
  const size_t begin = at + name.size() + 1;
  return target.substr(begin, target.find('&', begin) - begin);
}

// Conditions are merged by their type, the rest as RFC 7386 says.
void Merge(const Json& patch, bool strategic, Json* object) {
  if (strategic && patch.contains("status") && patch["status"].contains("conditions")) {
    Json& conditions = (*object)["status"]["conditions"];
    for (const Json& wanted : patch["status"]["conditions"]) {
      bool found = false;
      for (Json& condition : conditions) {
        if (condition["type"] != wanted["type"]) continue;
        condition.merge_patch(wanted);
        found = true;
      }
      if (!found) conditions.push_back(wanted);
    }
    Json rest = patch;
    rest["status"].erase("conditions");
    object->merge_patch(rest);
    return;
  }
  object->merge_patch(patch);
}

}  // namespace

FakeApi::FakeApi()
    : server_([this](const net::FakeRequest& request, net::FakeConnection& connection) {
        Answer(request, connection);
      }) {}

FakeApi::~FakeApi() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
}

kube::ClusterConfig FakeApi::Config() const {
  kube::ClusterConfig config;
  config.server = server_.url();
  config.token = "secret";
  return config;
}

void FakeApi::Put(const std::string& path, Json object) {
  const std::lock_guard lock(mutex_);
  Store(path, std::move(object));
}

void FakeApi::Delete(const std::string& path) {
  const std::lock_guard lock(mutex_);
  Erase(path);
}

Json FakeApi::Get(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(path);
  return found == objects_.end() ? Json() : found->second;
}

void FakeApi::Look(const std::function<void(const std::map<std::string, Json>&)>& look) const {
  const std::lock_guard lock(mutex_);
  look(objects_);
}

uint64_t FakeApi::Version() const {
  const std::lock_guard lock(mutex_);
  return changes_.size();
}

Json FakeApi::ItemsOf(const std::string& collection) const {
  const std::lock_guard lock(mutex_);
  Json items = Json::array();
  for (const auto& [path, object] : objects_) {
    if (CollectionOf(path) == collection) items.push_back(object);
  }
  return items;
}

std::optional<std::pair<uint64_t, Json>> FakeApi::NextChange(const std::string& collection,
                                                             uint64_t version) const {
  const std::lock_guard lock(mutex_);
  for (uint64_t next = version; next < changes_.size(); ++next) {
    if (changes_[next].collection == collection) return std::pair(next + 1, changes_[next].event);
  }
  return std::nullopt;
}

void FakeApi::SetHook(Hook hook) {
  const std::lock_guard lock(mutex_);
  hook_ = std::move(hook);
}

std::vector<std::string> FakeApi::Writes() const {
  const std::lock_guard lock(mutex_);
  return writes_;
}

std::vector<std::string> FakeApi::EventReasons() const {
  const std::lock_guard lock(mutex_);
  return event_reasons_;
}

void FakeApi::Store(const std::string& path, Json object) {
  const bool is_new = !objects_.contains(path);
  Json& metadata = object["metadata"];
  if (!metadata.contains("uid")) {
    metadata["uid"] = is_new ? "uid-" + std::to_string(next_uid_++)
                             : objects_[path]["metadata"]["uid"].get<std::string>();
  }
  metadata["resourceVersion"] = std::to_string(changes_.size() + 1);
  objects_[path] = object;
  changes_.push_back(
      {CollectionOf(path), {{"type", is_new ? "ADDED" : "MODIFIED"}, {"object", object}}});
  changed_.notify_all();
}

void FakeApi::Erase(const std::string& path) {
  const auto found = objects_.find(path);
  if (found == objects_.end()) return;
  Json object = found->second;
  object["metadata"]["resourceVersion"] = std::to_string(changes_.size() + 1);
  objects_.erase(found);
  changes_.push_back({CollectionOf(path), {{"type", "DELETED"}, {"object", object}}});
  changed_.notify_all();
}

void FakeApi::Refuse(net::FakeConnection& connection, int code, const std::string& reason) {
  const Json status = {{"kind", "Status"},
                       {"status", "Failure"},
                       {"message", "fake: " + reason},
                       {"reason", reason},
                       {"details", {{"name", "object"}}},
                       {"code", code}};
  connection.Respond(code, status.dump());
}

void FakeApi::Watch(const std::string& collection, uint64_t from, net::FakeConnection& connection) {
  uint64_t next = from;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    while (next < changes_.size()) {
      const Change change = changes_[next++];
      if (change.collection != collection) continue;
      lock.unlock();
      if (!connection.SendChunk(change.event.dump() + "\n")) return;
      lock.lock();
    }
    changed_.wait_for(lock, std::chrono::milliseconds(50));
    lock.unlock();
    if (!connection.SendChunk("\n")) return;  // to see whether the client is there
    lock.lock();
  }
}

// KEP-3157
uint64_t FakeApi::SendInitialEvents(const std::string& collection,
                                    net::FakeConnection& connection) {
  std::unique_lock lock(mutex_);
  std::string events;
  for (const auto& [path, object] : objects_) {
    if (CollectionOf(path) != collection) continue;
    events += Json({{"type", "ADDED"}, {"object", object}}).dump() + "\n";
  }
  const uint64_t version = changes_.size();
  lock.unlock();
  const Json metadata = {{"resourceVersion", std::to_string(version)},
                         {"annotations", {{"k8s.io/initial-events-end", "true"}}}};
  events += Json({{"type", "BOOKMARK"}, {"object", {{"metadata", metadata}}}}).dump() + "\n";
  connection.SendChunk(events);
  return version;
}

bool FakeApi::AnswerSubresource(const std::string& path, const net::FakeRequest& request,
                                net::FakeConnection& connection) {
  const size_t slash = path.rfind('/');
  const std::string name = path.substr(slash + 1);
  const std::string owner = path.substr(0, slash);
  if (request.method != "POST" || (name != "binding" && name != "eviction")) return false;
  const auto found = objects_.find(owner);
  if (found == objects_.end()) {
    Refuse(connection, 404, "NotFound");
    return true;
  }
  const Json body = Json::parse(request.body);
  if (name == "eviction") {
    if (Query(request.target, "dryRun").empty()) Erase(owner);
    connection.Respond(201, R"({"kind":"Status","status":"Success"})");
    return true;
  }
  Json pod = found->second;
  const std::string uid = body["metadata"].value("uid", "");
  if (!uid.empty() && uid != pod["metadata"]["uid"].get<std::string>()) {
    Refuse(connection, 409, "Conflict");
    return true;
  }
  if (pod["spec"].contains("nodeName")) {
    Refuse(connection, 409, "Conflict");
    return true;
  }
  pod["spec"]["nodeName"] = body["target"]["name"];
  if (body["metadata"].contains("annotations")) {
    for (const auto& [key, value] : body["metadata"]["annotations"].items()) {
      pod["metadata"]["annotations"][key] = value;
    }
  }
  Store(owner, pod);
  connection.Respond(201, R"({"kind":"Status","status":"Success"})");
  return true;
}

void FakeApi::Patch(const std::string& path, const net::FakeRequest& request,
                    net::FakeConnection& connection) {
  std::string owner = path;
  if (owner.ends_with("/status")) owner.resize(owner.size() - 7);
  const auto found = objects_.find(owner);
  if (found == objects_.end()) return Refuse(connection, 404, "NotFound");
  const Json patch = Json::parse(request.body);
  const Json metadata = patch.value("metadata", Json::object());
  Json object = found->second;
  for (const char* key : {"uid", "resourceVersion"}) {
    if (metadata.contains(key) && metadata[key] != object["metadata"][key]) {
      return Refuse(connection, 409, "Conflict");
    }
  }
  const bool strategic =
      request.headers.at("content-type") == "application/strategic-merge-patch+json";
  Merge(patch, strategic, &object);
  Store(owner, object);
  connection.Respond(200, object.dump());
}

void FakeApi::Answer(const net::FakeRequest& request, net::FakeConnection& connection) {
  const std::string path = request.target.substr(0, request.target.find('?'));
  Hook hook;
  {
    const std::lock_guard lock(mutex_);
    hook = hook_;
    const bool is_event = path.find("/events") != std::string::npos;
    if (request.method != "GET" && !is_event) writes_.push_back(request.method + " " + path);
  }
  if (hook && hook(request, connection)) return;
  std::unique_lock lock(mutex_);
  if (request.method == "GET" && Query(request.target, "watch") == "1") {
    const std::string version = Query(request.target, "resourceVersion");
    lock.unlock();
    const std::string collection = CollectionOf(path + "/x");
    connection.BeginChunks();
    uint64_t from = version.empty() ? 0 : std::stoull(version);
    if (Query(request.target, "sendInitialEvents") == "true") {
      from = SendInitialEvents(collection, connection);
    }
    return Watch(collection, from, connection);
  }
  if (path.find("/events") != std::string::npos) {
    Json event = Json::parse(request.body);
    event["metadata"]["name"] = "event";
    event_reasons_.push_back(event.value("reason", ""));
    return connection.Respond(201, event.dump());
  }
  if (AnswerSubresource(path, request, connection)) return;
  if (request.method == "PATCH") return Patch(path, request, connection);
  if (request.method == "DELETE") {
    if (!objects_.contains(path)) return Refuse(connection, 404, "NotFound");
    Erase(path);
    return connection.Respond(200, "{}");
  }
  if (const auto found = objects_.find(path); found != objects_.end()) {
    return connection.Respond(200, found->second.dump());
  }
  const std::string last = path.substr(path.rfind('/') + 1);
  const bool is_list = last == "pods" || last == "nodes" || last == "resourcequotas" ||
                       last == "leases" || last == "poddisruptionbudgets";
  if (!is_list) return Refuse(connection, 404, "NotFound");
  const std::string collection = CollectionOf(path + "/x");
  Json items = Json::array();
  for (const auto& [key, object] : objects_) {
    if (CollectionOf(key) == collection &&
        Matches(Query(request.target, "fieldSelector"), Query(request.target, "labelSelector"),
                object)) {
      items.push_back(object);
    }
  }
  const Json list = {{"metadata", {{"resourceVersion", std::to_string(changes_.size())}}},
                     {"items", items}};
  connection.Respond(200, list.dump());
}

Json NodeJson(const std::string& name, bool takes_binding, int gpus, int memory_mib) {
  Json devices = Json::array();
  for (int i = 0; i < gpus; ++i) {
    devices.push_back({{"id", "GPU-" + name + "-" + std::to_string(i)},
                       {"index", i},
                       {"count", 10},
                       {"devmem", memory_mib},
                       {"devcore", 100},
                       {"type", "NVIDIA A100-SXM4-80GB"},
                       {"mode", "hami-core"},
                       {"health", true}});
  }
  Json node = {{"apiVersion", "v1"},
               {"kind", "Node"},
               {"metadata",
                {{"name", name}, {"annotations", {{domain::kNodeNvidiaRegister, devices.dump()}}}}},
               {"status",
                {{"allocatable", {{"cpu", "64"}, {"memory", "256Gi"}, {"nvidia.com/gpu", "80"}}},
                 {"capacity", {{"cpu", "64"}, {"memory", "256Gi"}, {"nvidia.com/gpu", "80"}}},
                 {"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}};
  if (takes_binding) {
    node["metadata"]["annotations"][std::string(domain::kAllocationProtocol)] =
        domain::kAllocationProtocolBindingV1;
  }
  return node;
}

Json PodJson(const std::string& name, const std::string& uid, int gpus, int memory_mib, int cores) {
  Json limits = {{"cpu", "1"}};
  if (gpus > 0) {
    limits["nvidia.com/gpu"] = std::to_string(gpus);
    limits["nvidia.com/gpumem"] = std::to_string(memory_mib);
    limits["nvidia.com/gpucores"] = std::to_string(cores);
  }
  return {
      {"apiVersion", "v1"},
      {"kind", "Pod"},
      {"metadata", {{"name", name}, {"namespace", "default"}, {"uid", uid}}},
      {"spec",
       {{"schedulerName", "hami-scheduler"},
        {"containers", {{{"name", "c"}, {"image", "x"}, {"resources", {{"limits", limits}}}}}}}},
      {"status", {{"phase", "Pending"}}}};
}

}  // namespace hami::extender
