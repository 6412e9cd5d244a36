// SPDX-License-Identifier: Apache-2.0

#include "tests/tenant/spin.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>

namespace hami::tenant {
namespace {

constexpr char kPtx[] = R"(
.version 6.0
.target sm_50
.address_size 64

.visible .entry hami_spin(
    .param .u64 counts
)
{
    .reg .pred  %more;
    .reg .u64   %left;

    ld.param.u64    %left, [counts];
again:
    sub.u64         %left, %left, 1;
    setp.gt.s64     %more, %left, 0;
    @%more bra      again;
    ret;
}
)";

// One block of one thread per multiprocessor would do; more, so that the whole device is taken.
constexpr unsigned kBlocks = 1024;
constexpr unsigned kThreads = 128;

constexpr uint64_t kCalibrationCounts = 1'000'000;

using Clock = std::chrono::steady_clock;

// A launch that took more of its run than this has waited.
constexpr float kMostOfARun = 0.1F;
constexpr std::chrono::milliseconds kFirstPause{10};
constexpr std::chrono::milliseconds kLongestPause{1000};
constexpr int kMostTries = 40;

}  // namespace

Spin::Spin(const Driver& driver) : driver_(driver), blocks_(kBlocks) {
  CUmodule module = nullptr;
  driver_.Must(driver_.module_load(&module, kPtx), "cuModuleLoadData");
  driver_.Must(driver_.module_function(&function_, module, "hami_spin"), "cuModuleGetFunction");
  CUevent begin = nullptr;
  CUevent end = nullptr;
  driver_.Must(driver_.event_create(&begin, CU_EVENT_DEFAULT), "cuEventCreate");
  driver_.Must(driver_.event_create(&end, CU_EVENT_DEFAULT), "cuEventCreate");
  // The shortest of a few runs: others may be using the GPU meanwhile. A run whose launch waited
  // for its share of the GPU counts the wait between the events; it is left out, and the next one
  // comes after a pause in which the share can pay its debt.
  float shortest_ms = 0;
  auto pause = kFirstPause;
  for (int good = 0, tries = 0; good < 5; ++tries) {
    if (tries == kMostTries) {
      std::cerr << "tenant: every kernel of the calibration waited for its share of the GPU\n";
      std::exit(1);
    }
    float ms = 0;
    driver_.Must(driver_.event_record(begin, nullptr), "cuEventRecord");
    const Clock::time_point asked = Clock::now();
    driver_.Must(Launch(nullptr, kCalibrationCounts), "cuLaunchKernel");
    const std::chrono::duration<float, std::milli> asking = Clock::now() - asked;
    driver_.Must(driver_.event_record(end, nullptr), "cuEventRecord");
    driver_.Must(driver_.event_synchronize(end), "cuEventSynchronize");
    driver_.Must(driver_.event_elapsed(&ms, begin, end), "cuEventElapsedTime");
    if (asking.count() > ms * kMostOfARun) {
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, kLongestPause);
      continue;
    }
    if (good == 0 || ms < shortest_ms) shortest_ms = ms;
    ++good;
  }
  if (shortest_ms > 0) {
    counts_per_ns_ =
        static_cast<double>(kCalibrationCounts) / (static_cast<double>(shortest_ms) * 1e6);
  }
}

uint64_t Spin::CountsFor(uint64_t gpu_ns) const {
  return static_cast<uint64_t>(static_cast<double>(gpu_ns) * counts_per_ns_);
}

CUresult Spin::Launch(CUstream stream, uint64_t gpu_ns) const {
  uint64_t counts = CountsFor(gpu_ns);
  void* params[] = {&counts};
  return driver_.launch(function_, blocks_, 1, 1, kThreads, 1, 1, 0, stream, params, nullptr);
}

}  // namespace hami::tenant
