// SPDX-License-Identifier: Apache-2.0

#include "simgpu/cuda/item_event.h"

namespace hami::simgpu::cuda {
namespace {

constexpr uint64_t kUnknown = UINT64_MAX;

Place QueueItem(Entry& entry, Stream& stream, OpKind kind, WorkKind work, Event* event) {
  Op op = {};
  op.kind = kind;
  op.work = work;
  op.event = event;
  Queue(entry, stream, op);
  return IsLive(&stream, Kind::kStream) ? EndOf(stream) : Place{};
}

}  // namespace

ItemEvent::ItemEvent(Context* context) : event_(NewObject<Event>(context)) { event_->slot = -1; }

ItemEvent::~ItemEvent() {
  if (IsLive(event_, Kind::kEvent)) DeleteObject(event_);
}

Place QueueMark(Entry& entry, Stream& stream) {
  const ItemEvent mark(stream.owner);
  return QueueItem(entry, stream, OpKind::kRecord, WorkKind::kMark, mark.get());
}

void QueueWait(Entry& entry, Stream& stream, const Place& reason) {
  const ItemEvent waited(stream.owner);
  waited.get()->place = reason;
  QueueItem(entry, stream, OpKind::kWait, WorkKind::kWait, waited.get());
}

Place QueueOpenWait(Entry& entry, Stream& stream) {
  const ItemEvent never(stream.owner);
  {
    LockGuard guard(process.machine);
    const uint32_t queue = stream.owner->queue;
    never.get()->place = {static_cast<uint16_t>(queue), static_cast<uint16_t>(stream.lane),
                          process.machine.state->contexts[queue].generation, kUnknown};
  }
  return QueueItem(entry, stream, OpKind::kWait, WorkKind::kWait, never.get());
}

void SettleWait(const Place& place, const Place& reason) {
  if (place.seq == 0 || !HasContext(place)) return;
  Ring& ring = process.machine.state->rings[place.context][place.lane];
  ring.items[(place.seq - 1) % kLaneItems].wait = reason;
}

bool HasContext(const Place& place) {
  const hami::simgpu::Context& context = process.machine.state->contexts[place.context];
  return context.in_use != 0 && context.generation == place.generation;
}

}  // namespace hami::simgpu::cuda
