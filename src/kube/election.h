// SPDX-License-Identifier: Apache-2.0
//
// Who of several replicas leads, by a Lease, with client-go's rules (tools/leaderelection), so that
// the two understand each other:
//
//   a Lease that somebody holds is left alone until it has not changed for its duration, measured
//   by our own monotonic clock from when we saw it change: clocks of machines are never compared;
//   a holder renews every `retry_ms`; one that has not succeeded for `renew_deadline_ms` no longer
//   leads, which is well before anybody else may take the Lease;
//   who does not hold it looks again after `retry_ms` and up to 1.2 times that more.
//
// Every write names the version that it changes, so that of two who try one fails. Pure:
// LeaseHolder (lease_holder.h) does what it says. One thread.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "kube/lease.h"
#include "net/backoff.h"

namespace hami::kube {

struct ElectionOptions {
  ObjectKey lease;
  std::string identity;  // unique among those who stand for election
  // client-go's defaults; each well below the one before.
  int64_t lease_s = 15;
  int64_t renew_deadline_ms = 10'000;
  int64_t retry_ms = 2'000;
};

class Election {
 public:
  struct Step {
    enum class Kind : uint8_t { kRead, kCreate, kPatch, kWait };
    Kind kind = Kind::kRead;
    Lease lease;           // kCreate, kPatch
    int64_t delay_ms = 0;  // kWait
  };

  Election(ElectionOptions options, net::Random random);

  Step Start();
  // kNotFound: there is none yet.
  Step OnRead(const Result<Lease>& lease, int64_t now_ns, int64_t wall_ns);
  // What the last kCreate or kPatch came to.
  Step OnWritten(const Result<Lease>& lease, int64_t now_ns);
  Step OnWaited(int64_t now_ns, int64_t wall_ns);

  // How long we certainly lead; 0: not at all.
  int64_t LeftMs(int64_t now_ns) const;
  bool IsLeader(int64_t now_ns) const { return LeftMs(now_ns) > 0; }
  // As we last saw it; empty if nobody or not known.
  const std::string& holder() const;

  // The patch that gives the Lease back, so that the next need not wait. Nothing if it is not ours.
  std::optional<Lease> Release(int64_t now_ns, int64_t wall_ns);

 private:
  void Observe(const Lease& lease, int64_t now_ns);
  Step Write(Step::Kind kind, Lease lease, int64_t now_ns, int64_t wall_ns);
  Step Wait() const;

  const ElectionOptions options_;
  const net::Random random_;
  std::optional<Lease> seen_;
  int64_t seen_ns_ = 0;  // when it changed last, for us
  bool leads_ = false;
  int64_t renewed_ns_ = 0;      // when the last write that succeeded was begun
  int64_t write_began_ns_ = 0;  // of the write under way
  bool is_first_write_ = true;  // that write was made without reading
};

}  // namespace hami::kube
