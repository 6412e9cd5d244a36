// SPDX-License-Identifier: Apache-2.0

#include "domain/node_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::domain {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kTakenS = 1'787'306'400;  // 2026-08-21T10:00:00Z

TEST(NodeLockTest, TheContractsExample) {
  const auto lock = ParseNodeLock("2026-08-21T10:00:00Z,default,train-0");
  ASSERT_TRUE(lock);
  EXPECT_EQ(*lock, (NodeLock{kTakenS, "default", "train-0"}));
  EXPECT_FALSE(lock->IsLegacy());
  EXPECT_EQ(FormatNodeLock(*lock), "2026-08-21T10:00:00Z,default,train-0");
}

TEST(NodeLockTest, TheTimeAlone) {
  const auto lock = ParseNodeLock("2026-08-21T12:00:00+02:00");
  ASSERT_TRUE(lock);
  EXPECT_EQ(*lock, (NodeLock{.taken_s = kTakenS}));
  EXPECT_TRUE(lock->IsLegacy());
  EXPECT_EQ(FormatNodeLock(*lock), "2026-08-21T10:00:00Z");
}

TEST(NodeLockTest, AnythingElseIsMalformed) {
  const auto two = ParseNodeLock("2026-08-21T10:00:00Z,default");
  ASSERT_FALSE(two);
  EXPECT_EQ(two.error().message,
            "malformed lock annotation: expected 3 parts, got 2 from 2026-08-21T10:00:00Z,default");
  for (const char* text : {"", "yesterday", "yesterday,default,train-0", ",,",
                           "2026-08-21T10:00:00Z,default,train-0,x", "2026-08-21T10:00:00Z,,"}) {
    const auto lock = ParseNodeLock(text);
    ASSERT_FALSE(lock) << text;
    EXPECT_THAT(lock.error().message, HasSubstr("malformed lock annotation"));
  }
}

TEST(NodeLockTest, IsHeldByItsPodAlone) {
  const NodeLock lock{kTakenS, "default", "train-0"};
  EXPECT_TRUE(lock.IsHeldBy("default", "train-0"));
  EXPECT_FALSE(lock.IsHeldBy("default", "train-1"));
  EXPECT_FALSE(lock.IsHeldBy("other", "train-0"));
  EXPECT_FALSE(NodeLock{.taken_s = kTakenS}.IsHeldBy("", ""));
}

TEST(NodeLockTest, ExpiresAfterFiveMinutes) {
  const NodeLock lock{kTakenS, "default", "train-0"};
  EXPECT_FALSE(lock.IsExpired(kTakenS, kNodeLockTimeoutS));
  EXPECT_FALSE(lock.IsExpired(kTakenS + 300, kNodeLockTimeoutS));
  EXPECT_TRUE(lock.IsExpired(kTakenS + 301, kNodeLockTimeoutS));
  EXPECT_FALSE(lock.IsExpired(kTakenS - 1'000'000, kNodeLockTimeoutS));  // another clock
}

TEST(NodeLockTest, OnlyItsOwnerGivesItBack) {
  const char* text = "2026-08-21T10:00:00Z,default,train-0";
  EXPECT_TRUE(MayRelease(text, "default", "train-0"));
  EXPECT_FALSE(MayRelease(text, "default", "rain-0"));
  EXPECT_FALSE(MayRelease(text, "ault", "train-0"));
  EXPECT_FALSE(MayRelease(text, "default", ""));
  EXPECT_TRUE(MayRelease("2026-08-21T10:00:00Z", "default", "train-0"));
}

}  // namespace
}  // namespace hami::domain
