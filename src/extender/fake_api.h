// SPDX-License-Identifier: Apache-2.0
//
// For tests: an API server's memory behind net::FakeHttpServer. Objects with versions, list, watch,
// merge patches with their preconditions, bindings, evictions; a hook that answers otherwise. What
// the real server does there stands in contract binding-and-identity.md, part A.

#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kube/config.h"
#include "net/fake_http_server.h"

namespace hami::extender {

class FakeApi {
 public:
  using Json = nlohmann::json;
  // True: it has answered.
  using Hook = std::function<bool(const net::FakeRequest&, net::FakeConnection&)>;

  FakeApi();
  ~FakeApi();

  kube::ClusterConfig Config() const;

  // By path: "/api/v1/nodes/n1", "/api/v1/namespaces/default/pods/p". Uid and version are added.
  void Put(const std::string& path, Json object);
  void Delete(const std::string& path);
  Json Get(const std::string& path) const;  // null if there is none
  // All objects by path, under the lock.
  void Look(const std::function<void(const std::map<std::string, Json>&)>& look) const;
  void SetHook(Hook hook);

  // For tests that are the network themselves. Collections are "/api/v1/pods".
  uint64_t Version() const;
  Json ItemsOf(const std::string& collection) const;  // an array
  // The first event of a watch from `version` on, and its version; none: nothing new.
  std::optional<std::pair<uint64_t, Json>> NextChange(const std::string& collection,
                                                      uint64_t version) const;

  // "PATCH /api/v1/..." of everything but reads and events, in order.
  std::vector<std::string> Writes() const;
  // Reasons of the events that were written.
  std::vector<std::string> EventReasons() const;

 private:
  struct Change {
    std::string collection;  // "/api/v1/pods"
    Json event;
  };

  void Answer(const net::FakeRequest& request, net::FakeConnection& connection);
  void Watch(const std::string& collection, uint64_t from, net::FakeConnection& connection);
  // What a watch with sendInitialEvents begins with; from where it goes on.
  uint64_t SendInitialEvents(const std::string& collection, net::FakeConnection& connection);
  // With mutex_ held.
  void Store(const std::string& path, Json object);
  void Erase(const std::string& path);
  static void Refuse(net::FakeConnection& connection, int code, const std::string& reason);
  bool AnswerSubresource(const std::string& path, const net::FakeRequest& request,
                         net::FakeConnection& connection);
  void Patch(const std::string& path, const net::FakeRequest& request,
             net::FakeConnection& connection);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Json> objects_;
  std::vector<Change> changes_;  // its index + 1 is the version
  std::vector<std::string> writes_;
  std::vector<std::string> event_reasons_;
  Hook hook_;
  bool stopping_ = false;
  int next_uid_ = 1;
  net::FakeHttpServer server_;  // ends first
};

// Objects as the tests want them.
FakeApi::Json NodeJson(const std::string& name, bool takes_binding, int gpus, int memory_mib);
FakeApi::Json PodJson(const std::string& name, const std::string& uid, int gpus, int memory_mib,
                      int cores);

}  // namespace hami::extender
