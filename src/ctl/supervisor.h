// SPDX-License-Identifier: Apache-2.0
//
// The process between `hami` and CMD. It enters the tenant's namespace, starts CMD, is the parent
// of whatever CMD leaves behind, and ends all of it when CMD ends or hami is gone. It inherits
// hami's hold on the booking, so the slice stays taken until the last process is gone even when
// hami was killed.
//
//   hami -- supervisor -- CMD -- ...
//
// hami dies:       the channel closes (and the kernel sends SIGTERM): the tree is ended.
// supervisor dies: CMD gets SIGKILL from the kernel; hami, a subreaper too, ends the rest.
// CMD ends:        the run is over; what is left of the tree gets SIGTERM, then SIGKILL.
//
// Forks: the caller must have one thread. One owner.

#pragma once

#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "ctl/enclosure.h"
#include "ctl/forwarding.h"

namespace hami::ctl {

struct SupervisorSpec {
  std::optional<EnclosureSpec> enclosure;  // none: CMD gets the caller's namespace
  std::string program;                     // path of CMD's program
  std::vector<std::string> command;        // CMD and its arguments
  std::vector<std::string> environment;
  sigset_t signal_mask;  // CMD's: what the caller was started with
};

struct SupervisorEvent {
  enum class Kind : uint8_t {
    kStarted,     // value: CMD's PID
    kRefused,     // the enclosure is not possible; code and text say why; the supervisor is gone
    kExecFailed,  // value: errno of execve; the supervisor is gone
    kStopped,     // value: the signal that stopped CMD; job control of the terminal
    kEnded,       // value: CMD's wait status
    kTreeGone,    // nothing is left
    kStuck,       // value: processes that do not end; the supervisor waits for them alone
    kLost,        // the supervisor was killed
  };
  Kind kind = Kind::kLost;
  int value = 0;
  Code code = Code::kOk;
  std::string text;
};

class Supervisor {
 public:
  static Result<Supervisor> Start(const SupervisorSpec& spec);
  Supervisor(Supervisor&&) = default;
  Supervisor& operator=(Supervisor&&) = default;

  pid_t pid() const { return pid_; }
  int fd() const { return channel_.get(); }  // readable: Read gives an event

  SupervisorEvent Read();
  void Forward(const SignalEvent& event);
  void Reap();  // after kRefused, kExecFailed, kTreeGone or kLost

 private:
  Supervisor(pid_t pid, base::Fd channel) : pid_(pid), channel_(std::move(channel)) {}

  pid_t pid_;
  base::Fd channel_;
};

// The shell's convention: 128 + n for signal n.
int ExitCodeOf(int wait_status);

}  // namespace hami::ctl
