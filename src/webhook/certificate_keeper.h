// SPDX-License-Identifier: Apache-2.0
//
// Keeps the serving certificate of a webhook: made by one of the replicas, kept in a Secret, loaded
// by all, trusted by way of caBundle in the webhook configurations, renewed before it runs out. No
// other program is needed (design decision 20). What is to be done when is in certificate_plan.h;
// this file does it, on a thread of its own.
//
// Rights: get and patch on the one Secret (create, if nobody has made it), get and patch on the
// named webhook configurations.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "kube/client.h"
#include "net/server_tls.h"
#include "webhook/certificate_plan.h"

namespace hami::webhook {

struct KeeperOptions {
  std::string secret_namespace;
  std::string secret_name;                           // empty: no certificate is managed
  std::vector<std::string> mutating_configurations;  // names of those that get caBundle
  std::vector<std::string> validating_configurations;
  // What the certificate is good for: "hami-scheduler.hami-system.svc", "10.0.0.7".
  std::vector<std::string> host_names;
  CertificateTimes times;
  int64_t poll_ms = 20'000;  // how soon a replica serves what another one made
};

struct KeeperStats {
  uint64_t failures = 0;  // rounds that did not end well
  uint64_t made = 0;      // certificates that this replica made and stored
  uint64_t loaded = 0;    // certificates that it began to serve
};

class CertificateKeeper {
 public:
  // Begins at once. All but the options outlive it.
  CertificateKeeper(KeeperOptions options, kube::Client& client, net::ServerTls& tls,
                    const base::Clock& clock);
  ~CertificateKeeper();
  CertificateKeeper(const CertificateKeeper&) = delete;
  CertificateKeeper& operator=(const CertificateKeeper&) = delete;

  KeeperStats stats() const;
  // What the last round failed at; "" if it did not.
  std::string problem() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hami::webhook
