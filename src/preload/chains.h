// SPDX-License-Identifier: Apache-2.0
//
// Measuring launches that no event may stand between. A programmatic dependent launch may begin
// before its predecessor has ended; an event in front of it would keep them apart. Such launches
// are measured by this thread's clock, from a launch into an idle stream until the stream is seen
// idle again, and the time is divided among them as they were charged.
//
// A stream is only asked when this very thread is about to launch into it, so that it cannot be
// destroyed or captured meanwhile. Nothing here waits, and nothing is put into a stream.

#pragma once

#include "preload/capture.h"
#include "preload/costs.h"

namespace hami::preload {

// The launch is about to be made: it joins the open chain of its stream, or begins one.
void JoinChain(Cost& cost, CUstream stream, StreamForm form);

// Before a launch into the stream, and while it waits: closes the chain if the stream is idle.
void LookAtChain(CUstream stream, StreamForm form);

// Whether this thread has an open chain on the stream, so that looking now and then helps.
bool HasChain(CUstream stream, StreamForm form);

void ResetChainsAfterFork();

}  // namespace hami::preload
