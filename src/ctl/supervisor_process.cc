// SPDX-License-Identifier: Apache-2.0
//
// The supervisor itself, in the forked child: one thread, every signal blocked and read from a
// descriptor. It leaves only by _exit, because hami's destructors are not its own.

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/clock.h"
#include "ctl/end_tree.h"
#include "ctl/process_tree.h"
#include "ctl/supervisor.h"
#include "ctl/supervisor_channel.h"

namespace hami::ctl {
namespace {

using Kind = SupervisorEvent::Kind;

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  // execve takes non-const pointers for history's sake and changes nothing.
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// CMD's process up to its program; tells errno through `report` if there is none.
[[noreturn]] void BecomeCommand(const SupervisorSpec& spec, int report, pid_t supervisor) {
  // If both hami and its supervisor are killed at once nobody is left to end the tree; this at
  // least ends CMD. Programs that raise their privileges lose it (prctl(2)).
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != supervisor) _exit(1);
  const std::vector<char*> argv = Pointers(spec.command);
  const std::vector<char*> environment = Pointers(spec.environment);
  sigprocmask(SIG_SETMASK, &spec.signal_mask, nullptr);
  execve(spec.program.c_str(), argv.data(), environment.data());
  const int error = errno;
  (void)!write(report, &error, sizeof(error));
  _exit(127);
}

class SupervisorProcess {
 public:
  SupervisorProcess(const SupervisorSpec& spec, int channel, pid_t parent)
      : spec_(spec), channel_(channel), parent_(parent) {}

  [[noreturn]] void Run() {
    Prepare();
    if (spec_.enclosure) {
      const Status entered = EnterEnclosure(*spec_.enclosure);
      if (!entered) {
        Tell(Kind::kRefused, 0, entered.error().code, entered.error().message);
        _exit(1);
      }
      FollowParent();  // a change of credentials clears the death signal (prctl(2))
    }
    StartCommand();
    while (!IsOver()) {
      Wait();
      ReadSignals();
      ReadChannel();
      ReapChildren();
      EndTree();
    }
    Tell(Kind::kTreeGone, 0);
    _exit(0);
  }

 private:
  void Prepare() {
    prctl(PR_SET_NAME, "hami-supervisor");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    FollowParent();
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    sigset_t heard;
    sigemptyset(&heard);
    for (const int number : kForwardedSignals) sigaddset(&heard, number);
    sigaddset(&heard, SIGCHLD);
    signals_ = signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK);
  }

  void FollowParent() {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent_) parent_is_gone_ = true;
  }

  void Tell(Kind kind, int value, Code code = Code::kOk, std::string_view text = {}) {
    ChannelRecord record = {};
    record.kind = static_cast<uint8_t>(kind);
    record.code = static_cast<uint8_t>(code);
    record.value = value;
    const size_t length = std::min(text.size(), sizeof(record.text) - 1);
    std::memcpy(record.text, text.data(), length);
    (void)send(channel_, &record, sizeof(record), MSG_NOSIGNAL);
  }

  void StartCommand() {
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) {
      Tell(Kind::kExecFailed, errno);
      _exit(1);
    }
    const pid_t supervisor = getpid();
    command_ = fork();
    if (command_ == 0) BecomeCommand(spec_, report[1], supervisor);
    const int fork_error = errno;
    close(report[1]);
    int error = 0;
    ssize_t got = 0;
    do {
      got = read(report[0], &error, sizeof(error));
    } while (got < 0 && errno == EINTR);
    close(report[0]);
    if (command_ < 0) error = fork_error;
    if (command_ < 0 || got == sizeof(error)) {
      // Until it is gone its copy of the hold keeps the slice taken.
      while (command_ > 0 && waitpid(command_, nullptr, 0) < 0 && errno == EINTR) {
      }
      Tell(Kind::kExecFailed, error);
      _exit(1);
    }
    Tell(Kind::kStarted, command_);
  }

  bool IsOver() const { return ending_ && !has_children_; }

  void Wait() {
    int timeout_ms = -1;
    if (ending_) {
      const int64_t left_ns = ending_->next_ns() - base::SystemClock().MonotonicNs();
      timeout_ms = static_cast<int>(std::clamp<int64_t>(left_ns / 1'000'000 + 1, 0, 60'000));
    }
    pollfd ready[2] = {{signals_, POLLIN, 0}, {parent_is_gone_ ? -1 : channel_, POLLIN, 0}};
    (void)poll(ready, 2, timeout_ms);
  }

  void ReadSignals() {
    signalfd_siginfo info = {};
    while (read(signals_, &info, sizeof(info)) == sizeof(info)) {
      if (info.ssi_signo == SIGCHLD) continue;
      group_signals_.Record(FromSignalfd(info), base::SystemClock().MonotonicNs());
    }
    if (getppid() != parent_) parent_is_gone_ = true;
  }

  void ReadChannel() {
    while (!parent_is_gone_) {
      ChannelRecord record = {};
      const ssize_t got = recv(channel_, &record, sizeof(record), MSG_DONTWAIT);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) break;
      if (got != sizeof(record)) {
        parent_is_gone_ = true;
        break;
      }
      Forward(record.signal);
    }
    if (parent_is_gone_) BeginEnding();
  }

  void Forward(const SignalEvent& event) {
    // Between hami's question and now our own copy may have come.
    ReadSignals();
    const bool to_group = group_signals_.Take(event, base::SystemClock().MonotonicNs());
    if (ending_) {
      const bool ends = event.number == SIGINT || event.number == SIGTERM ||
                        event.number == SIGHUP || event.number == SIGQUIT;
      if (ends) ending_->Hurry();
      return;
    }
    if (to_group && getpgid(command_) == getpgrp()) return;
    kill(command_, event.number);
  }

  void ReapChildren() {
    for (;;) {
      int status = 0;
      const pid_t pid = waitpid(-1, &status, WNOHANG | WUNTRACED);
      if (pid == 0) return;
      if (pid < 0 && errno == EINTR) continue;
      if (pid < 0) {
        has_children_ = false;
        return;
      }
      if (pid > 0 && WIFSTOPPED(status)) {
        if (pid == command_) Tell(Kind::kStopped, WSTOPSIG(status));
        continue;
      }
      if (pid == command_) {
        Tell(Kind::kEnded, status);
        BeginEnding();
      }
    }
  }

  void BeginEnding() {
    if (!ending_) ending_.emplace(base::SystemClock().MonotonicNs());
  }

  void EndTree() {
    if (!ending_ || !has_children_) return;
    const int64_t now_ns = base::SystemClock().MonotonicNs();
    int refused = 0;
    switch (ending_->Step(now_ns)) {
      case TreeEnding::Action::kNothing:
        return;
      case TreeEnding::Action::kTerminate:
        SignalTree(SIGTERM, &refused);
        // A stopped process would keep the SIGTERM for later.
        SignalTree(SIGCONT, &refused);
        break;
      case TreeEnding::Action::kKill: {
        const int reached = SignalTree(SIGKILL, &refused);
        if (ending_->IsStuck(now_ns) && !told_stuck_) {
          told_stuck_ = true;
          Tell(Kind::kStuck, reached + refused);
        }
        break;
      }
    }
    ReapChildren();
  }

  const SupervisorSpec& spec_;
  const int channel_;
  const pid_t parent_;
  int signals_ = -1;
  pid_t command_ = -1;
  bool parent_is_gone_ = false;
  bool has_children_ = true;
  bool told_stuck_ = false;
  GroupSignals group_signals_;
  std::optional<TreeEnding> ending_;
};

}  // namespace

void Supervise(const SupervisorSpec& spec, int channel, pid_t parent) {
  SupervisorProcess(spec, channel, parent).Run();
}

}  // namespace hami::ctl
