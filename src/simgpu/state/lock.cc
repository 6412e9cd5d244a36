// SPDX-License-Identifier: Apache-2.0

#include "simgpu/state/lock.h"

#include "simgpu/state/machine.h"
#include "simgpu/state/os.h"

namespace hami::simgpu {

// What forgets itself in a forked child: the page reads as zero there and the mapping that holds
// the lock on the number's byte does not exist.
struct Owner {
  uint32_t word;  // number + 1, or kTaking; 0: none yet
  int pid;        // where pages cannot be wiped on fork
  void* held_mapping;
};

namespace {

constexpr uint64_t kPatienceNs = 20'000'000;
constexpr int kSpins = 100;
constexpr uint64_t kTakeoverRestNs = 200'000;
constexpr int kTakeoverTries = 10'000;
constexpr uint32_t kTaking = UINT32_MAX;
constexpr uint64_t kPageBytes = 4096;

uint32_t OwnerOf(uint32_t word) { return (word & ~kLockWaiters) - 1; }

bool Acquire(uint32_t* word, uint32_t expected, uint32_t desired) {
  return __atomic_compare_exchange_n(word, &expected, desired, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED);
}

void Release(uint32_t* word) {
  if ((__atomic_exchange_n(word, 0, __ATOMIC_RELEASE) & kLockWaiters) != 0) os::FutexWake(word, 1);
}

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Who does not hold it goes on after two seconds: its holder is stopped (SIGSTOP).
bool WaitForTakeover(int fd) {
  for (int i = 0; i < kTakeoverTries; ++i) {
    if (os::TryLock(fd, kTakeoverLockOffset)) return true;
    os::SleepUntil(os::NowNs() + kTakeoverRestNs);
  }
  return false;
}

// A number that nobody holds, and the lock on its byte. If the last holder died with the state's
// lock, this process is the owner now: it repairs and lets go.
uint32_t TakeNumber(const Machine& machine, int fd) {
  uint32_t number = kUnknownOwner;
  if (!WaitForTakeover(fd)) return number;
  // Four numbers for each client slot first, so that this rarely takes more than one step.
  constexpr uint32_t kEach = kMaxOwners / kMaxClients;
  for (uint32_t step = 0; step < kMaxOwners && number == kUnknownOwner; ++step) {
    const uint32_t i = (machine.client + step * kMaxClients + step / kEach) % kMaxOwners;
    if (os::TryLock(fd, kOwnerLockOffset + i)) number = i;
  }
  uint32_t* word = &machine.state->lock;
  if (number != kUnknownOwner && OwnerOf(__atomic_load_n(word, __ATOMIC_ACQUIRE)) == number) {
    Repair(*machine.state);
    Release(word);
  }
  os::ReleaseLock(fd, kTakeoverLockOffset);
  return number;
}

uint32_t BecomeOwner(const Machine& machine, Owner* owner) {
  uint32_t number = kUnknownOwner;
  const int fd = ReopenState(machine);
  if (fd >= 0) {
    number = TakeNumber(machine, fd);
    // The mapping keeps the open file, and with it the lock on the byte.
    if (number != kUnknownOwner) owner->held_mapping = os::MapSharedNotForked(fd, kPageBytes);
    if (owner->held_mapping == nullptr) number = kUnknownOwner;
    os::Close(fd);
  }
  owner->pid = os::ProcessId();
  __atomic_store_n(&owner->word, number + 1, __ATOMIC_RELEASE);
  return number + 1;
}

// This process' number + 1.
uint32_t Self(const Machine& machine) {
  Owner* owner = machine.owner;
  while (true) {
    const uint32_t word = __atomic_load_n(&owner->word, __ATOMIC_ACQUIRE);
    if (word != 0 && word != kTaking &&
        (!machine.owner_survives_fork || owner->pid == os::ProcessId())) {
      return word;
    }
    if (word == kTaking) {
      os::SleepUntil(os::NowNs() + kTakeoverRestNs);
    } else if (Acquire(&owner->word, word, kTaking)) {
      owner->held_mapping = nullptr;
      return BecomeOwner(machine, owner);
    }
  }
}

// True: the owner of `word` was dead, and its lock is this process'.
bool TakeOver(const Machine& machine, uint32_t* word, uint32_t self) {
  const int fd = ReopenState(machine);
  if (fd < 0) return false;
  bool taken = false;
  if (os::TryLock(fd, kTakeoverLockOffset)) {
    uint32_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
    const uint32_t owner = OwnerOf(seen);
    if (seen != 0 && owner != kUnknownOwner && OwnerOf(self) != owner &&
        !os::IsLocked(fd, kOwnerLockOffset + owner)) {
      // Other waiters may still set their bit; nobody else writes now.
      while (!taken && OwnerOf(seen) == owner) {
        taken = Acquire(word, seen, self | kLockWaiters);
        seen = __atomic_load_n(word, __ATOMIC_RELAXED);
      }
    }
    os::ReleaseLock(fd, kTakeoverLockOffset);
  }
  os::Close(fd);
  return taken;
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
    if (os::NowNs() - before < kPatienceNs || !TakeOver(machine, word, self)) continue;
    Repair(*machine.state);
    return;
  }
}

}  // namespace

int ReopenState(const Machine& machine) {
  const int fd = os::OpenReadWrite(machine.path);
  if (fd < 0) return -1;
  if (os::IsSameFile(fd, machine.file_device, machine.file_inode)) return fd;
  os::Close(fd);
  return -1;
}

bool OpenOwner(Machine* machine) {
  void* page = os::MapWipedOnFork();
  machine->owner_survives_fork = page == nullptr;
  if (page == nullptr) page = os::MapPrivate(kPageBytes, true);
  if (page == nullptr) return false;
  machine->owner = static_cast<Owner*>(page);
  return OwnerOf(Self(*machine)) != kUnknownOwner;
}

void CloseOwner(Machine* machine) {
  if (machine->owner == nullptr) return;
  if (machine->owner->held_mapping != nullptr) os::Unmap(machine->owner->held_mapping, kPageBytes);
  os::Unmap(machine->owner, kPageBytes);
  machine->owner = nullptr;
}

void Lock(const Machine& machine) {
  uint32_t* word = &machine.state->lock;
  const uint32_t self = Self(machine);
  if (!Acquire(word, 0, self)) LockSlowly(machine, word, self);
}

void Unlock(const Machine& machine) { Release(&machine.state->lock); }

LockGuard::LockGuard(const Machine& machine) : machine_(machine) { Lock(machine_); }
LockGuard::~LockGuard() { Unlock(machine_); }

}  // namespace hami::simgpu
