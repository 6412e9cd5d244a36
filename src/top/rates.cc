// SPDX-License-Identifier: Apache-2.0

#include "top/rates.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

namespace hami::top {
namespace {

constexpr double kMostPct = 99999;

std::optional<double> PercentSince(std::optional<uint64_t> before_ns,
                                   std::optional<uint64_t> now_ns, int64_t interval_ns) {
  if (!before_ns || !now_ns || *now_ns < *before_ns) return std::nullopt;
  return PercentOf(*now_ns - *before_ns, interval_ns);
}

void CompareProcesses(const Slice& before, Slice* now, int64_t interval_ns) {
  for (Process& process : now->processes) {
    const auto earlier = std::ranges::find(before.processes, process.slot, &Process::slot);
    if (earlier == before.processes.end() || earlier->pid != process.pid) continue;
    process.compute_pct = PercentSince(earlier->gpu_ns, process.gpu_ns, interval_ns);
  }
}

}  // namespace

std::optional<double> PercentOf(uint64_t counted_ns, int64_t interval_ns) {
  if (interval_ns <= 0) return std::nullopt;
  return std::min(static_cast<double>(counted_ns) * 100 / static_cast<double>(interval_ns),
                  kMostPct);
}

void CompareLooks(const Snapshot& before, Snapshot* now) {
  const int64_t interval_ns = now->monotonic_ns - before.monotonic_ns;
  if (interval_ns <= 0) return;
  now->interval_ns = interval_ns;
  std::map<std::pair<std::string_view, int>, const Slice*> earlier;
  for (const Slice& slice : before.slices) earlier[{slice.path, slice.number}] = &slice;
  for (Slice& slice : now->slices) {
    const auto found = earlier.find({slice.path, slice.number});
    if (found == earlier.end() || !slice.counted || !found->second->counted) continue;
    const Slice& old = *found->second;
    slice.throttled_pct = PercentSince(old.throttled_ns, slice.throttled_ns, interval_ns);
    // Without a limit nothing is granted, so nothing is counted (src/preload/compute.cc).
    if (slice.cores_enforced || slice.gpu_ns != old.gpu_ns) {
      slice.compute_pct = PercentSince(old.gpu_ns, slice.gpu_ns, interval_ns);
      if (slice.compute_pct) slice.compute_source = ComputeSource::kRegion;
      CompareProcesses(old, &slice, interval_ns);
    }
  }
}

}  // namespace hami::top
