// SPDX-License-Identifier: Apache-2.0

#include "ctl/run_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::ctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string ErrorOf(const std::vector<std::string>& arguments) {
  const Result<RunOptions> options = ParseRunOptions(arguments);
  if (options) return "accepted";
  EXPECT_EQ(options.error().code, Code::kInvalidArgument);
  return options.error().message;
}

TEST(RunOptionsTest, EverythingAtOnce) {
  const Result<RunOptions> options = ParseRunOptions(
      {"--gpu", "1", "--gpumem", "10Gi", "--gpucores", "50", "--name", "web", "--policy", "force",
       "--sim=lab", "--on-escape", "kill", "--json", "-", "-q", "--", "python", "x.py"});
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->wish.gpu, "1");
  EXPECT_EQ(options->wish.memory.bytes, 10 * base::kGib);
  EXPECT_EQ(options->wish.cores_pct, 50);
  EXPECT_EQ(options->name, "web");
  EXPECT_EQ(options->policy, "force");
  EXPECT_TRUE(options->simulation.wanted);
  EXPECT_EQ(options->simulation.name, "lab");
  EXPECT_EQ(options->on_escape, share::OnEscape::kKill);
  EXPECT_EQ(options->json_path, "-");
  EXPECT_TRUE(options->quiet);
  EXPECT_THAT(options->command, ElementsAre("python", "x.py"));
}

TEST(RunOptionsTest, DefaultsLimitNoComputeAndSimulateNothing) {
  const Result<RunOptions> options = ParseRunOptions({"--gpumem", "40%", "--", "true"});
  ASSERT_TRUE(options);
  EXPECT_TRUE(options->wish.memory.is_percent);
  EXPECT_EQ(options->wish.cores_pct, 0);
  EXPECT_EQ(options->policy, "default");
  EXPECT_FALSE(options->simulation.wanted);
  EXPECT_EQ(options->on_escape, share::OnEscape::kReport);
}

TEST(RunOptionsTest, SimWithoutANameTakesNoWordOfItsOwn) {
  const Result<RunOptions> options =
      ParseRunOptions({"--sim", "--gpumem", "1Gi", "--", "--gpumem", "--help", "--"});
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_TRUE(options->simulation.wanted);
  EXPECT_EQ(options->simulation.name, "");
  EXPECT_THAT(options->command, ElementsAre("--gpumem", "--help", "--"));
}

TEST(RunOptionsTest, HelpNeedsNothingElse) {
  const Result<RunOptions> options = ParseRunOptions({"--help"});
  ASSERT_TRUE(options);
  EXPECT_TRUE(options->help);
}

TEST(RunOptionsTest, BrokenLimitsAreRefused) {
  EXPECT_THAT(ErrorOf({"--", "true"}), HasSubstr("--gpumem"));
  EXPECT_THAT(ErrorOf({"--gpumem", "10Gib", "--", "true"}), HasSubstr("use Gi or GiB"));
  EXPECT_NE(ErrorOf({"--gpumem", "", "--", "true"}), "accepted");
  EXPECT_NE(ErrorOf({"--gpumem=-1Gi", "--", "true"}), "accepted");
  for (const char* const cores : {"101", "-1", "half", "", "5.5", "50%%", "99999999999"}) {
    EXPECT_THAT(ErrorOf({"--gpumem", "1Gi", std::string("--gpucores=") + cores, "--", "true"}),
                ::testing::AnyOf(HasSubstr("gpucores"), HasSubstr("1 required")))
        << cores;
  }
}

TEST(RunOptionsTest, ComputeMayHaveAPercentSign) {
  const Result<RunOptions> options =
      ParseRunOptions({"--gpumem", "1Gi", "--gpucores", "100%", "--", "true"});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->wish.cores_pct, 100);
}

TEST(RunOptionsTest, NamesAreFolderNames) {
  for (const char* const name : {"..", ".hidden", "a/b", "-x", "a b", "\xc3\xa4"}) {
    EXPECT_THAT(ErrorOf({"--gpumem", "1Gi", std::string("--name=") + name, "--", "true"}),
                HasSubstr("--name"));
  }
  EXPECT_THAT(ErrorOf({"--gpumem", "1Gi", "--name", std::string(64, 'a'), "--", "true"}),
              HasSubstr("--name"));
  EXPECT_EQ(ErrorOf({"--gpumem", "1Gi", "--name", std::string(63, 'a'), "--", "true"}), "accepted");
}

TEST(RunOptionsTest, WordsThatAreNoOptionsAreRefused) {
  EXPECT_NE(ErrorOf({"--gpumem", "1Gi", "python", "x.py"}), "accepted");
  EXPECT_NE(ErrorOf({"--gpumem", "1Gi", "--nosuch", "--", "true"}), "accepted");
  EXPECT_THAT(ErrorOf({"--gpumem", "1Gi", "--"}), HasSubstr("run what?"));
  EXPECT_EQ(ParseRunOptions({"--gpumem", "1Gi", "--policy", "burst", "--", "true"})->policy,
            "burst");
  EXPECT_THAT(ErrorOf({"--gpumem", "1Gi", "--policy", "maybe", "--", "true"}),
              HasSubstr("--policy"));
  EXPECT_THAT(ErrorOf({"--gpumem", "1Gi", "--on-escape", "maybe", "--", "true"}),
              HasSubstr("--on-escape"));
}

TEST(RunOptionsTest, TheHelpFitsATerminal) {
  const std::string_view help = RunHelp();
  for (size_t begin = 0; begin < help.size();) {
    const size_t end = help.find('\n', begin);
    EXPECT_LE(end - begin, 80U) << help.substr(begin, end - begin);
    begin = end + 1;
  }
}

}  // namespace
}  // namespace hami::ctl
