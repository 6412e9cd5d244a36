// SPDX-License-Identifier: Apache-2.0

#include "simgpu/state/timeline.h"

namespace hami::simgpu {
namespace {

constexpr uint32_t kWholeDevice = 65536;
constexpr uint64_t kNever = UINT64_MAX;

uint64_t Min(uint64_t a, uint64_t b) { return a < b ? a : b; }
uint64_t Max(uint64_t a, uint64_t b) { return a > b ? a : b; }

bool IsBlocking(uint32_t lane) {
  return lane >= kFirstBlockingLane && lane < kFirstNonBlockingLane;
}

WorkItem& ItemAt(State& state, uint32_t context, uint32_t lane, uint64_t index) {
  return state.rings[context][lane].items[index % kLaneItems];
}

WorkItem& Head(State& state, uint32_t context, uint32_t lane) {
  return ItemAt(state, context, lane, state.contexts[context].lanes[lane].completed);
}

template <typename Visit>
void ForEachPending(const Context& context, Visit visit) {
  for (uint32_t bits = context.pending; bits != 0; bits &= bits - 1) {
    visit(static_cast<uint32_t>(__builtin_ctz(bits)));
  }
}

void AddBusy(LoadWindow& window, uint64_t from_ns, uint64_t to_ns) {
  while (from_ns < to_ns) {
    const uint64_t period = from_ns / kLoadPeriodNs;
    if (window.period != period) {
      window.previous_ns = window.period + 1 == period ? window.busy_ns : 0;
      window.busy_ns = 0;
      window.period = period;
    }
    const uint64_t until = Min(to_ns, (period + 1) * kLoadPeriodNs);
    window.busy_ns += until - from_ns;
    from_ns = until;
  }
}

// One context on its device, at the device's present time.
class Runner {
 public:
  Runner(State& state, uint32_t index)
      : state_(state),
        index_(index),
        context_(state.contexts[index]),
        device_(state.devices[context_.device]) {}

  // Starts what can start and completes what takes no time. True if something runs.
  bool Start() {
    LookAtRunning();
    while (true) {
      const int lane = NextToStart();
      if (lane < 0) return running_ != 0;
      WorkItem& item = Head(state_, index_, static_cast<uint32_t>(lane));
      if (item.remaining_ns == 0) {
        Complete(static_cast<uint32_t>(lane), item);
      } else {
        item.started = 1;
        CountRunning(static_cast<uint32_t>(lane), item);
      }
    }
  }

  // Runs to `until` or until nothing is left to run. Needs a successful Start.
  void Run(uint64_t until_ns) {
    do {
      uint64_t step = until_ns - device_.now_ns;
      ForEachPending(context_, [&](uint32_t lane) {
        const WorkItem& item = Head(state_, index_, lane);
        if (item.started != 0) {
          step = Min(step, item.remaining_ns);
        } else if (item.ready_ns > device_.now_ns) {
          step = Min(step, item.ready_ns - device_.now_ns);
        }
      });
      Pass(step);
    } while (device_.now_ns < until_ns && Start());
  }

  // When a head that is only too early can start.
  uint64_t NextReady() {
    uint64_t next = kNever;
    ForEachPending(context_, [&](uint32_t lane) {
      const WorkItem& item = Head(state_, index_, lane);
      if (item.ready_ns <= device_.now_ns || !IsUnblocked(lane, item)) return;
      next = Min(next, item.ready_ns);
    });
    return next;
  }

 private:
  void LookAtRunning() {
    running_ = demand_ = copies_ = 0;
    ForEachPending(context_, [&](uint32_t lane) {
      const WorkItem& item = Head(state_, index_, lane);
      if (item.started != 0) CountRunning(lane, item);
    });
  }

  void CountRunning(uint32_t lane, const WorkItem& item) {
    running_ |= 1U << lane;
    if (item.kind == WorkKind::kKernel) demand_ += item.demand_q16;
    copies_ |= 1U << static_cast<uint32_t>(item.kind);
  }

  // The legacy default stream and blocking streams wait for each other's earlier work (CUDA C
  // Programming Guide, "Default Stream").
  bool IsUnblocked(uint32_t lane, const WorkItem& item) const {
    if (lane == kLegacyLane) {
      bool free = true;
      ForEachPending(context_, [&](uint32_t other) {
        if (IsBlocking(other) && Head(state_, index_, other).ticket < item.ticket) free = false;
      });
      if (!free) return false;
    } else if (IsBlocking(lane) && (context_.pending & 1U) != 0 &&
               Head(state_, index_, kLegacyLane).ticket < item.ticket) {
      return false;
    }
    return item.kind != WorkKind::kWait || IsReached(state_, item.wait);
  }

  bool Fits(const WorkItem& item) const {
    if (item.kind == WorkKind::kKernel) {
      return demand_ == 0 || demand_ + item.demand_q16 <= kWholeDevice;
    }
    // One copy in each direction at a time.
    const bool is_copy = item.kind == WorkKind::kCopyToDevice || item.kind == WorkKind::kCopyToHost;
    return !is_copy || (copies_ & (1U << static_cast<uint32_t>(item.kind))) == 0;
  }

  // The oldest head that can start. A kernel that does not fit yet is not overtaken by younger
  // ones.
  int NextToStart() {
    int found = -1;
    int blocked_kernel = -1;
    uint64_t oldest = kNever;
    uint64_t oldest_blocked = kNever;
    ForEachPending(context_, [&](uint32_t lane) {
      const WorkItem& item = Head(state_, index_, lane);
      if (item.started != 0 || item.ready_ns > device_.now_ns || !IsUnblocked(lane, item)) return;
      if (!Fits(item)) {
        if (item.kind == WorkKind::kKernel && item.ticket < oldest_blocked) {
          oldest_blocked = item.ticket;
          blocked_kernel = static_cast<int>(lane);
        }
      } else if (item.ticket < oldest) {
        oldest = item.ticket;
        found = static_cast<int>(lane);
      }
    });
    if (found >= 0 && blocked_kernel >= 0 && oldest_blocked < oldest &&
        Head(state_, index_, static_cast<uint32_t>(found)).kind == WorkKind::kKernel) {
      return -1;
    }
    return found;
  }

  void Complete(uint32_t index, WorkItem& item) {
    Lane& lane = context_.lanes[index];
    if (item.kind == WorkKind::kMark && item.mark.slot < kMaxEventSlots) {
      EventSlot& slot = state_.events[item.mark.slot];
      if (slot.record == item.mark.record) slot.done_ns = device_.now_ns;
    }
    running_ &= ~(1U << index);
    lane.last_done_ns = device_.now_ns;
    ++lane.completed;
    if (lane.completed == lane.submitted) context_.pending &= ~(1U << index);
    if (context_.pending == 0) device_.active[index_ / 64] &= ~(uint64_t{1} << index_ % 64);
  }

  void Pass(uint64_t ns) {
    const uint64_t from = device_.now_ns;
    ClientDevice& client = state_.clients[context_.client].devices[context_.device];
    client.busy_ns += ns;
    AddBusy(client.load, from, from + ns);
    device_.busy_ns += ns;
    AddBusy(device_.load, from, from + ns);
    device_.now_ns = from + ns;
    for (uint32_t bits = running_; bits != 0; bits &= bits - 1) {
      const auto lane = static_cast<uint32_t>(__builtin_ctz(bits));
      WorkItem& item = Head(state_, index_, lane);
      item.remaining_ns -= ns;
      if (item.remaining_ns == 0) Complete(lane, item);
    }
  }

  State& state_;
  const uint32_t index_;
  Context& context_;
  Device& device_;
  uint32_t running_ = 0;  // bit per lane
  uint32_t demand_ = 0;
  uint32_t copies_ = 0;  // bit per kind
};

// The next active context after `from`, itself last; -1.
int NextActive(const Device& device, int from) {
  for (uint32_t step = 1; step <= kMaxContexts; ++step) {
    const uint32_t index = (static_cast<uint32_t>(from + 1) + step - 1) % kMaxContexts;
    const uint64_t word = device.active[index / 64] >> index % 64;
    if (word == 0) {
      step += 63 - index % 64;  // the rest of this word is empty
    } else if ((word & 1) != 0) {
      return static_cast<int>(index);
    }
  }
  return -1;
}

bool IsActive(const Device& device, int index) {
  return index >= 0 && (device.active[index / 64] >> index % 64 & 1) != 0;
}

// The context that runs now: the current one within its slice, else the next that can.
bool PickContext(State& state, Device& device, uint64_t slice_ns) {
  if (device.now_ns < device.slice_end_ns && IsActive(device, device.current) &&
      Runner(state, static_cast<uint32_t>(device.current)).Start()) {
    return true;
  }
  const int before = device.current;
  int candidate = before;
  for (uint32_t tried = 0; tried < kMaxContexts; ++tried) {
    candidate = NextActive(device, candidate);
    if (candidate < 0) return false;
    if (Runner(state, static_cast<uint32_t>(candidate)).Start()) {
      if (candidate != before) ++device.switches;
      device.current = candidate;
      device.slice_end_ns = device.now_ns + slice_ns;
      return true;
    }
    if (candidate == before) return false;
  }
  return false;
}

uint64_t NextReady(State& state, const Device& device) {
  uint64_t next = kNever;
  for (uint32_t word = 0; word < kMaxContexts / 64; ++word) {
    for (uint64_t bits = device.active[word]; bits != 0; bits &= bits - 1) {
      const auto bit = static_cast<uint32_t>(__builtin_ctzll(bits));
      next = Min(next, Runner(state, word * 64 + bit).NextReady());
    }
  }
  return next;
}

bool HasWork(const Device& device) {
  for (const uint64_t word : device.active) {
    if (word != 0) return true;
  }
  return false;
}

}  // namespace

bool Submit(State& state, uint32_t index, uint32_t lane_index, const WorkItem& item,
            uint64_t now_ns) {
  Context& context = state.contexts[index];
  Lane& lane = context.lanes[lane_index];
  if (lane.submitted - lane.completed >= kLaneItems) return false;
  Device& device = state.devices[context.device];
  if (device.now_ns < now_ns && !HasWork(device)) device.now_ns = now_ns;
  WorkItem& slot = ItemAt(state, index, lane_index, lane.submitted);
  slot = item;
  slot.started = 0;
  slot.ticket = context.next_ticket++;
  ++lane.submitted;
  context.pending |= 1U << lane_index;
  device.active[index / 64] |= uint64_t{1} << index % 64;
  return true;
}

Place EndOfLane(const State& state, uint32_t context, uint32_t lane) {
  const Context& owner = state.contexts[context];
  return {static_cast<uint16_t>(context), static_cast<uint16_t>(lane), owner.generation,
          owner.lanes[lane].submitted};
}

bool IsReached(const State& state, const Place& place) {
  if (place.seq == 0) return true;
  const Context& context = state.contexts[place.context];
  return context.in_use == 0 || context.generation != place.generation ||
         context.lanes[place.lane].completed >= place.seq;
}

void Advance(State& state, uint32_t index, uint64_t now_ns) {
  Device& device = state.devices[index];
  const uint64_t slice_ns = Max(state.config.devices[index].time_slice_ns, 1000);
  while (HasWork(device)) {
    if (PickContext(state, device, slice_ns)) {
      if (device.now_ns >= now_ns) return;
      Runner runner(state, static_cast<uint32_t>(device.current));
      if (runner.Start()) runner.Run(Min(now_ns, device.slice_end_ns));
      continue;
    }
    const uint64_t ready = NextReady(state, device);
    if (ready > now_ns) break;
    device.now_ns = Max(device.now_ns, ready);
  }
  if (device.now_ns < now_ns) device.now_ns = now_ns;
}

void AdvanceAll(State& state, uint64_t now_ns) {
  for (uint32_t i = 0; i < state.config.device_count; ++i) {
    if (HasWork(state.devices[i])) Advance(state, i, now_ns);
  }
}

uint64_t EarliestReach(const State& state, const Place& place, uint64_t now_ns) {
  const Context& context = state.contexts[place.context];
  const Lane& lane = context.lanes[place.lane];
  const Device& device = state.devices[context.device];
  uint64_t at = Max(now_ns, device.now_ns);
  const auto& items = state.rings[place.context][place.lane].items;
  // Somebody else's slice first; he may give up before its end, when what he runs now is over.
  const int current = device.current;
  if (current >= 0 && current != place.context && device.slice_end_ns > at) {
    const Context& other = state.contexts[current];
    uint64_t longest = 0;
    ForEachPending(other, [&](uint32_t i) {
      const WorkItem& head = state.rings[current][i].items[other.lanes[i].completed % kLaneItems];
      if (head.started != 0) longest = Max(longest, head.remaining_ns);
    });
    at = Min(device.slice_end_ns, at + longest);
  }
  for (uint64_t i = lane.completed; i < place.seq && i < lane.submitted; ++i) {
    const WorkItem& item = items[i % kLaneItems];
    at = Max(at, item.ready_ns) + item.remaining_ns;
  }
  return Max(at, now_ns + 1);
}

uint64_t BusyInLastPeriod(const LoadWindow& window, uint64_t now_ns) {
  const uint64_t last = now_ns / kLoadPeriodNs - 1;
  if (window.period == last) return window.busy_ns;
  return window.period == last + 1 ? window.previous_ns : 0;
}

}  // namespace hami::simgpu
