// SPDX-License-Identifier: Apache-2.0
//
// The agent's socket of a share (api/share/agent.h): whoever connects is told its PID as the host
// knows it, which the kernel says (SO_PEERCRED), not the peer. Nothing is read from anybody.

#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace hami::share {

// Listens on agent.sock in the share directory; any user may connect. Not blocking.
Result<base::Fd> ListenForTenants(const std::string& share_folder);

// Answers everybody who waits.
void AnswerTenants(const base::Fd& listener);

}  // namespace hami::share
