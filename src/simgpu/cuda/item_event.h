// SPDX-License-Identifier: Apache-2.0
//
// Single items of the timeline that no event of the program stands for: marks, and waits for a
// place that is not known when they are queued. All under the process' lock.

#pragma once

#include "simgpu/cuda/streams.h"

namespace hami::simgpu::cuda {

// An event without timing for one item, until the end of the scope.
class ItemEvent {
 public:
  explicit ItemEvent(Context* context);
  ~ItemEvent();
  ItemEvent(const ItemEvent&) = delete;
  ItemEvent& operator=(const ItemEvent&) = delete;

  Event* get() const { return event_; }

 private:
  Event* event_;
};

// Queues a mark; where it is, which is nowhere if the stream was destroyed meanwhile.
Place QueueMark(Entry& entry, Stream& stream);
// Queues a wait for `reason`.
void QueueWait(Entry& entry, Stream& stream, const Place& reason);
// Queues a wait that lasts until SettleWait; its own place.
Place QueueOpenWait(Entry& entry, Stream& stream);

// From now on the open wait at `place` waits for `reason`; needs the machine's lock.
void SettleWait(const Place& place, const Place& reason);
// The context of the place is there, whatever its work. Needs the machine's lock.
bool HasContext(const Place& place);

}  // namespace hami::simgpu::cuda
