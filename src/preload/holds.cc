// SPDX-License-Identifier: Apache-2.0

#include "preload/holds.h"

#include "preload/log.h"
#include "preload/process.h"
#include "region/os.h"

namespace hami::preload {

alignas(64) constinit WatchedWord watched_words[kMaxShares * kWordsPerShare] = {};

namespace {

constexpr int32_t kRunning = 1;
constexpr int32_t kSuspended = 2;
constexpr uint64_t kHeldNapNs = 5'000'000;
constexpr uint64_t kSayHeldNs = 5'000'000'000;
constexpr int kMostTries = 16;  // against somebody who writes the word all the time

constinit int32_t always_running = kRunning;

// The order of a share's words.
enum Place : int { kRecentKernel, kGeneration, kSwitch, kStatus };
static_assert(kStatus + 1 == kWordsPerShare);

int32_t Read(const int32_t& word) { return __atomic_load_n(&word, __ATOMIC_RELAXED); }

void Watch(int at, const int32_t* word, int32_t expected) {
  // Other threads may be looking; it is the same word for as long as the process lives.
  if (watched_words[at].word != word) watched_words[at].word = word;
  __atomic_store_n(&watched_words[at].expected, expected, __ATOMIC_RELAXED);
}

const int32_t* StatusOf(const Share& share) {
  const region::Mapping& mapping = share.mapping;
  if (mapping.slot < 0) return &always_running;
  return &mapping.region->v1.processes[mapping.slot].status;
}

bool IsHeld(const Share& share) {
  return Read(share.mapping.region->v1.recent_kernel) < 0 || Read(*StatusOf(share)) == kSuspended;
}

// Waits until the host lets the launches go, however long that is. Who looks for a hang finds why.
void AwaitLetGo(const Share& share) {
  static bool said = false;
  const uint64_t began_ns = os::NowNs();
  while (IsHeld(share)) {
    const uint64_t now_ns = os::NowNs();
    if (now_ns - began_ns > kSayHeldNs) {
      LogAlways(&said, "%s: launches are held back (`hami region resume` lets them go)",
                share.mapping.path);
    }
    os::SleepUntil(now_ns + kHeldNapNs);
    FollowLimits();
  }
}

void Expect(int share, Place place, int32_t value) {
  StoreIfNew(std::atomic_ref(watched_words[share * kWordsPerShare + place].expected), value);
}

// The switch and the status act on what follows: as they are now they are expected.
void ExpectAsItIs(int share, Place place) {
  Expect(share, place, Read(*watched_words[share * kWordsPerShare + place].word));
}

}  // namespace

void WatchShares(const Shares& shares) {
  for (int i = 0; i < shares.count; ++i) {
    const Share& share = shares.entries[i];
    const api::RegionV1& header = share.mapping.region->v1;
    const int at = i * kWordsPerShare;
    Watch(at + kRecentKernel, &header.recent_kernel, kRecentKernelWound);
    Watch(at + kGeneration,
          reinterpret_cast<const int32_t*>(&share.mapping.region->ext.limits_generation),
          static_cast<int32_t>(share.generation_seen));
    Watch(at + kSwitch, &header.utilization_switch, Read(header.utilization_switch));
    Watch(at + kStatus, StatusOf(share), kRunning);
  }
  launch_words.watched_count.store(shares.count * kWordsPerShare, std::memory_order_release);
}

void ResetHoldsAfterFork() { launch_words.watched_count.store(0, std::memory_order_relaxed); }

void WindAndWait(Shares& shares) {
  for (int i = 0; i < shares.count; ++i) {
    Share& share = shares.entries[i];
    AwaitLetGo(share);
    Expect(i, kGeneration, static_cast<int32_t>(share.generation_seen));
    ExpectAsItIs(i, kSwitch);
    ExpectAsItIs(i, kStatus);
    api::RegionV1& header = share.mapping.region->v1;
    std::atomic_ref<int32_t> recent(header.recent_kernel);
    int32_t seen = recent.load(std::memory_order_relaxed);
    // Not over a hold that the monitor sets at this moment.
    for (int tries = 0; seen >= 0 && seen != kRecentKernelWound && tries < kMostTries; ++tries) {
      if (recent.compare_exchange_weak(seen, kRecentKernelWound, std::memory_order_relaxed)) break;
    }
    // Every launch of every process of the share reads the words beside it.
    StoreIfNew(std::atomic_ref(header.last_kernel_time), os::WallSeconds());
  }
}

}  // namespace hami::preload
