// SPDX-License-Identifier: Apache-2.0

#include "base/end_signals.h"

#include <signal.h>
#include <sys/signalfd.h>

namespace hami::base {

Result<Fd> TakeEndSignals() {
  sigset_t taken;
  sigemptyset(&taken);
  sigaddset(&taken, SIGTERM);
  sigaddset(&taken, SIGINT);
  if (sigprocmask(SIG_BLOCK, &taken, nullptr) != 0) return FailErrno("block signals");
  signal(SIGPIPE, SIG_IGN);
  Fd signals(signalfd(-1, &taken, SFD_CLOEXEC));
  if (!signals) return FailErrno("signalfd");
  return signals;
}

}  // namespace hami::base
