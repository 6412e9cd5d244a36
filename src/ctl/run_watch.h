// SPDX-License-Identifier: Apache-2.0
//
// hami's own loop while CMD runs: passes signals on, answers the tenant's processes, follows the
// supervisor, and ends the tree itself should the supervisor be killed.
//
// One thread, the one that started the supervisor.

#pragma once

#include "base/fd.h"
#include "ctl/supervisor.h"

namespace hami::ctl {

// Blocks the signals that are forwarded, and SIGCHLD stays at its default. `*before` is the mask
// that CMD gets.
Result<base::Fd> TakeSignals(sigset_t* before);

struct RunOutcome {
  int exit_code = 1;
  bool stuck = false;  // processes do not end; the supervisor waits for them alone
};

// Until the tree is gone or stuck. `listener` may be empty.
RunOutcome WatchRun(Supervisor* supervisor, const base::Fd& signals, const base::Fd& listener);

}  // namespace hami::ctl
