// SPDX-License-Identifier: Apache-2.0
//
// Whether this replica may decide and bind: only while the kube-scheduler beside it holds the
// Lease, because bindings of two schedulers never conflict in the API and would give a device
// twice. Two fences (design decision 6):
//
//   a bind must end before the lease can: it gets less time than the lease has left;
//   a new holder waits until the lease that another held has run out, then reads all pods
//   consistently, and only then decides.
//
// The lease ends `leaseDurationSeconds` after its renewal: by the clock of the holder, which is
// this machine's, and, in case clocks jump, by the time since we saw the renewal. Pure; one thread,
// or under the caller's lock.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kube/lease.h"

namespace hami::extender {

// client-go's holder is "<host name>_<random>": whether that host is `host`, exactly.
bool IsHeldBy(const std::string& holder, std::string_view host);

class LeaderGate {
 public:
  explicit LeaderGate(std::string host) : host_(std::move(host)) {}

  // None: there is no such Lease.
  void Observe(const std::optional<kube::Lease>& lease, int64_t now_ns, int64_t wall_ns);

  // Which holding this is: changes whenever the lease comes to us; 0 while it is not ours.
  uint64_t Term(int64_t now_ns, int64_t wall_ns) const;
  // How long until the lease that another held before us has run out; 0: it has.
  int64_t OtherLeftMs(int64_t now_ns) const;
  // All pods were read consistently in that term, after OtherLeftMs was 0.
  void NoteCaughtUp(uint64_t term);

  bool MayDecide(int64_t now_ns, int64_t wall_ns) const;
  // How long the lease is ours for certain; 0: not at all, or we may not decide yet.
  int64_t LeftMs(int64_t now_ns, int64_t wall_ns) const;
  // For people: "the Lease is held by hami-2_8c1f".
  std::string Describe(int64_t now_ns, int64_t wall_ns) const;

 private:
  int64_t HeldLeftMs(int64_t now_ns, int64_t wall_ns) const;

  const std::string host_;
  std::optional<kube::Lease> lease_;
  int64_t seen_ns_ = 0;         // when its renewal was seen first
  int64_t other_until_ns_ = 0;  // monotonic
  uint64_t term_ = 0;
  uint64_t caught_up_ = 0;
};

}  // namespace hami::extender
