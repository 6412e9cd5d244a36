// SPDX-License-Identifier: Apache-2.0

#include "explain/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::explain {
namespace {

using ::testing::HasSubstr;

TEST(OptionsTest, WordsAndOptionsInAnyOrder) {
  const Result<Options> options = ParseOptions(
      {"claim", "--json", "-n", "team-a", "train", "--kubeconfig=/k", "--context", "c"});
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_FALSE(options->pod);
  EXPECT_TRUE(options->json);
  EXPECT_EQ(options->name, "train");
  EXPECT_EQ(options->name_space, "team-a");
  EXPECT_EQ(options->kubeconfig, "/k");
  EXPECT_EQ(options->context, "c");
}

TEST(OptionsTest, ANameMayCarryItsNamespace) {
  const Result<Options> options = ParseOptions({"pod", "team-a/train-0"});
  ASSERT_TRUE(options);
  EXPECT_TRUE(options->pod);
  EXPECT_EQ(options->name, "train-0");
  EXPECT_EQ(options->name_space, "team-a");
}

TEST(OptionsTest, SaysWhatIsWrong) {
  const auto problem = [](const std::vector<std::string>& words) {
    const Result<Options> options = ParseOptions(words);
    return options ? "" : options.error().message;
  };
  EXPECT_THAT(problem({}), HasSubstr("explain what?"));
  EXPECT_THAT(problem({"node", "n1"}), HasSubstr("\"node\" cannot be explained"));
  EXPECT_THAT(problem({"claim"}), HasSubstr("takes one name"));
  EXPECT_THAT(problem({"claim", "a", "b"}), HasSubstr("takes one name"));
  EXPECT_THAT(problem({"claim", "a/b/c"}), HasSubstr("NAMESPACE/NAME"));
  EXPECT_THAT(problem({"claim", "/c"}), HasSubstr("NAMESPACE/NAME"));
  EXPECT_THAT(problem({"claim", "a/c", "-n", "b"}), HasSubstr("which of them?"));
  EXPECT_THAT(problem({"claim", "c", "--nonsense"}), HasSubstr("nonsense"));
  EXPECT_EQ(problem({"claim", "a/c", "-n", "a"}), "");
}

TEST(OptionsTest, HelpNeedsNothingElse) {
  for (const char* const word : {"-h", "--help"}) {
    const Result<Options> options = ParseOptions({word});
    ASSERT_TRUE(options);
    EXPECT_TRUE(options->help);
  }
}

}  // namespace
}  // namespace hami::explain
