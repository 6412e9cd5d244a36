// SPDX-License-Identifier: Apache-2.0
//
// Events that several processes use. Where such an event was recorded last stands in the machine's
// state; places are the machine's, so whoever reads it can wait for it.

#pragma once

#include "simgpu/cuda/streams.h"

namespace hami::simgpu::cuda {

// Gives an event an entry of its own; false: there is none free. Needs the machine's lock.
bool ShareEvent(Event* event);
// Its maker gives the entry up. Needs the machine's lock.
void UnshareEvent(const Event& event);
// Says to all where the event was recorded now. Needs the machine's lock.
void PublishPlace(const Event& event);
// Brings the event's place up to date; one whose maker is gone has been reached. Takes the lock.
void FetchPlace(Event* event);

}  // namespace hami::simgpu::cuda
