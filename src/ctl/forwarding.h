// SPDX-License-Identifier: Apache-2.0
//
// Which signals that reach `hami` are passed on to CMD. hami, its supervisor and CMD are in one
// process group, so a signal to the group (a key of the terminal, a shell's `kill %1`) reaches CMD
// by itself and must not be sent twice; a signal to hami alone must be passed on.
//
// The supervisor gets no signals of its own. If it got the same signal from the same sender, the
// group was meant. The kernel signals the newest member of a group first, so the supervisor has its
// copy before hami can have asked. Keys and sizes of a terminal go to whole groups only, and come
// so fast that the kernel may merge two for the supervisor and not for hami: they are known by
// number.

#pragma once

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace hami::ctl {

struct SignalEvent {
  int number = 0;
  int code = 0;        // si_code
  int32_t sender = 0;  // PID, 0 for the kernel
};

// Signals that hami handles instead of dying of them.
inline constexpr int kForwardedSignals[] = {SIGTERM, SIGINT,   SIGHUP,  SIGQUIT, SIGUSR1,
                                            SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT};

SignalEvent FromSignalfd(const signalfd_siginfo& info);

// Remembers what the supervisor itself received.
class GroupSignals {
 public:
  void Record(const SignalEvent& event, int64_t now_ns);

  // Whether `event`, which hami received, went to the group. Each record answers once; old ones are
  // forgotten, because the kernel merges signals that come in quick succession.
  bool Take(const SignalEvent& event, int64_t now_ns);

 private:
  struct Entry {
    SignalEvent event;
    int64_t time_ns;
  };
  std::vector<Entry> entries_;
};

}  // namespace hami::ctl
