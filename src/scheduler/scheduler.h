// SPDX-License-Identifier: Apache-2.0
//
// The parts of hami-scheduler, wired together:
//
//   reflectors    pods, nodes, quotas, the Lease  -> state, leader
//   http server   /filter /prioritize /preempt /bind -> extender
//   keeper        expiry, reconciliation, catching up with a new Lease
//   waker         pods that wait, when room comes free
//   warden        the Lease of a dead leader
//   preemptor     pods that leave for others
//   role labels   which of the scheduler's pods leads
//   webhook       admission, on a TLS port of its own
//
// Start, and Stop, are for one thread.

#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/result.h"
#include "extender/cluster_state.h"
#include "extender/extender.h"
#include "extender/extender_metrics.h"
#include "extender/hami_protocol.h"
#include "extender/keeper.h"
#include "extender/leader.h"
#include "extender/lease_warden.h"
#include "extender/preemptor.h"
#include "extender/role_labels.h"
#include "extender/waker.h"
#include "kube/client.h"
#include "kube/config.h"
#include "kube/event_recorder.h"
#include "kube/reflector.h"
#include "metrics/metrics.h"
#include "net/http_server.h"
#include "scheduler/options.h"
#include "trace/tracer.h"
#include "vendor/registry.h"
#include "webhook/webhook.h"

namespace hami::scheduler {

// All vendors as the options say; what HAMi's file has that we do not know is logged.
Result<vendor::Registry> ReadRegistry(const Options& options);

class Scheduler {
 public:
  // kInvalidArgument: a policy or the device configuration cannot be read.
  static Result<std::unique_ptr<Scheduler>> Make(const Options& options,
                                                 kube::ClusterConfig config);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Listens at once; is ready when everything has been read.
  Status Start();
  void Stop();

  uint16_t extender_port() const { return extender_page_->port(); }
  uint16_t metrics_port() const { return metrics_page_->port(); }

 private:
  Scheduler(const Options& options, kube::ClusterConfig config, vendor::Registry registry,
            const placement::Policy& policy);
  void StartReflectors();
  Status Serve();
  Status ServeWebhook();
  std::string NotSynced() const;
  std::string NotReady() const;

  const Options options_;
  const vendor::Registry registry_;
  const placement::Policy policy_;
  metrics::Registry metrics_registry_;
  std::unique_ptr<trace::Tracer> tracer_;
  kube::Client client_;
  kube::EventRecorder events_;
  extender::ExtenderMetrics metrics_;
  extender::ClusterState state_;
  extender::Leader leader_;
  extender::Binder binder_;
  extender::HamiProtocol hami_;
  extender::Extender extender_;
  std::unique_ptr<kube::Reflector<extender::PodRecord>> pods_;
  std::unique_ptr<kube::Reflector<extender::NodeEntry>> nodes_;
  std::unique_ptr<kube::Reflector<extender::QuotaEntry>> quotas_;
  std::unique_ptr<extender::Keeper> keeper_;
  std::unique_ptr<extender::Preemptor> preemptor_;
  std::unique_ptr<extender::Waker> waker_;
  std::unique_ptr<extender::LeaseWarden> warden_;
  std::unique_ptr<extender::RoleLabels> role_labels_;
  std::unique_ptr<webhook::Webhook> webhook_;
  std::unique_ptr<net::HttpServer> extender_page_;
  std::unique_ptr<net::HttpServer> metrics_page_;
};

}  // namespace hami::scheduler
