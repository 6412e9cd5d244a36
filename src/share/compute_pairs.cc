// SPDX-License-Identifier: Apache-2.0

#include "share/compute_pairs.h"

#include <algorithm>

namespace hami::share {
namespace {

// Longer than any driver's sampling period and the delay until a sample is seen.
constexpr int64_t kKeptNs = 4'000'000'000;

// After its first launch the library has measured what it launches.
constexpr int64_t kLearningNs = 500'000'000;

// Readings further apart say nothing about when between them the counter grew: who reads it was
// kept from the CPU.
constexpr int64_t kMostApartNs = 350'000'000;

}  // namespace

void ComputePairs::NoteCharged(int pid, int64_t now_ns, uint64_t charged_ns) {
  auto& [learnt_ns, paired_until_ns, readings] = processes_[pid];
  if (!readings.empty() && charged_ns < readings.back().charged_ns) {
    readings.clear();
    learnt_ns = 0;
    paired_until_ns = 0;
  }
  if (learnt_ns == 0 && charged_ns != 0) learnt_ns = now_ns + kLearningNs;
  readings.push_back({now_ns, charged_ns});
  while (now_ns - readings.front().time_ns > kKeptNs) readings.pop_front();
  newest_ns_ = std::max(newest_ns_, now_ns);
}

std::optional<uint64_t> ComputePairs::ChargedAt(const std::deque<Reading>& readings,
                                                int64_t time_ns) {
  const auto after = std::ranges::lower_bound(readings, time_ns, {}, &Reading::time_ns);
  if (after == readings.begin() || after->time_ns == time_ns) return after->charged_ns;
  const auto before = std::prev(after);
  if (after->time_ns - before->time_ns > kMostApartNs) return std::nullopt;
  const double part = static_cast<double>(time_ns - before->time_ns) /
                      static_cast<double>(after->time_ns - before->time_ns);
  return before->charged_ns +
         static_cast<uint64_t>(part * static_cast<double>(after->charged_ns - before->charged_ns));
}

void ComputePairs::NoteBusy(int pid, int64_t begin_ns, int64_t end_ns, uint64_t busy_ns) {
  const auto found = processes_.find(pid);
  if (found == processes_.end()) return;
  auto& [learnt_ns, paired_until_ns, readings] = found->second;
  if (learnt_ns == 0 || begin_ns < learnt_ns) return;
  if (begin_ns < readings.front().time_ns || end_ns > readings.back().time_ns) return;
  const bool has_gap = paired_until_ns >= readings.front().time_ns && paired_until_ns < begin_ns;
  const int64_t since_ns = has_gap ? paired_until_ns : begin_ns;
  paired_until_ns = end_ns;
  const std::optional<uint64_t> before = ChargedAt(readings, since_ns);
  const std::optional<uint64_t> after = ChargedAt(readings, end_ns);
  if (!before || !after) return;
  sum_.true_ns += busy_ns;
  sum_.charged_ns += *after - *before;
}

ComputePairs::Pair ComputePairs::Take() {
  std::erase_if(processes_, [this](const auto& process) {
    return newest_ns_ - process.second.readings.back().time_ns > kKeptNs;
  });
  const Pair taken = sum_;
  sum_ = {};
  return taken;
}

}  // namespace hami::share
