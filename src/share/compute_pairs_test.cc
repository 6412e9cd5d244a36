// SPDX-License-Identifier: Apache-2.0

#include "share/compute_pairs.h"

#include <gtest/gtest.h>

namespace hami::share {
namespace {

constexpr int64_t kMs = 1'000'000;

// A process that is charged half of the time, read every 100 ms; what it launches is learnt 600 ms
// after the first reading, which is the first one that is not 0.
void NoteHalf(ComputePairs* pairs, int pid, int64_t from_ms, int64_t to_ms) {
  for (int64_t ms = from_ms; ms <= to_ms; ms += 100) {
    pairs->NoteCharged(pid, ms * kMs, static_cast<uint64_t>((ms - from_ms) * kMs / 2));
  }
}

TEST(ComputePairsTest, SameTimeOfSameProcess) {
  ComputePairs pairs;
  NoteHalf(&pairs, 7, 1000, 3000);
  pairs.NoteBusy(7, 2150 * kMs, 2350 * kMs, 90 * kMs);
  pairs.NoteBusy(7, 2350 * kMs, 3000 * kMs, 300 * kMs);
  const ComputePairs::Pair pair = pairs.Take();
  EXPECT_EQ(pair.true_ns, 390U * kMs);
  EXPECT_NEAR(static_cast<double>(pair.charged_ns), 425e6, 10);
  EXPECT_EQ(pairs.Take().charged_ns, 0U);
}

TEST(ComputePairsTest, WhatOnlyOneSideKnowsIsNoPair) {
  ComputePairs pairs;
  NoteHalf(&pairs, 7, 1000, 2000);
  pairs.NoteBusy(7, 900 * kMs, 1800 * kMs, 100 * kMs);   // begins before the first reading
  pairs.NoteBusy(7, 1900 * kMs, 2100 * kMs, 100 * kMs);  // ends after the last
  pairs.NoteBusy(8, 1800 * kMs, 1900 * kMs, 100 * kMs);  // another process
  EXPECT_EQ(pairs.Take().true_ns, 0U);
}

TEST(ComputePairsTest, GuessesAreNoPair) {
  ComputePairs pairs;
  NoteHalf(&pairs, 7, 1000, 2000);
  pairs.NoteBusy(7, 1500 * kMs, 1700 * kMs, 100 * kMs);
  EXPECT_EQ(pairs.Take().true_ns, 0U);
  pairs.NoteBusy(7, 1600 * kMs, 1700 * kMs, 50 * kMs);
  EXPECT_EQ(pairs.Take().true_ns, 50U * kMs);
}

// Whose last part the driver never tells: the rest of the share is not corrected for that.
TEST(ComputePairsTest, ProcessThatEndsLeavesNothing) {
  ComputePairs pairs;
  NoteHalf(&pairs, 7, 1000, 2000);
  NoteHalf(&pairs, 8, 1000, 3000);
  pairs.NoteBusy(7, 1600 * kMs, 1800 * kMs, 100 * kMs);
  pairs.NoteBusy(8, 1600 * kMs, 3000 * kMs, 700 * kMs);
  const ComputePairs::Pair pair = pairs.Take();
  EXPECT_EQ(pair.true_ns, 800U * kMs);
  EXPECT_EQ(pair.charged_ns, 800U * kMs);
}

TEST(ComputePairsTest, CounterSetBackBeginsAgain) {
  ComputePairs pairs;
  NoteHalf(&pairs, 7, 1000, 2000);
  NoteHalf(&pairs, 7, 2100, 3000);
  pairs.NoteBusy(7, 1900 * kMs, 2900 * kMs, 150 * kMs);
  EXPECT_EQ(pairs.Take().true_ns, 0U);
  pairs.NoteBusy(7, 2700 * kMs, 2900 * kMs, 100 * kMs);
  EXPECT_EQ(pairs.Take().charged_ns, 100U * kMs);
}

// The agent was kept from the CPU while the process stopped to compute.
TEST(ComputePairsTest, BetweenReadingsFarApartNothingIsKnown) {
  ComputePairs pairs;
  NoteHalf(&pairs, 7, 1000, 2000);
  pairs.NoteCharged(7, 3000 * kMs, 600 * kMs);
  pairs.NoteBusy(7, 1700 * kMs, 1900 * kMs, 100 * kMs);
  pairs.NoteBusy(7, 1900 * kMs, 2200 * kMs, 150 * kMs);
  const ComputePairs::Pair pair = pairs.Take();
  EXPECT_EQ(pair.true_ns, 100U * kMs);
  EXPECT_EQ(pair.charged_ns, 100U * kMs);
}

TEST(ComputePairsTest, LongAgoIsForgotten) {
  ComputePairs pairs;
  NoteHalf(&pairs, 7, 1000, 2000);
  NoteHalf(&pairs, 8, 1000, 9000);
  pairs.Take();
  pairs.NoteBusy(7, 1600 * kMs, 2000 * kMs, 200 * kMs);
  pairs.NoteBusy(8, 1600 * kMs, 2000 * kMs, 200 * kMs);
  EXPECT_EQ(pairs.Take().true_ns, 0U);
}

}  // namespace
}  // namespace hami::share
