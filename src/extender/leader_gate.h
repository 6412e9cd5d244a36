// SPDX-License-Identifier: Apache-2.0
//
// Whether this replica may decide and bind: only while the kube-scheduler beside it holds the
// Lease, because bindings of two schedulers never conflict in the API and would give a device
// twice. Two fences (design decision 6):
//
//   a bind must end before its holding does: it gets less time than that has left;
//   a new holder waits until the holding of the one before has run out, then reads all pods
//   consistently, and only then decides.
//
// A process of this host that was killed left writes under way, of which the next one knows
// nothing: whoever finds the Lease here at its first look waits until they have landed.
//
// A holding lasts two thirds of `leaseDurationSeconds` from a renewal: less than the Lease, so that
// a Lease may be released for a dead leader before it runs out (silent_leader.h, docs/adr/0021). It
// ends by the clock of the holder, which is this machine's, and, in case clocks jump, by the time
// since we saw the renewal; who waits for another counts from when it saw the renewal, which is
// later than the renewal was, so clocks of machines are never compared. Pure; one
// thread or under the caller's lock.

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

  // How it may be that we did not see what came before: the first look, or a list after a watch
  // that broke.
  enum class After : uint8_t { kEverythingBefore, kGap };

  // None: there is no such Lease.
  void Observe(const std::optional<kube::Lease>& lease, After after, int64_t now_ns,
               int64_t wall_ns);

  // Which holding this is: changes whenever the lease comes to us; 0 while it is not ours.
  uint64_t Term(int64_t now_ns, int64_t wall_ns) const;
  // How long until the holding of another before us has run out; 0: it has.
  int64_t OtherLeftMs(int64_t now_ns) const;
  // All pods were read consistently in that term, after OtherLeftMs was 0.
  void NoteCaughtUp(uint64_t term);

  bool MayDecide(int64_t now_ns, int64_t wall_ns) const;
  // How long we hold it for certain; 0: not at all, or we may not decide yet.
  int64_t LeftMs(int64_t now_ns, int64_t wall_ns) const;
  // For people: "the Lease is held by hami-2_8c1f".
  std::string Describe(int64_t now_ns, int64_t wall_ns) const;

  // Whether the Lease names this host, run out or not: then we will lead soon, or led just now.
  bool IsNamed() const { return lease_ && IsHeldBy(lease_->holder, host_); }
  // How long nobody has renewed the Lease, as far as we heard; 0 while nobody holds it.
  int64_t SilentMs(int64_t now_ns) const;
  // Of the Lease as it was seen last; 0: there is none.
  int64_t DurationMs() const { return lease_ ? lease_->duration_s * 1000 : 0; }

 private:
  int64_t LeftOfMs(int64_t length_ms, int64_t now_ns, int64_t wall_ns) const;
  int64_t HeldLeftMs(int64_t now_ns, int64_t wall_ns) const;
  void BeginTerm(bool saw_before, int64_t now_ns);

  const std::string host_;
  std::optional<kube::Lease> lease_;
  bool has_looked_ = false;
  int64_t seen_ns_ = 0;         // when its renewal was seen first
  int64_t other_until_ns_ = 0;  // monotonic
  uint64_t term_ = 0;
  uint64_t caught_up_ = 0;
};

}  // namespace hami::extender
