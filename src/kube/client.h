// SPDX-License-Identifier: Apache-2.0
//
// Requests to the API server. Answers and bodies are JSON texts (read them with json/value.h),
// unless a request asks for another form (ApiRequest::accept); errors carry Kubernetes' own reason
// (kube/status.h has the table).
//
//   kube::Client client(config, {.user_agent = "hami-dra-driver"});
//   ASSIGN_OR_RETURN(const std::string node, client.Get(kube::kNodes, {"", name}));
//
// Threads: every function may be called from any thread, but those that wait (Do and everything
// named after a verb) not from a handler, which runs on the client's one I/O thread: that is a bug
// (CHECK). Handlers must not block.
//
// Retries are the client's business (kube/retry.h): broken connections, 429 and 5xx, where a second
// execution does no harm, within the request's timeout_ms. Nothing is throttled on this side.
// Lists and watches have connections of their own, so that a bind never waits behind a list.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "kube/config.h"
#include "kube/list_page.h"
#include "kube/request.h"
#include "kube/status.h"

namespace hami::net {
class IoThread;
}

namespace hami::kube {

struct ClientOptions {
  std::string user_agent = "hami";
  // A watch on which nothing comes for so long, bookmarks included, is on a dead connection. The
  // API server sends a bookmark a minute.
  int64_t watch_silence_ms = 150'000;
  // A request without any byte of an answer for so long, likewise.
  int64_t read_silence_ms = 15'000;   // get, list
  int64_t write_silence_ms = 40'000;  // the rest: webhooks may take 30 s
};

// All items of a list, as texts; those of built-in types have neither apiVersion nor kind.
struct ObjectList {
  std::string resource_version;
  std::vector<std::string> items;
};

// Counted since the start.
struct ClientStats {
  uint64_t requests = 0;  // tries, not watches
  uint64_t retries = 0;
  uint64_t failures = 0;  // reported to the caller
  uint64_t streams = 0;
};

class Client {
 public:
  using CallId = uint64_t;
  using Done = std::function<void(Result<std::string>)>;
  using Data = std::function<void(std::string_view)>;
  using StreamDone = std::function<void(std::optional<ApiFailure>)>;
  // Called for each item of a list, in order.
  using Visit = std::function<Status(json::Value)>;

  Client(ClusterConfig config, ClientOptions options);
  // Calls under way end with kCancelled.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // --- Waiting for the answer ---

  Result<std::string> Do(ApiRequest request);

  Result<std::string> Get(const ResourceType& type, const ObjectKey& key);
  // All pages. Expired in the middle of them begins the list again.
  Result<ObjectList> List(const ResourceType& type, const ListOptions& options = {});
  // The same without keeping texts: `restart` says that all items so far are void. Returns the
  // list's resourceVersion.
  Result<std::string> List(const ResourceType& type, const ListOptions& options, const Visit& visit,
                           const std::function<void()>& restart);
  // The same in protobuf, where the server has that for the resource, else in JSON.
  Result<std::string> ListEncoded(const ResourceType& type, const ListOptions& options,
                                  const VisitEncoded& visit, const std::function<void()>& restart);
  // The answers are the objects as they are now.
  Result<std::string> Create(const ResourceType& type, const std::string& name_space,
                             std::string body);
  Result<std::string> Update(const ResourceType& type, const ObjectKey& key, std::string body);
  Result<std::string> UpdateStatus(const ResourceType& type, const ObjectKey& key,
                                   std::string body);
  Result<std::string> Patch(const ResourceType& type, const ObjectKey& key, PatchKind kind,
                            std::string body);
  // kNotFound if there is none; kAborted if a precondition does not hold.
  Status Delete(const ResourceType& type, const ObjectKey& key,
                const Preconditions& preconditions = {});

  // --- Not waiting ---

  // `done` is called once, on the I/O thread, unless Cancel comes first.
  CallId Start(ApiRequest request, Done done);

  // A request whose answer is a stream: no retries, no timeout but that of silence. `done` gets
  // nothing when the server ended it properly.
  CallId Stream(ApiRequest request, Data data, StreamDone done);

  // From the I/O thread: nothing is called any more. From another: a handler may be running.
  void Cancel(CallId id);

  net::IoThread& io_thread();
  const ClusterConfig& config() const;
  ClientStats stats() const;

 private:
  class Impl;
  Result<std::string> ListPages(const ResourceType& type, const ListOptions& options,
                                std::string accept, const VisitEncoded& visit,
                                const std::function<void()>& restart);

  const std::shared_ptr<Impl> impl_;  // with calls under way
};

}  // namespace hami::kube
