// SPDX-License-Identifier: Apache-2.0
//
// Inside kube: what stands behind Client. Calls live on the I/O thread.

#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "kube/client.h"
#include "kube/credentials.h"
#include "net/backoff.h"
#include "net/http_client.h"
#include "net/io_thread.h"

namespace hami::kube {

class Client::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(ClusterConfig config, ClientOptions options);

  CallId Start(ApiRequest request, Done done);
  CallId Stream(ApiRequest request, Data data, StreamDone done);
  void Cancel(CallId id);
  // Ends what is under way. Not from the I/O thread.
  void Close();

  net::IoThread& thread() { return *thread_; }
  const ClusterConfig& config() const { return config_; }
  ClientStats stats() const;

 private:
  struct Call;
  using CallPtr = std::shared_ptr<Call>;  // calls_ and the handler that waits for the answer

  CallId Add(const CallPtr& call);
  void Try(const CallPtr& call);
  // Calls that need the plugin wait for it here.
  void WaitForPlugin(const CallPtr& call);
  // Fails if the credentials cannot be read.
  Result<net::HttpRequest> Prepare(const Call& call);
  void OnAnswer(const CallPtr& call, net::HttpResult result);
  void Finish(const CallPtr& call, Result<std::string> result);
  void FinishStream(const CallPtr& call, std::optional<ApiFailure> failure);

  const ClusterConfig config_;
  const ClientOptions options_;
  const net::Random random_;
  Credentials credentials_;
  std::atomic<CallId> last_id_{0};
  std::atomic<uint64_t> requests_{0};
  std::atomic<uint64_t> retries_{0};
  std::atomic<uint64_t> failures_{0};
  std::atomic<uint64_t> streams_{0};

  std::unordered_map<CallId, CallPtr> calls_;  // of the I/O thread
  bool closed_ = false;                        // likewise
  std::vector<CallPtr> want_plugin_;           // likewise; not empty: it runs
  std::thread plugin_;

  std::unique_ptr<net::IoThread> thread_;
  std::unique_ptr<net::HttpClient> http_;  // ends before the thread
};

}  // namespace hami::kube
