// SPDX-License-Identifier: Apache-2.0

#include "ctl/forwarding.h"

#include <algorithm>

namespace hami::ctl {
namespace {

constexpr int64_t kForgetNs = 1'000'000'000;

bool IsSame(const SignalEvent& a, const SignalEvent& b) {
  return a.number == b.number && a.code == b.code && a.sender == b.sender;
}

bool IsOfTerminal(const SignalEvent& event) {
  return event.code == SI_KERNEL && (event.number == SIGINT || event.number == SIGQUIT ||
                                     event.number == SIGTSTP || event.number == SIGWINCH);
}

}  // namespace

SignalEvent FromSignalfd(const signalfd_siginfo& info) {
  return {static_cast<int>(info.ssi_signo), info.ssi_code, static_cast<int32_t>(info.ssi_pid)};
}

void GroupSignals::Record(const SignalEvent& event, int64_t now_ns) {
  std::erase_if(entries_, [&](const Entry& entry) { return now_ns - entry.time_ns > kForgetNs; });
  entries_.push_back({event, now_ns});
}

bool GroupSignals::Take(const SignalEvent& event, int64_t now_ns) {
  if (IsOfTerminal(event)) return true;
  std::erase_if(entries_, [&](const Entry& entry) { return now_ns - entry.time_ns > kForgetNs; });
  const auto found = std::ranges::find_if(
      entries_, [&](const Entry& entry) { return IsSame(entry.event, event); });
  if (found == entries_.end()) return false;
  entries_.erase(found);
  return true;
}

}  // namespace hami::ctl
