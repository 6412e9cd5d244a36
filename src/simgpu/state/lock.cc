// SPDX-License-Identifier: Apache-2.0

#include "simgpu/state/lock.h"

#include "simgpu/state/machine.h"
#include "simgpu/state/os.h"

namespace hami::simgpu {
namespace {

constexpr uint64_t kPatienceNs = 20'000'000;
constexpr int kSpins = 100;

bool Acquire(uint32_t* word, uint32_t expected, uint32_t desired) {
  return __atomic_compare_exchange_n(word, &expected, desired, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED);
}

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void LockSlowly(const Machine& machine, uint32_t* word, uint32_t self) {
  for (int i = 0; i < kSpins; ++i) {
    if (Acquire(word, 0, self)) return;
    Pause();
  }
  // From here on with the waiters' bit, because others may sleep too.
  while (true) {
    const uint32_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
    if (seen == 0) {
      if (Acquire(word, 0, self | kLockWaiters)) return;
      continue;
    }
    if ((seen & kLockWaiters) == 0 && !Acquire(word, seen, seen | kLockWaiters)) continue;
    const uint64_t before = os::NowNs();
    os::FutexWait(word, seen | kLockWaiters, kPatienceNs);
    if (os::NowNs() - before < kPatienceNs) continue;
    const uint32_t owner = (seen & ~kLockWaiters) - 1;
    if (owner == machine.client || !IsClientDead(machine, owner)) continue;
    if (!Acquire(word, seen | kLockWaiters, self | kLockWaiters)) continue;
    Repair(*machine.state);
    return;
  }
}

}  // namespace

void Lock(const Machine& machine) {
  uint32_t* word = &machine.state->lock;
  const uint32_t self = machine.client + 1;
  if (!Acquire(word, 0, self)) LockSlowly(machine, word, self);
}

void Unlock(const Machine& machine) {
  uint32_t* word = &machine.state->lock;
  if ((__atomic_exchange_n(word, 0, __ATOMIC_RELEASE) & kLockWaiters) != 0) os::FutexWake(word, 1);
}

void ForceUnlock(State& state, uint32_t word) {
  // The new holder of the slot is the only one who can do this: others see the slot held. So it may
  // repair before it lets go.
  Repair(state);
  if (__atomic_compare_exchange_n(&state.lock, &word, 0, false, __ATOMIC_RELEASE,
                                  __ATOMIC_RELAXED)) {
    os::FutexWake(&state.lock, 1);
  } else {
    // Only the waiters' bit can have changed.
    __atomic_store_n(&state.lock, 0, __ATOMIC_RELEASE);
    os::FutexWake(&state.lock, 1);
  }
}

LockGuard::LockGuard(const Machine& machine) : machine_(machine) { Lock(machine_); }
LockGuard::~LockGuard() { Unlock(machine_); }

}  // namespace hami::simgpu
