// SPDX-License-Identifier: Apache-2.0

#include "ctl/forwarding.h"

#include <gtest/gtest.h>

namespace hami::ctl {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr SignalEvent kInterrupt = {.number = SIGINT, .code = SI_USER, .sender = 10};

TEST(GroupSignalsTest, WhatTheGroupGotIsNotPassedOnAgain) {
  GroupSignals seen;
  seen.Record(kInterrupt, 0);
  EXPECT_TRUE(seen.Take(kInterrupt, 1));
  EXPECT_FALSE(seen.Take(kInterrupt, 2)) << "each record answers once";
}

TEST(GroupSignalsTest, AnotherSenderNumberOrCodeIsAnotherSignal) {
  GroupSignals seen;
  seen.Record({.number = SIGTERM, .code = SI_USER, .sender = 10}, 0);
  EXPECT_FALSE(seen.Take({.number = SIGTERM, .code = SI_USER, .sender = 11}, 1));
  EXPECT_FALSE(seen.Take({.number = SIGHUP, .code = SI_USER, .sender = 10}, 1));
  EXPECT_FALSE(seen.Take({.number = SIGTERM, .code = SI_KERNEL, .sender = 10}, 1));
  EXPECT_TRUE(seen.Take({.number = SIGTERM, .code = SI_USER, .sender = 10}, 1));
}

TEST(GroupSignalsTest, KeysOfATerminalAreForTheGroup) {
  GroupSignals seen;
  for (const int key : {SIGINT, SIGQUIT, SIGTSTP, SIGWINCH}) {
    EXPECT_TRUE(seen.Take({.number = key, .code = SI_KERNEL, .sender = 0}, 1)) << "merged for us";
  }
  // A terminal that is hung up tells the session's leader alone.
  EXPECT_FALSE(seen.Take({.number = SIGHUP, .code = SI_KERNEL, .sender = 0}, 1));
}

TEST(GroupSignalsTest, OldRecordsAreForgotten) {
  GroupSignals seen;
  seen.Record(kInterrupt, 0);
  EXPECT_FALSE(seen.Take(kInterrupt, 2 * kSecond));
}

}  // namespace
}  // namespace hami::ctl
