// SPDX-License-Identifier: Apache-2.0

#include "top/rates.h"

#include <gtest/gtest.h>

#include "top/fake_snapshot.h"

namespace hami::top {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

class TopRatesTest : public ::testing::Test {
 protected:
  TopRatesTest() : before_(FakeSnapshot()), now_(FakeSnapshot()) {
    now_.monotonic_ns = before_.monotonic_ns + 2 * kSecond;
    for (Slice& slice : now_.slices) {
      slice.compute_pct.reset();
      slice.throttled_pct.reset();
      slice.compute_source = ComputeSource::kNone;
      for (Process& process : slice.processes) process.compute_pct.reset();
    }
  }

  Snapshot before_;
  Snapshot now_;
};

TEST_F(TopRatesTest, WhatWasCountedOverTheTime) {
  Slice& train = now_.slices[0];
  *train.gpu_ns += kSecond;
  *train.throttled_ns += kSecond / 2;
  train.processes[0].gpu_ns += kSecond;
  CompareLooks(before_, &now_);
  EXPECT_EQ(now_.interval_ns, 2 * kSecond);
  EXPECT_EQ(train.compute_pct, 50);
  EXPECT_EQ(train.compute_source, ComputeSource::kRegion);
  EXPECT_EQ(train.throttled_pct, 25);
  EXPECT_EQ(train.processes[0].compute_pct, 50);
  EXPECT_EQ(train.processes[1].compute_pct, 0);
  // Without a limit the region counts no compute, but who slept it does.
  EXPECT_FALSE(now_.slices[1].compute_pct);
  EXPECT_EQ(now_.slices[1].throttled_pct, 0);
  EXPECT_FALSE(now_.slices[2].throttled_pct);
}

TEST_F(TopRatesTest, WhatATenantWrites) {
  Slice& train = now_.slices[0];
  train.gpu_ns = 0;
  train.throttled_ns = UINT64_MAX;
  train.processes[0].pid = 99;  // another process has the slot
  train.processes[1].gpu_ns = 0;
  CompareLooks(before_, &now_);
  EXPECT_FALSE(train.compute_pct);
  EXPECT_EQ(train.compute_source, ComputeSource::kNone);
  EXPECT_EQ(train.throttled_pct, 99999);
  EXPECT_FALSE(train.processes[0].compute_pct);
  EXPECT_FALSE(train.processes[1].compute_pct);
}

TEST_F(TopRatesTest, ASliceThatIsNew) {
  before_.slices.clear();
  CompareLooks(before_, &now_);
  EXPECT_FALSE(now_.slices[0].compute_pct);
}

TEST_F(TopRatesTest, NoTimeHasPassed) {
  now_.monotonic_ns = before_.monotonic_ns;
  now_.interval_ns.reset();
  CompareLooks(before_, &now_);
  EXPECT_FALSE(now_.interval_ns);
  EXPECT_FALSE(now_.slices[0].throttled_pct);
  EXPECT_FALSE(PercentOf(1, 0));
}

}  // namespace
}  // namespace hami::top
