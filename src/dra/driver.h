// SPDX-License-Identifier: Apache-2.0
//
// The parts of hami-dra-driver, wired together:
//
//   driver_watch      what GPUs there are           -> slice_publisher, claim_keeper, share_watch
//   node's label      whether they are published    -> slice_publisher
//   kubelet_plugin    claims to (un)prepare         -> claim_keeper
//   sweeps            whatever was lost is made again
//
// Start, SweepNow and Stop are for one thread; what is overridden is called from others.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "dra/api_claims.h"
#include "dra/claim_keeper.h"
#include "dra/driver_metrics.h"
#include "dra/driver_watch.h"
#include "dra/kubelet_plugin.h"
#include "dra/node_facts.h"
#include "dra/options.h"
#include "dra/share_watch.h"
#include "dra/slice_publisher.h"
#include "kube/client.h"
#include "kube/config.h"
#include "kube/event_recorder.h"
#include "kube/reflector.h"
#include "net/http_server.h"

namespace hami::dra {

class Driver : public ClaimService, public kube::Watcher<NodeFacts> {
 public:
  Driver(Options options, kube::ClusterConfig config)
      : options_(std::move(options)),
        client_(std::move(config), {.user_agent = "hami-dra-driver"}),
        claims_(client_, options_.node_name),
        metrics_([this] { return Figures(); }),
        events_(client_, "hami-dra-driver", options_.node_name) {}

  Status Start();
  void SweepNow();
  void Beat() { last_beat_ns_ = base::SystemClock().MonotonicNs(); }
  // What is not taken back stays for the driver that comes next.
  void Stop();

  Result<std::vector<PreparedDevice>> Prepare(const ClaimRef& claim) override;
  Status Unprepare(const ClaimRef& claim) override;

  void OnReplace(std::vector<std::shared_ptr<const NodeFacts>> all, uint64_t version) override;
  void OnUpsert(std::shared_ptr<const NodeFacts> now) override;
  void OnDelete(const kube::ObjectKey& key, uint64_t version) override;

 private:
  Status TakeFolder();
  Status StartKeeper();
  void OnDriver(const Result<DriverState>& state);
  void OnRegistered();
  void PublishWanted();
  Status ServeMetrics();
  Status CheckNode();
  void SayOfNode(const char* reason, std::string message);
  void SayOfClaim(const ClaimRef& claim, const char* reason, std::string message);
  void ReportInactive();
  DriverFigures Figures();
  std::string NotReady();

  const Options options_;
  kube::Client client_;
  ApiClaims claims_;
  DriverMetrics metrics_;
  kube::EventRecorder events_;
  base::Fd folder_lock_;
  int server_minor_ = 0;
  std::unique_ptr<ShareWatch> shares_;
  std::unique_ptr<ClaimKeeper> keeper_;
  std::unique_ptr<SlicePublisher> publisher_;
  std::unique_ptr<kube::Reflector<NodeFacts>> node_watch_;
  std::unique_ptr<DriverWatch> driver_watch_;
  std::unique_ptr<KubeletPlugin> plugin_;
  std::unique_ptr<net::HttpServer> page_;
  std::atomic<int64_t> last_beat_ns_{0};

  std::mutex mutex_;
  std::optional<NodeFacts> node_;
  std::optional<DriverState> state_;
  bool state_known_ = false;
  bool registered_ = false;
};

}  // namespace hami::dra
