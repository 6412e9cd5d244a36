// SPDX-License-Identifier: Apache-2.0

#include "ctl/run_watch.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "ctl/end_tree.h"
#include "ctl/notice.h"
#include "ctl/process_tree.h"
#include "share/agent_socket.h"

namespace hami::ctl {
namespace {

using Kind = SupervisorEvent::Kind;

class Watch {
 public:
  Watch(Supervisor* supervisor, const base::Fd& signals, const base::Fd& listener)
      : supervisor_(*supervisor), signals_(signals), listener_(listener) {}

  RunOutcome Run() {
    while (!over_) {
      pollfd ready[] = {{supervisor_.fd(), POLLIN, 0},
                        {signals_.get(), POLLIN, 0},
                        {listener_ ? listener_.get() : -1, POLLIN, 0}};
      (void)poll(ready, 3, -1);
      if (ready[1].revents != 0) ForwardSignals();
      if (ready[2].revents != 0) share::AnswerTenants(listener_);
      if (ready[0].revents != 0) Follow(supervisor_.Read());
    }
    return outcome_;
  }

 private:
  void ForwardSignals() {
    signalfd_siginfo info = {};
    while (read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
      supervisor_.Forward(FromSignalfd(info));
    }
  }

  void Follow(const SupervisorEvent& event) {
    switch (event.kind) {
      case Kind::kStopped:
        StopToo(event.value);
        return;
      case Kind::kEnded:
        ended_ = true;
        outcome_.exit_code = ExitCodeOf(event.value);
        return;
      case Kind::kStuck:
        Notice(
            fmt::format("{} processes of this run do not end; the slice stays taken until they "
                        "do",
                        event.value));
        outcome_.stuck = true;
        over_ = true;
        return;
      case Kind::kTreeGone:
        supervisor_.Reap();
        over_ = true;
        return;
      case Kind::kLost:
        supervisor_.Reap();
        if (!ended_)
          Notice("the supervisor of this run was killed; all of its processes are ended");
        EndTree();
        over_ = true;
        return;
      case Kind::kStarted:
      case Kind::kRefused:
      case Kind::kExecFailed:
        return;  // read before the watch began
    }
  }

  // A shell waits for us, not for CMD: when the terminal stops CMD, the job is stopped.
  static void StopToo(int signal_number) {
    if (signal_number == SIGTSTP || signal_number == SIGTTIN || signal_number == SIGTTOU) {
      kill(getpid(), SIGSTOP);
    }
  }

  // What the supervisor left is ours: we are a subreaper too.
  void EndTree() {
    const base::Clock& clock = base::SystemClock();
    TreeEnding ending(clock.MonotonicNs());
    int refused = 0;
    while (ReapEnded()) {
      const int64_t now_ns = clock.MonotonicNs();
      const TreeEnding::Action action = ending.Step(now_ns);
      if (action == TreeEnding::Action::kTerminate) {
        SignalTree(SIGTERM, &refused);
        SignalTree(SIGCONT, &refused);
      } else if (action == TreeEnding::Action::kKill) {
        SignalTree(SIGKILL, &refused);
      }
      if (ending.IsStuck(now_ns)) {
        outcome_.stuck = true;
        return;
      }
      // SIGCHLD is not read here, so ended children are found by looking.
      constexpr int kLookMs = 20;
      pollfd ready = {signals_.get(), POLLIN, 0};
      if (poll(&ready, 1, kLookMs) > 0) HurryOn(&ending);
    }
  }

  void HurryOn(TreeEnding* ending) {
    signalfd_siginfo info = {};
    while (read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
      if (info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM) ending->Hurry();
    }
  }

  Supervisor& supervisor_;
  const base::Fd& signals_;
  const base::Fd& listener_;
  RunOutcome outcome_;
  bool ended_ = false;
  bool over_ = false;
};

}  // namespace

Result<base::Fd> TakeSignals(sigset_t* before) {
  // A caller that ignores SIGCHLD would have the kernel reap our children.
  signal(SIGCHLD, SIG_DFL);
  sigset_t taken;
  sigemptyset(&taken);
  for (const int number : kForwardedSignals) sigaddset(&taken, number);
  if (sigprocmask(SIG_BLOCK, &taken, before) != 0) return FailErrno("block signals");
  base::Fd signals(signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) return FailErrno("signalfd");
  return signals;
}

RunOutcome WatchRun(Supervisor* supervisor, const base::Fd& signals, const base::Fd& listener) {
  return Watch(supervisor, signals, listener).Run();
}

}  // namespace hami::ctl
