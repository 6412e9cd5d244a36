// SPDX-License-Identifier: Apache-2.0

#include "top/live.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/clock.h"
#include "base/fd.h"
#include "top/keys.h"
#include "top/session.h"

namespace hami::top {
namespace {

constexpr int kFatal[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

// Signals as data while it lives.
class Signals {
 public:
  Signals() {
    sigset_t all;
    sigemptyset(&all);
    for (const int number : kFatal) sigaddset(&all, number);
    sigaddset(&all, SIGTSTP);
    sigaddset(&all, SIGWINCH);
    sigprocmask(SIG_BLOCK, &all, &before_);
    file_.Reset(signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ~Signals() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  bool valid() const { return file_.valid(); }
  int fd() const { return file_.get(); }

  // 0: none.
  int Next() const {
    signalfd_siginfo info = {};
    const ssize_t got = read(file_.get(), &info, sizeof(info));
    return got == sizeof(info) ? static_cast<int>(info.ssi_signo) : 0;
  }

  // Does to this process what the signal would have done.
  void Deliver(int number) const {
    raise(number);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, number);
    sigprocmask(SIG_UNBLOCK, &one, nullptr);
    sigprocmask(SIG_BLOCK, &one, nullptr);
  }

 private:
  sigset_t before_ = {};
  base::Fd file_;
};

class Live {
 public:
  Live(const Options& options, Collector* collector, Terminal* terminal)
      : session_(options),
        interval_ns_(options.interval_ms * 1'000'000),
        collector_(*collector),
        terminal_(*terminal) {}

  Status Run() {
    if (!signals_.valid()) return FailErrno("make a descriptor for signals");
    RETURN_IF_ERROR(terminal_.Enter());
    while (!ended_) {
      if (NowNs() >= next_look_ns_) {
        snapshot_ = collector_.Look();
        next_look_ns_ = NowNs() + interval_ns_;
      }
      RETURN_IF_ERROR(terminal_.Draw(session_.Screen(snapshot_, terminal_.size())));
      RETURN_IF_ERROR(Wait());
    }
    return {};
  }

 private:
  static int64_t NowNs() { return base::SystemClock().MonotonicNs(); }

  Status Wait() {
    const int64_t left_ns = std::max<int64_t>(next_look_ns_ - NowNs(), 0);
    pollfd files[] = {{terminal_.input(), POLLIN, 0}, {signals_.fd(), POLLIN, 0}};
    // Rounded up: a loop must not spin through the last millisecond.
    const int timeout_ms = static_cast<int>((left_ns + 999'999) / 1'000'000);
    if (poll(files, 2, timeout_ms) < 0 && errno != EINTR) return FailErrno("wait for a key");
    if ((files[1].revents & POLLIN) != 0) RETURN_IF_ERROR(TakeSignals());
    if ((files[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) RETURN_IF_ERROR(TakeKeys());
    return {};
  }

  Status TakeSignals() {
    for (int number = signals_.Next(); number != 0; number = signals_.Next()) {
      if (number == SIGWINCH) continue;  // what is drawn next has the new size
      terminal_.Leave();
      signals_.Deliver(number);
      if (number != SIGTSTP) {
        ended_ = true;  // ignored by whoever started us; the wish is clear
        return {};
      }
      RETURN_IF_ERROR(terminal_.Enter());
      next_look_ns_ = 0;
    }
    return {};
  }

  Status TakeKeys() {
    ASSIGN_OR_RETURN(const std::string typed, terminal_.Read());
    if (typed.empty()) ended_ = true;
    for (const Key& key : KeysOf(typed)) {
      const Wish wish = session_.Press(key);
      if (wish == Wish::kQuit) ended_ = true;
      if (wish == Wish::kLook) next_look_ns_ = 0;
    }
    return {};
  }

  Signals signals_;
  Session session_;
  int64_t interval_ns_;
  Collector& collector_;
  Terminal& terminal_;
  Snapshot snapshot_;
  int64_t next_look_ns_ = 0;
  bool ended_ = false;
};

}  // namespace

Status RunLive(const Options& options, Collector* collector, Terminal* terminal) {
  const Status ran = Live(options, collector, terminal).Run();
  terminal->Leave();
  return ran;
}

}  // namespace hami::top
