// SPDX-License-Identifier: Apache-2.0
//
// For tests: the part of an API server that keeps Secrets and webhook configurations, with
// versions, merge patches and JSON patches that hold only on the version or text that they name.
// Any thread.

#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "kube/config.h"
#include "net/fake_http_server.h"

namespace hami::webhook {

class FakeCluster {
 public:
  FakeCluster()
      : server_([this](const net::FakeRequest& request, net::FakeConnection& connection) {
          int status = 200;
          const std::string body = Answer(request, &status);
          connection.Respond(status, body);
        }) {}

  kube::ClusterConfig config() const {
    kube::ClusterConfig config;
    config.server = server_.url();
    return config;
  }

  // Paths as in requests: "/api/v1/namespaces/hami-system/secrets/tls".
  void Put(const std::string& path, nlohmann::json object) {
    const std::lock_guard lock(mutex_);
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    objects_[path] = std::move(object);
  }
  nlohmann::json Get(const std::string& path) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(path);
    return found == objects_.end() ? nlohmann::json() : found->second;
  }
  void Remove(const std::string& path) {
    const std::lock_guard lock(mutex_);
    objects_.erase(path);
  }
  // Called for each request before it is executed, without the lock; a status other than 0 is the
  // answer.
  void SetHook(std::function<int(const net::FakeRequest&)> hook) {
    const std::lock_guard lock(mutex_);
    hook_ = std::move(hook);
  }
  // Successful writes so far.
  int writes() {
    const std::lock_guard lock(mutex_);
    return writes_;
  }

 private:
  static std::string Failure(int status, const std::string& reason) {
    return nlohmann::json({{"kind", "Status"},
                           {"apiVersion", "v1"},
                           {"status", "Failure"},
                           {"reason", reason},
                           {"message", reason},
                           {"details", {{"name", "of the object"}}},
                           {"code", status}})
        .dump();
  }

  std::string Answer(const net::FakeRequest& request, int* status) {
    std::function<int(const net::FakeRequest&)> hook;
    {
      const std::lock_guard lock(mutex_);
      hook = hook_;
    }
    if (hook) {
      if (const int refused = hook(request); refused != 0) {
        *status = refused;
        return Failure(refused, refused == 403 ? "Forbidden" : "InternalError");
      }
    }
    const std::lock_guard lock(mutex_);
    const std::string path = request.target.substr(0, request.target.find('?'));
    if (request.method == "POST") return Create(path, request.body, status);
    const auto found = objects_.find(path);
    if (found == objects_.end()) {
      *status = 404;
      return Failure(404, "NotFound");
    }
    if (request.method == "PATCH") return Patch(request, &found->second, status);
    return found->second.dump();
  }

  std::string Create(const std::string& path, const std::string& body, int* status) {
    nlohmann::json object = nlohmann::json::parse(body);
    const std::string place = path + "/" + object["metadata"]["name"].get<std::string>();
    if (objects_.contains(place)) {
      *status = 409;
      return Failure(409, "AlreadyExists");
    }
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    ++writes_;
    *status = 201;
    return (objects_[place] = std::move(object)).dump();
  }

  std::string Patch(const net::FakeRequest& request, nlohmann::json* object, int* status) {
    const nlohmann::json patch = nlohmann::json::parse(request.body);
    const auto type = request.headers.find("content-type");
    if (type != request.headers.end() && type->second == "application/json-patch+json") {
      try {
        *object = object->patch(patch);
      } catch (const nlohmann::json::exception&) {
        *status = 422;
        return Failure(422, "Invalid");
      }
    } else {
      const nlohmann::json wanted = patch["metadata"].value("resourceVersion", nlohmann::json());
      if (!wanted.is_null() && wanted != (*object)["metadata"]["resourceVersion"]) {
        *status = 409;
        return Failure(409, "Conflict");
      }
      object->merge_patch(patch);
    }
    (*object)["metadata"]["resourceVersion"] = std::to_string(++version_);
    ++writes_;
    return object->dump();
  }

  std::mutex mutex_;
  std::map<std::string, nlohmann::json> objects_;
  std::function<int(const net::FakeRequest&)> hook_;
  int64_t version_ = 0;
  int writes_ = 0;
  net::FakeHttpServer server_;  // last: it uses the others
};

}  // namespace hami::webhook
