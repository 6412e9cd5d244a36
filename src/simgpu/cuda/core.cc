// SPDX-License-Identifier: Apache-2.0

#include "simgpu/cuda/core.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "simgpu/cuda/green.h"
#include "simgpu/state/faults.h"
#include "simgpu/state/os.h"

namespace hami::simgpu::cuda {

Process process;

namespace {

constexpr int kMaxStack = 64;
constexpr uint64_t kSpinNs = 50'000;
// A host function takes as long as it likes: who waits for one does not wait awake.
constexpr uint64_t kHostWaitNs = 20'000;
constexpr uint64_t kReapEveryNs = 20'000'000;

struct ContextStack {
  int count;
  Context* contexts[kMaxStack];
};
__thread ContextStack stack;

// The live handles: open addressing, no deletions but by rebuilding.
struct Registry {
  uint64_t capacity;
  uint64_t used;  // with tombstones
  uint64_t live;
  Object** slots;
};
Registry registry;
Object* const kTombstone = reinterpret_cast<Object*>(1);

uint64_t HashOf(const void* pointer) {
  return (reinterpret_cast<uint64_t>(pointer) >> 4) * 0x9e3779b97f4a7c15;
}

void InsertSlot(Object* object) {
  uint64_t at = HashOf(object) & (registry.capacity - 1);
  while (registry.slots[at] != nullptr) at = (at + 1) & (registry.capacity - 1);
  registry.slots[at] = object;
  ++registry.used;
}

void Grow() {
  Registry old = registry;
  registry.capacity = old.live * 4 < 1024 ? 1024 : 2048;
  while (registry.capacity < old.live * 4) registry.capacity *= 2;
  registry.used = 0;
  registry.slots = static_cast<Object**>(AllocateZeroed(registry.capacity * sizeof(Object*)));
  for (uint64_t i = 0; i < old.capacity; ++i) {
    if (old.slots[i] != nullptr && old.slots[i] != kTombstone) InsertSlot(old.slots[i]);
  }
  Deallocate(old.slots);
}

Object** FindSlot(const void* handle) {
  if (registry.capacity == 0) return nullptr;
  uint64_t at = HashOf(handle) & (registry.capacity - 1);
  while (registry.slots[at] != nullptr) {
    if (registry.slots[at] == handle) return &registry.slots[at];
    at = (at + 1) & (registry.capacity - 1);
  }
  return nullptr;
}

Object** ListOf(Context* owner) { return owner == nullptr ? &process.contexts : &owner->objects; }

bool IsInitialised() {
  if (process.alive == nullptr) return false;
  return __atomic_load_n(process.alive, __ATOMIC_ACQUIRE) == 1 &&
         (process.pid == 0 || process.pid == os::ProcessId());
}

}  // namespace

void LockProcess() {
  uint32_t expected = 0;
  if (__atomic_compare_exchange_n(&process.lock, &expected, 1, false, __ATOMIC_ACQUIRE,
                                  __ATOMIC_RELAXED)) {
    return;
  }
  while (__atomic_exchange_n(&process.lock, 2, __ATOMIC_ACQUIRE) != 0) {
    os::FutexWait(&process.lock, 2, 1'000'000'000);
  }
}

void UnlockProcess() {
  if (__atomic_exchange_n(&process.lock, 0, __ATOMIC_RELEASE) == 2) os::FutexWake(&process.lock, 1);
}

void* AllocateZeroed(size_t bytes) {
  void* memory = calloc(1, bytes);
  if (memory == nullptr) abort();
  return memory;
}
void Deallocate(void* memory) { free(memory); }

void Register(Object* object, Kind kind, Context* owner) {
  object->kind = kind;
  object->owner = owner;
  Object** list = ListOf(owner);
  object->next = *list;
  if (*list != nullptr) (*list)->previous = object;
  *list = object;
  if ((registry.used + 1) * 2 > registry.capacity) Grow();
  InsertSlot(object);
  ++registry.live;
}

void Unregister(Object* object) {
  if (object->previous != nullptr)
    object->previous->next = object->next;
  else
    *ListOf(object->owner) = object->next;
  if (object->next != nullptr) object->next->previous = object->previous;
  Object** slot = FindSlot(object);
  if (slot != nullptr) {
    *slot = kTombstone;
    --registry.live;
  }
}

bool IsLive(const void* handle, Kind kind) {
  if (reinterpret_cast<uint64_t>(handle) < 4096) return false;
  Object** slot = FindSlot(handle);
  return slot != nullptr && (*slot)->kind == kind;
}

Entry::Entry(Need need) {
  if (IsInHostFunction()) {
    error = CUDA_ERROR_NOT_PERMITTED;
    return;
  }
  if (!IsInitialised()) {
    error = CUDA_ERROR_NOT_INITIALIZED;
    return;
  }
  LockProcess();
  locked_ = true;
  if (process.checkpoint_state != 0 && need != Need::kCheckpoint) WaitForUnlock(*this);
  context = Current();
  FindContext(need);
  DropUnmapped();
  const bool works = need == Need::kContext || need == Need::kFreeing;
  if (works && context != nullptr && error == CUDA_SUCCESS) MeetFaults();
}

void Entry::FindContext(Need need) {
  if (context == nullptr) {
    if (need == Need::kContext) error = CUDA_ERROR_INVALID_CONTEXT;
    return;
  }
  const bool live = IsLive(context, Kind::kContext);
  if (live && context->green == nullptr) return;
  Context* primary = live ? PrimaryBehind(*context) : nullptr;
  if (primary != nullptr) context = primary;
  const bool needed = need == Need::kContext || need == Need::kFreeing;
  if (primary == nullptr && needed) error = CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

void Entry::MeetFaults() {
  const MetFaults met = simgpu::MeetFaults(process.machine, context->device);
  if (met.slow_ns != 0) {
    Unlock();
    os::SleepUntil(os::NowNs() + met.slow_ns);
    Relock();
    FindContext(Need::kContext);
  }
  if (met.lost) error = CUDA_ERROR_DEVICE_UNAVAILABLE;
}

Entry::~Entry() {
  if (locked_) UnlockProcess();
}

void Entry::Unlock() {
  UnlockProcess();
  locked_ = false;
}

void Entry::Relock() {
  LockProcess();
  locked_ = true;
}

void Entry::WaitFor(const Place& place) {
  Unlock();
  State& state = *process.machine.state;
  uint64_t reaped_ns = os::NowNs();
  while (true) {
    uint64_t now_ns = 0;
    uint64_t until_ns = 0;
    {
      LockGuard guard(process.machine);
      now_ns = os::NowNs();
      AdvanceAll(state, now_ns);
      if (IsReached(state, place)) break;
      // A dead neighbour's work must not hold the device.
      if (now_ns - reaped_ns > kReapEveryNs) {
        ReapDead(process.machine, state);
        reaped_ns = now_ns;
      }
      until_ns = EarliestReach(state, place, now_ns);
    }
    // A sleep takes some 50 us more than asked: short rests are waited for awake.
    if (until_ns - now_ns > kSpinNs) {
      os::SleepUntil(until_ns - kSpinNs / 2);
    } else if (HasHostWork()) {
      os::SleepUntil(now_ns + kHostWaitNs);
    } else {
      while (os::NowNs() < until_ns) {
      }
    }
  }
  Relock();
}

Context* Current() { return stack.count == 0 ? nullptr : stack.contexts[stack.count - 1]; }

void SetCurrent(Context* context) {
  if (context == nullptr) {
    if (stack.count > 0) --stack.count;
  } else if (stack.count > 0) {
    stack.contexts[stack.count - 1] = context;
  } else {
    stack.contexts[stack.count++] = context;
  }
}

bool PushCurrent(Context* context) {
  if (stack.count == kMaxStack) return false;
  stack.contexts[stack.count++] = context;
  return true;
}

bool PopCurrent(Context** context) {
  if (stack.count == 0) return false;
  --stack.count;
  if (context != nullptr) *context = stack.contexts[stack.count];
  return true;
}

bool FindDevice(CUdevice ordinal, uint32_t* device) {
  if (ordinal < 0 || static_cast<uint32_t>(ordinal) >= process.device_count) return false;
  *device = process.devices[ordinal];
  return true;
}

uint64_t RoundUp(uint64_t value, uint64_t step) { return (value + step - 1) / step * step; }
bool TextEquals(const char* a, const char* b) { return strcmp(a, b) == 0; }
uint64_t ThreadId() { return reinterpret_cast<uint64_t>(&stack); }

}  // namespace hami::simgpu::cuda
