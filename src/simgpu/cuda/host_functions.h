// SPDX-License-Identifier: Apache-2.0
//
// Functions of the program that streams and graphs call. They run one after the other on a thread
// of the driver, which the first of them starts; a stream goes on when its function has returned.

#pragma once

#include "simgpu/cuda/streams.h"

namespace hami::simgpu::cuda {

// Queues a call behind what the stream has got. The process' lock is held; it may be released
// meanwhile, as by Queue.
void QueueHost(Entry& entry, Stream& stream, const HostWork& work);

// False: no thread can be had, so nothing can be called. The process' lock is held.
bool HasHostThread();

}  // namespace hami::simgpu::cuda
