// SPDX-License-Identifier: Apache-2.0

#include "simctl/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "simctl/store.h"

namespace hami::simctl {
namespace {

using testing::HasSubstr;

Result<Arguments> Parse(std::vector<const char*> words) {
  words.insert(words.begin(), "sim");
  return ParseArguments(static_cast<int>(words.size()), words.data());
}

std::string Complaint(std::vector<const char*> words) {
  const Result<Arguments> arguments = Parse(std::move(words));
  return arguments ? "" : arguments.error().message;
}

TEST(ArgumentsTest, CreateTakesProfileCountAndName) {
  const auto arguments = Parse({"create", "--profile", "h200-580", "--gpus=8", "big", "--json"});
  ASSERT_TRUE(arguments.has_value());
  EXPECT_EQ(arguments->command, "create");
  EXPECT_EQ(arguments->profile, "h200-580");
  EXPECT_EQ(arguments->gpus, 8U);
  EXPECT_EQ(arguments->name, "big");
  EXPECT_TRUE(arguments->json);
}

TEST(ArgumentsTest, WrongWordsAreNamed) {
  EXPECT_THAT(Complaint({}), HasSubstr("command is missing"));
  EXPECT_THAT(Complaint({"make"}), HasSubstr("\"make\""));
  EXPECT_THAT(Complaint({"create", "--gpus", "0"}), HasSubstr("1 to 64"));
  EXPECT_THAT(Complaint({"create", "--gpus", "2x"}), HasSubstr("2x"));
  EXPECT_THAT(Complaint({"create", "--gpus"}), HasSubstr("needs a value"));
  EXPECT_THAT(Complaint({"create", "--gpu", "1"}), HasSubstr("--gpu"));
  EXPECT_THAT(Complaint({"create", "--profile", "a", "--file", "b"}), HasSubstr("exclude"));
  EXPECT_THAT(Complaint({"create", "one", "two"}), HasSubstr("\"two\""));
  EXPECT_THAT(Complaint({"list", "one"}), HasSubstr("\"one\""));
  EXPECT_THAT(Complaint({"list", "--force"}), HasSubstr("--force"));
  EXPECT_THAT(Complaint({"env", "--profile", "a"}), HasSubstr("has no --profile"));
}

TEST(ArgumentsTest, FaultsAreWishedTogether) {
  const auto arguments = Parse({"fault", "--gpu", "1", "--xid=48", "--ecc-uncorrected", "2",
                                "--lost", "--slow", "5", "--fail-allocations", "3", "big"});
  ASSERT_TRUE(arguments.has_value());
  const FaultWish wish = {
      .gpu = 1, .xid = 48, .ecc_uncorrected = 2, .lose = true, .slow_ms = 5, .fail_requests = 3};
  EXPECT_EQ(arguments->fault, wish);
  EXPECT_EQ(arguments->name, "big");
  const auto whole = Parse({"fault", "--clear", "--driver-off"});
  ASSERT_TRUE(whole.has_value());
  EXPECT_TRUE(whole->fault.clear && whole->fault.driver_off && !whole->fault.gpu);
  EXPECT_EQ(Parse({"fault"})->fault, FaultWish());
  EXPECT_THAT(Complaint({"fault", "--xid"}), HasSubstr("--xid takes a number"));
  EXPECT_THAT(Complaint({"fault", "--gpu", "64"}), HasSubstr("0 to 63"));
  EXPECT_THAT(Complaint({"fault", "--slow", "5ms"}), HasSubstr("5ms"));
  EXPECT_THAT(Complaint({"show", "--lost"}), HasSubstr("has no --lost"));
}

TEST(ArgumentsTest, EveryCommandHasHelp) {
  for (const char* command :
       {"create", "list", "show", "env", "reset", "delete", "fault", "profiles"}) {
    const auto arguments = Parse({command, "--help"});
    ASSERT_TRUE(arguments.has_value()) << command;
    EXPECT_TRUE(arguments->help);
    EXPECT_THAT(HelpText(command), HasSubstr(std::string("Usage: hami sim ") + command));
    EXPECT_THAT(HelpText(""), HasSubstr(std::string("  ") + command));
  }
}

TEST(ChooseRootTest, FollowsTheEnvironment) {
  EXPECT_EQ(ChooseRoot({"/x", "/run/user/7", 7}), "/x/sim");
  EXPECT_EQ(ChooseRoot({"", nullptr, 0}), "/run/hami/sim");
  EXPECT_EQ(ChooseRoot({nullptr, "/run/user/7", 0}), "/run/hami/sim");
  EXPECT_EQ(ChooseRoot({nullptr, "/run/user/7", 7}), "/run/user/7/hami/sim");
  EXPECT_EQ(ChooseRoot({nullptr, "", 7}), "/tmp/hami-7/sim");
}

TEST(CheckNameTest, KeepsNamesInsideTheRoot) {
  for (const char* name : {"default", "a", "0", "a.b-c_d"}) EXPECT_TRUE(CheckName(name)) << name;
  for (const char* name : {"", ".", "..", ".new-1", "a/b", "A", "a b", "-a"}) {
    EXPECT_FALSE(CheckName(name)) << name;
  }
  EXPECT_FALSE(CheckName(std::string(64, 'a')));
}

}  // namespace
}  // namespace hami::simctl
