// SPDX-License-Identifier: Apache-2.0
//
// The admission webhook as a server: /webhook (mutating) and /validate over TLS, with a certificate
// from files or made and renewed by ourselves. One call for a program's main:
//
//   ASSIGN_OR_RETURN(auto webhook, webhook::Webhook::Start(options, registry, &client, &metrics));
//   ... readyz: webhook->NotReady().empty()
//
// Any thread. Every replica serves; none has to lead.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "kube/client.h"
#include "metrics/metrics.h"
#include "vendor/registry.h"
#include "webhook/admission.h"
#include "webhook/certificate_keeper.h"

namespace hami::webhook {

struct WebhookOptions {
  std::string address = "0.0.0.0";
  uint16_t port = 9443;
  int threads = 1;
  AdmissionOptions admission;

  // A certificate that others renew (cert-manager, an operator): read again when it changes. Both
  // or none.
  std::string certificate_file;
  std::string key_file;
  int64_t file_poll_ms = 10'000;
  // Else, unless its secret has no name, one that we make and renew. With neither the server speaks
  // plain HTTP, which is for tests and for proxies that end TLS.
  KeeperOptions managed;
};

class Webhook {
 public:
  // All but the options outlive it; `client` may be null where no certificate is managed.
  // kInvalidArgument: options that contradict each other; the port as net::HttpServer says.
  static Result<std::unique_ptr<Webhook>> Start(const WebhookOptions& options,
                                                const vendor::Registry& registry,
                                                kube::Client* client, metrics::Registry* metrics,
                                                const base::Clock& clock = base::SystemClock());
  ~Webhook();  // Stop(0)
  Webhook(const Webhook&) = delete;
  Webhook& operator=(const Webhook&) = delete;

  uint16_t port() const;

  // "" if it serves with a certificate that has not run out, else what is missing. For /readyz.
  std::string NotReady() const;

  // Takes no more connections, lets requests under way finish for up to `grace_ms`. Before it:
  // fail readiness and wait until Services have noticed.
  void Stop(int64_t grace_ms);

 private:
  class Impl;
  explicit Webhook(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hami::webhook
