// SPDX-License-Identifier: Apache-2.0
//
// Stands for election (election.h) on the client's I/O thread, for as long as it lives.
//
//   kube::LeaseHolder holder(client, {.lease = {"hami-system", "hami-webhook"}, .identity = pod},
//                            [](bool leads) { ... });
//
// RBAC: get, create and patch of leases. Every function may be called from any thread, Release not
// from the I/O thread.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "kube/client.h"
#include "kube/election.h"

namespace hami::kube {

class LeaseHolder {
 public:
  // On the I/O thread, whenever it changes; must not block.
  using OnChange = std::function<void(bool leads)>;

  LeaseHolder(Client& client, ElectionOptions options, OnChange on_change);
  // Stands no longer; the Lease is left to run out. OnChange may be called once more at most.
  ~LeaseHolder();
  LeaseHolder(const LeaseHolder&) = delete;
  LeaseHolder& operator=(const LeaseHolder&) = delete;

  bool IsLeader() const { return LeftMs() > 0; }
  // How long we certainly lead, whatever happens now; 0: not at all.
  int64_t LeftMs() const;
  std::string holder() const;

  // Gives the Lease back and stands no longer. Nothing to do if it is not ours. `timeout_ms` is for
  // each request: there are more where a renewal is under way. An error: it runs out by itself.
  Status Release(int64_t timeout_ms);

 private:
  class Impl;
  const std::shared_ptr<Impl> impl_;  // with calls under way
};

}  // namespace hami::kube
