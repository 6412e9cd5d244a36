// SPDX-License-Identifier: Apache-2.0

#include "gpu/process_usage.h"

#include <algorithm>
#include <map>

namespace hami::gpu {
namespace {

// A process that did nothing for long has no sample for that time; its next one does not cover it.
constexpr uint64_t kLongestSampleUs = 2'000'000;

}  // namespace

std::vector<BusySpan> BusySpans(std::vector<UtilizationSample> samples, uint64_t since_us) {
  std::ranges::sort(samples, {}, &UtilizationSample::time_us);
  std::vector<BusySpan> spans;
  std::map<int, uint64_t> covered_until_us;
  for (const UtilizationSample& sample : samples) {
    const auto [at, is_new] = covered_until_us.try_emplace(sample.pid, since_us);
    if (sample.time_us <= at->second) continue;
    const uint64_t span_us = std::min(sample.time_us - at->second, kLongestSampleUs);
    spans.push_back({.pid = sample.pid,
                     .begin_us = sample.time_us - span_us,
                     .end_us = sample.time_us,
                     .busy_ns = span_us * std::min(sample.sm_pct, 100U) * 10});
    at->second = sample.time_us;
  }
  return spans;
}

Result<std::vector<BusySpan>> UsageSampler::Sample() {
  if (nvml_->nvmlDeviceGetProcessUtilization == nullptr) {
    return Fail(Code::kUnimplemented, "this driver has no per-process utilisation");
  }
  std::vector<nvmlProcessUtilizationSample_t> raw;
  unsigned count = 0;
  nvmlReturn_t result =
      nvml_->nvmlDeviceGetProcessUtilization(device_, nullptr, &count, last_seen_us_);
  for (int attempt = 0; attempt < 8 && result == NVML_ERROR_INSUFFICIENT_SIZE; ++attempt) {
    count += 8;
    raw.resize(count);
    result = nvml_->nvmlDeviceGetProcessUtilization(device_, raw.data(), &count, last_seen_us_);
  }
  if (result == NVML_ERROR_NOT_FOUND || (result == NVML_SUCCESS && raw.empty())) {
    return std::vector<BusySpan>{};
  }
  if (result != NVML_SUCCESS) return Fail(nvml_.Failure(result, "utilisation of processes"));
  raw.resize(count);
  std::vector<UtilizationSample> samples;
  for (const nvmlProcessUtilizationSample_t& sample : raw) {
    // Unused entries of the driver's ring come back as zeros.
    if (sample.pid == 0 || sample.timeStamp <= last_seen_us_) continue;
    samples.push_back({static_cast<int>(sample.pid), sample.timeStamp, sample.smUtil});
  }
  const uint64_t since_us = last_seen_us_;
  for (const UtilizationSample& sample : samples) {
    last_seen_us_ = std::max(last_seen_us_, sample.time_us);
  }
  // What the first samples cover began at a time that the driver does not tell.
  if (since_us == 0) return std::vector<BusySpan>{};
  return BusySpans(std::move(samples), since_us);
}

}  // namespace hami::gpu
