// SPDX-License-Identifier: Apache-2.0

#include "top/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::top {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string ProblemWith(const std::vector<std::string>& arguments) {
  const Result<Options> options = ParseOptions(arguments);
  if (options) return "";
  EXPECT_EQ(options.error().code, Code::kInvalidArgument);
  return options.error().message;
}

TEST(TopOptionsTest, WithoutAny) {
  const Result<Options> options = ParseOptions({});
  ASSERT_TRUE(options);
  EXPECT_FALSE(options->once || options->json || options->help || options->order.reversed);
  EXPECT_TRUE(options->processes);
  EXPECT_EQ(options->interval_ms, 1000);
  EXPECT_EQ(options->order.key, SortKey::kGpu);
  EXPECT_THAT(options->paths, IsEmpty());
}

TEST(TopOptionsTest, All) {
  const Result<Options> options =
      ParseOptions({"-1", "--json", "-d", "2.5", "-s", "memory", "-r", "-f", "gpu=0", "--filter",
                    "train", "--no-processes", "/a", "/b"});
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_TRUE(options->once && options->json && options->order.reversed);
  EXPECT_FALSE(options->processes);
  EXPECT_EQ(options->interval_ms, 2500);
  EXPECT_EQ(options->order.key, SortKey::kMemory);
  EXPECT_EQ(options->filter, "gpu=0 train");
  EXPECT_THAT(options->paths, ElementsAre("/a", "/b"));
}

TEST(TopOptionsTest, Intervals) {
  EXPECT_EQ(ParseOptions({"-d", "0.1"})->interval_ms, 100);
  EXPECT_EQ(ParseOptions({"--once", "-d", "0"})->interval_ms, 0);
  EXPECT_EQ(ParseOptions({"-d", "3600"})->interval_ms, 3'600'000);
  for (const char* const wrong : {"x", "1s", "-1", "0.05", "3601", "nan", "inf", "1 "}) {
    EXPECT_THAT(ProblemWith({std::string("--interval=") + wrong}), HasSubstr("seconds from"))
        << wrong;
  }
  EXPECT_THAT(ProblemWith({"-d", "0"}), HasSubstr("--once"));
}

TEST(TopOptionsTest, WrongOnes) {
  EXPECT_THAT(ProblemWith({"--sort", "colour"}), HasSubstr("throttled"));
  EXPECT_THAT(ProblemWith({"--filter", "colour=red"}), HasSubstr("colour=red"));
  EXPECT_THAT(ProblemWith({"--nope"}), HasSubstr("--nope"));
  EXPECT_NE(ProblemWith({"--sort"}), "");
}

TEST(TopOptionsTest, HelpWinsOverWhatElseIsWrong) {
  EXPECT_TRUE(ParseOptions({"--help", "--sort", "colour"})->help);
  EXPECT_THAT(std::string(Help()), HasSubstr("examples:"));
}

}  // namespace
}  // namespace hami::top
