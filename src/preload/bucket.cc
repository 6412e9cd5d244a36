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

}  // namespace

uint64_t TakeGpuTime(api::DeviceExtension& device, uint64_t gpu_ns, uint32_t rate_pct,
                     uint64_t now_ns) {
  const uint64_t wall_ns = gpu_ns * 100 / rate_pct;
  const uint64_t earliest = now_ns > kBurstNs ? now_ns - kBurstNs : 0;
  std::atomic_ref<uint64_t> next_free = Ref(device.next_free_ns);
  uint64_t seen = next_free.load(std::memory_order_relaxed);
  uint64_t begin;
  do {
    begin = seen > earliest ? seen : earliest;
    if (begin > now_ns + kMostDebtNs) begin = now_ns + kMostDebtNs;
  } while (!next_free.compare_exchange_weak(seen, begin + wall_ns, std::memory_order_relaxed));
  Ref(device.charged_gpu_ns).fetch_add(gpu_ns, std::memory_order_relaxed);
  return begin;
}

uint64_t NextFreeNs(const api::DeviceExtension& device) {
  return Ref(device.next_free_ns).load(std::memory_order_relaxed);
}

}  // namespace hami::preload
