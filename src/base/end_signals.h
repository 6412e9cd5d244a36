// SPDX-License-Identifier: Apache-2.0
//
// How a service learns that it is to end: SIGTERM and SIGINT become readable on a descriptor.
// SIGPIPE is ignored: a peer that goes away is an error of a write. Once per process, before any
// thread is there, so that all inherit the mask.

#pragma once

#include "base/fd.h"
#include "base/result.h"

namespace hami::base {

Result<Fd> TakeEndSignals();

}  // namespace hami::base
