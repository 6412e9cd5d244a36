// SPDX-License-Identifier: Apache-2.0

#include "preload/bucket.h"

#include <atomic>

namespace hami::preload {
namespace {

// A word from the future can only have been written by a broken process; it must not stop the share
// for ever.
constexpr uint64_t kMostDebtNs = 600'000'000'000;  // ten minutes

std::atomic_ref<uint64_t> Ref(const uint64_t& word) {
  return std::atomic_ref<uint64_t>(const_cast<uint64_t&>(word));
}

uint64_t MomentOf(uint64_t word) { return word / kMomentUnitNs * kMomentUnitNs; }
auto RateOf(uint64_t word) { return static_cast<uint32_t>(word % kMomentUnitNs); }

uint64_t WordOf(uint64_t moment_ns, uint32_t rate_pct) {
  return (moment_ns + kMomentUnitNs / 2) / kMomentUnitNs * kMomentUnitNs + rate_pct;
}

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
  const uint64_t wall_ns = gpu_ns * 100 / rate_pct;
  const uint64_t earliest = now_ns > saved_ns ? now_ns - saved_ns : 0;
  std::atomic_ref<uint64_t> next_free = Ref(device.next_free_ns);
  uint64_t seen = next_free.load(std::memory_order_relaxed);
  uint64_t begin;
  do {
    begin = MomentAtRate(MomentOf(seen), RateOf(seen), rate_pct, now_ns);
    if (begin < earliest) begin = earliest;
  } while (!next_free.compare_exchange_weak(seen, WordOf(begin + wall_ns, rate_pct),
                                            std::memory_order_relaxed));
  Ref(device.charged_gpu_ns).fetch_add(gpu_ns, std::memory_order_relaxed);
  return begin;
}

uint64_t NextFreeNs(const api::DeviceExtension& device) {
  return MomentOf(Ref(device.next_free_ns).load(std::memory_order_relaxed));
}

void FollowRate(api::DeviceExtension& device, uint32_t rate_pct, uint64_t now_ns) {
  std::atomic_ref<uint64_t> next_free = Ref(device.next_free_ns);
  uint64_t seen = next_free.load(std::memory_order_relaxed);
  while (RateOf(seen) != rate_pct) {
    const uint64_t moment = MomentAtRate(MomentOf(seen), RateOf(seen), rate_pct, now_ns);
    if (next_free.compare_exchange_weak(seen, WordOf(moment, rate_pct),
                                        std::memory_order_relaxed)) {
      return;
    }
  }
}

}  // namespace hami::preload
