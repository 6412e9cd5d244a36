// SPDX-License-Identifier: Apache-2.0

#include "kube/event_pace.h"

#include <gtest/gtest.h>

namespace hami::kube {
namespace {

// How many go out from `begin_ms` until `end_ms`, if there is always one to write and, until
// `said_until_ms`, something is said each 10 ms.
int Sent(EventPace& pace, int64_t begin_ms, int64_t end_ms, int64_t said_until_ms) {
  int sent = 0;
  for (int64_t now_ms = begin_ms; now_ms < end_ms; ++now_ms) {
    if (now_ms < said_until_ms && now_ms % 10 == 0) pace.NoteSaid(now_ms);
    while (pace.WaitMs(now_ms) == 0) {
      pace.NoteSent(now_ms);
      ++sent;
    }
  }
  return sent;
}

int Sent(int64_t end_ms, int64_t said_until_ms) {
  EventPace pace;
  return Sent(pace, 0, end_ms, said_until_ms);
}

TEST(EventPaceTest, AFewGoOutAtOnce) {
  EventPace pace;
  pace.NoteSaid(5'000);
  for (int i = 0; i < EventPace::kBurst; ++i) {
    EXPECT_EQ(pace.WaitMs(5'000), 0) << i;
    pace.NoteSent(5'000);
  }
  EXPECT_EQ(pace.WaitMs(5'000), EventPace::kHeldBackEveryMs);
}

TEST(EventPaceTest, WhileMuchIsSaidLittleIsWritten) {
  EXPECT_NEAR(Sent(10'000, 10'000), EventPace::kBurst + 10, 2);
}

TEST(EventPaceTest, WhereItIsNeverQuietTheyComeSteadily) {
  EXPECT_NEAR(Sent(60'000, 60'000), EventPace::kBurst + 10 + 500, 3);
}

TEST(EventPaceTest, AfterwardsTheRestIsWritten) {
  // Ten seconds of it, one until it counts as quiet, nine of quiet.
  EXPECT_NEAR(Sent(20'000, 10'000), EventPace::kBurst + 10 + 10 + 900, 4);
}

TEST(EventPaceTest, AfterAPauseTheyAreHeldBackAnew) {
  EventPace pace;
  Sent(pace, 0, 20'000, 18'000);
  EXPECT_NEAR(Sent(pace, 20'000, 28'000, 28'000), 8, 2);
}

TEST(EventPaceTest, WaitingForAsLongAsItSaysIsEnough) {
  EventPace pace;
  int64_t now_ms = 1'000;
  pace.NoteSaid(now_ms);
  for (int i = 0; i < 500; ++i) {
    now_ms += pace.WaitMs(now_ms);
    ASSERT_EQ(pace.WaitMs(now_ms), 0) << i;
    pace.NoteSent(now_ms);
  }
}

}  // namespace
}  // namespace hami::kube
