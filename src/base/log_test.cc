// SPDX-License-Identifier: Apache-2.0

#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/fake_clock.h"

namespace hami::base {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class LogTest : public ::testing::Test {
 protected:
  void TearDown() override { StartLog({}); }
};

TEST_F(LogTest, TextQuotesOnlyWhatNeedsIt) {
  EXPECT_EQ(RenderText("bound pod", {Field("pod", "a/b"), Field("why", "no room"), Field("mib", 5U),
                                     Field("delta", -5), Field("ok", true), Field("pct", 0.5),
                                     Field("none", "")}),
            "bound pod pod=a/b why=\"no room\" mib=5 delta=-5 ok=true pct=0.5 none=\"\"");
}

TEST_F(LogTest, AnEventIsOneLine) {
  EXPECT_EQ(RenderText("a\nb", {Field("text", "c\nd")}), "a b text=\"c\\nd\"");
}

TEST_F(LogTest, JsonLineParses) {
  StartLog({LogLevel::kInfo, LogFormat::kJson});
  ::testing::internal::CaptureStderr();
  LOG_WARN("slow \"disk\"", Field("ms", 12), Field("path", "/a b"));
  const std::string line = ::testing::internal::GetCapturedStderr();
  const nlohmann::json event = nlohmann::json::parse(line);
  EXPECT_EQ(event.at("msg"), "slow \"disk\"");
  EXPECT_EQ(event.at("ms"), 12);
  EXPECT_EQ(event.at("path"), "/a b");
  EXPECT_EQ(event.at("level"), "warn");
  EXPECT_THAT(event.at("time").get<std::string>(), MatchesRegex("....-..-..T..:..:......Z"));
}

TEST_F(LogTest, LevelsBelowTheChosenOneAreNotWritten) {
  StartLog({LogLevel::kWarn, LogFormat::kText});
  int evaluated = 0;
  ::testing::internal::CaptureStderr();
  LOG_INFO("hidden", Field("n", ++evaluated));
  LOG_WARN("shown", Field("n", ++evaluated));
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, EndsWith("W shown n=1\n"));
  EXPECT_EQ(evaluated, 1);  // a line that is not written costs nothing
}

TEST_F(LogTest, ErrorsAreFields) {
  EXPECT_EQ(RenderText("failed", {Field("error", Error(Code::kNotFound, "no gpu 3"))}),
            "failed error=\"no gpu 3\"");
}

TEST_F(LogTest, ARepeatingSiteIsHeldBack) {
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 100; ++i) LOG_WARN_EVERY(3'600'000, "again", Field("i", i));
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, HasSubstr("again i=0 held_back=0"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST(LogSiteTest, TellsHowManyWereHeldBack) {
  FakeClock clock;
  LogSite site;
  uint64_t held_back = 99;
  EXPECT_TRUE(site.Admit(clock.MonotonicNs(), 1000, &held_back));
  EXPECT_EQ(held_back, 0U);
  EXPECT_FALSE(site.Admit(clock.MonotonicNs(), 1000, &held_back));
  clock.Advance(999);
  EXPECT_FALSE(site.Admit(clock.MonotonicNs(), 1000, &held_back));
  clock.Advance(1);
  EXPECT_TRUE(site.Admit(clock.MonotonicNs(), 1000, &held_back));
  EXPECT_EQ(held_back, 2U);
}

TEST(LogOptionsTest, UnknownWordsAreErrors) {
  EXPECT_EQ(*ParseLogLevel("debug"), LogLevel::kDebug);
  EXPECT_EQ(*ParseLogFormat("json"), LogFormat::kJson);
  EXPECT_THAT(ParseLogLevel("loud").error().message, HasSubstr("use debug, info"));
  EXPECT_FALSE(ParseLogFormat("xml"));
}

}  // namespace
}  // namespace hami::base
