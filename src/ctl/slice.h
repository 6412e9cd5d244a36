// SPDX-License-Identifier: Apache-2.0
//
// The grant of one run: finds a device with room, writes limits and booking, and takes them back.
//
// Invariant: between the decision and the booking nobody else decides (the state folder's lock).

#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "ctl/driver_choice.h"
#include "ctl/run_options.h"
#include "ctl/share_store.h"
#include "ctl/state_folder.h"

namespace hami::ctl {

struct Slice {
  std::string folder;  // the share directory
  Booking booking;
  base::Fd hold;
};

// kResourceExhausted: no room; the message says what is free and who holds the rest. One thread
// (the cost of a context may be measured in a child).
Result<Slice> TakeSlice(const StateFolder& state, const DriverChoice& driver,
                        const RunOptions& options);

// The slice goes on without a mount namespace: noted in its booking.
Status MarkDegraded(Slice* slice);

// Lets the hold go and removes the share, unless processes still use it.
Status ReturnSlice(const StateFolder& state, Slice* slice);

// "python3-4711" of /usr/bin/python3 and 4711.
std::string NameSlice(const std::string& program, int pid);

}  // namespace hami::ctl
