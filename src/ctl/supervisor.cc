// SPDX-License-Identifier: Apache-2.0
//
// hami's side. The other one is in supervisor_process.cc.

#include "ctl/supervisor.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "ctl/supervisor_channel.h"

namespace hami::ctl {

Result<Supervisor> Supervisor::Start(const SupervisorSpec& spec) {
  // Before the fork: what is orphaned when the supervisor is killed must come to us.
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return FailErrno("become subreaper");
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return FailErrno("channel to the supervisor");
  }
  base::Fd ours(ends[0]);
  base::Fd theirs(ends[1]);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return FailErrno("start the supervisor");
  if (pid == 0) {
    ours.Reset();
    Supervise(spec, theirs.Release(), parent);
  }
  return Supervisor(pid, std::move(ours));
}

SupervisorEvent Supervisor::Read() {
  ChannelRecord record = {};
  ssize_t got = 0;
  do {
    got = recv(channel_.get(), &record, sizeof(record), 0);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof(record)) return {};
  record.text[sizeof(record.text) - 1] = 0;
  return {static_cast<SupervisorEvent::Kind>(record.kind), record.value,
          static_cast<Code>(record.code), record.text};
}

void Supervisor::Forward(const SignalEvent& event) {
  ChannelRecord record = {};
  record.kind = kForwardRecord;
  record.signal = event;
  // A supervisor that is gone is noticed by Read.
  (void)send(channel_.get(), &record, sizeof(record), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Supervisor::Reap() {
  if (pid_ <= 0) return;
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

int ExitCodeOf(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

}  // namespace hami::ctl
