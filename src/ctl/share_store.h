// SPDX-License-Identifier: Apache-2.0
//
// The bookings of this state folder: list them, sweep dead ones, add and remove. Every function
// needs the state folder's lock, which is passed to show that it is held.
//
// Crash-safe: a share is prepared in shares/.new-*, and appears by one rename with its booking
// already locked; it disappears by one rename to shares/.old-*. Whatever a dead hami left under
// such names, or unlocked, the next sweep removes.

#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "ctl/booking.h"
#include "ctl/state_folder.h"

namespace hami::ctl {

struct LiveShare {
  std::string folder;
  Booking booking;
  Liveness liveness = Liveness::kDead;
};

// Removes what nobody holds and returns the rest. A live booking that cannot be read is an error:
// what it holds is not known, so nothing may be given away.
Result<std::vector<LiveShare>> SweepAndList(const StateFolder& state, const base::Fd& lock);

struct NewShare {
  std::string folder;
  base::Fd hold;  // keeps the booking alive; for as long as the tree lives
};

// Makes the share: limits, region, booking. kAlreadyExists if the name is taken.
Result<NewShare> AddShare(const StateFolder& state, const base::Fd& lock, const Booking& booking,
                          const std::string& limits);

// Removes it, unless a process still holds one of its slots (kFailedPrecondition): then a later
// sweep does. The caller has let its hold go.
Status RemoveShare(const StateFolder& state, const base::Fd& lock, const std::string& folder);

}  // namespace hami::ctl
