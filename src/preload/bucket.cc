// SPDX-License-Identifier: Apache-2.0

#include "preload/bucket.h"

#include <atomic>

#include "region/ledger.h"

namespace hami::preload {
namespace {

// What a caller waits for at most: a share far in debt is let off the rest.
constexpr uint64_t kMostDebtNs = 600'000'000'000;  // ten minutes

// What one grant costs at most, and so how far ahead a word of ours can be. One further ahead was
// written by a stranger: it says nothing, as in a new region.
constexpr uint64_t kMostGrantNs = 86'400'000'000'000;  // a day
constexpr uint64_t kMostAheadNs = kMostDebtNs + kMostGrantNs;

// Against somebody who writes the word all the time: then nothing is booked.
constexpr int kMostTries = 1000;

std::atomic_ref<uint64_t> Ref(const uint64_t& word) {
  return std::atomic_ref<uint64_t>(const_cast<uint64_t&>(word));
}

uint64_t MomentOf(uint64_t word) { return word / kMomentUnitNs * kMomentUnitNs; }
auto RateOf(uint64_t word) { return static_cast<uint32_t>(word % kMomentUnitNs); }

uint64_t WordOf(uint64_t moment_ns, uint32_t rate_pct) {
  return (moment_ns + kMomentUnitNs / 2) / kMomentUnitNs * kMomentUnitNs + rate_pct;
}

bool IsOurs(uint64_t word, uint64_t now_ns) {
  return RateOf(word) <= 100 && (word < now_ns || word - now_ns <= kMostAheadNs + kMomentUnitNs);
}

// The word as it counts.
uint64_t Sane(uint64_t word, uint64_t now_ns) { return IsOurs(word, now_ns) ? word : 0; }

}  // namespace

uint64_t MomentAtRate(uint64_t moment_ns, uint32_t from_pct, uint32_t to_pct, uint64_t now_ns) {
  if (moment_ns <= now_ns) return moment_ns;
  uint64_t ahead_ns = moment_ns - now_ns < kMostDebtNs ? moment_ns - now_ns : kMostDebtNs;
  if (from_pct != to_pct && from_pct - 1 < 100 && to_pct != 0) {
    ahead_ns = ahead_ns * from_pct / to_pct;
  }
  return now_ns + (ahead_ns < kMostDebtNs ? ahead_ns : kMostDebtNs);
}

uint64_t TakeGpuTime(api::DeviceExtension& device, uint64_t gpu_ns, uint32_t rate_pct,
                     uint64_t now_ns, uint64_t saved_ns) {
  const uint64_t paid_ns = gpu_ns < kMostGrantNs ? gpu_ns : kMostGrantNs;
  const uint64_t needed_ns = paid_ns * 100 / rate_pct;
  const uint64_t wall_ns = needed_ns < kMostGrantNs ? needed_ns : kMostGrantNs;
  const uint64_t earliest = now_ns > saved_ns ? now_ns - saved_ns : 0;
  std::atomic_ref<uint64_t> next_free = Ref(device.next_free_ns);
  uint64_t seen = next_free.load(std::memory_order_relaxed);
  uint64_t begin = 0;
  for (int tries = 0; tries < kMostTries; ++tries) {
    const uint64_t word = Sane(seen, now_ns);
    begin = MomentAtRate(MomentOf(word), RateOf(word), rate_pct, now_ns);
    if (begin < earliest) begin = earliest;
    if (next_free.compare_exchange_weak(seen, WordOf(begin + wall_ns, rate_pct),
                                        std::memory_order_relaxed)) {
      if (word != seen) region::NoteDisturbed(device);
      break;
    }
  }
  Ref(device.charged_gpu_ns).fetch_add(gpu_ns, std::memory_order_relaxed);
  return begin;
}

uint64_t NextFreeNs(const api::DeviceExtension& device) {
  return MomentOf(Ref(device.next_free_ns).load(std::memory_order_relaxed));
}

void FollowRate(api::DeviceExtension& device, uint32_t rate_pct, uint64_t now_ns) {
  std::atomic_ref<uint64_t> next_free = Ref(device.next_free_ns);
  uint64_t seen = next_free.load(std::memory_order_relaxed);
  for (int tries = 0; RateOf(seen) != rate_pct && tries < kMostTries; ++tries) {
    const uint64_t word = Sane(seen, now_ns);
    const uint64_t moment = MomentAtRate(MomentOf(word), RateOf(word), rate_pct, now_ns);
    if (next_free.compare_exchange_weak(seen, WordOf(moment, rate_pct),
                                        std::memory_order_relaxed)) {
      return;
    }
  }
}

}  // namespace hami::preload
