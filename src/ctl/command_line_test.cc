// SPDX-License-Identifier: Apache-2.0

#include "ctl/command_line.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_folder.h"
#include "ctl/driver_choice.h"
#include "ctl/slice.h"

namespace hami::ctl {
namespace {

using ::testing::ElementsAre;

TEST(EnvironmentTest, LaterEntriesWinAndListsGrowAtTheFront) {
  char first[] = "A=1";
  char second[] = "B=x=y";
  char third[] = "A=2";
  char odd[] = "no equals sign";
  char* environment[] = {first, second, third, odd, nullptr};
  std::map<std::string, std::string> variables = ReadEnvironment(environment);
  PrependToList(&variables, "B", "front");
  PrependToList(&variables, "C", "only");
  EXPECT_THAT(FlattenEnvironment(variables), ElementsAre("A=2", "B=front:x=y", "C=only"));
}

class FindProgramTest : public ::testing::Test {
 protected:
  std::string Make(const std::string& folder, const std::string& name, mode_t mode) {
    EXPECT_TRUE(base::MakeFolders(folder_ / folder, 0755));
    const std::string path = base::JoinPath(folder_ / folder, name);
    EXPECT_TRUE(base::WriteFileAtomically(path, "#!/bin/sh\n", mode));
    return path;
  }
  base::TemporaryFolder folder_;
};

TEST_F(FindProgramTest, TheFirstOfThePathThatCanBeExecuted) {
  Make("a", "tool", 0644);
  const std::string second = Make("b", "tool", 0755);
  Make("c", "tool", 0755);
  const std::string path =
      folder_ / "none" + ":" + folder_ / "a" + ":" + folder_ / "b" + ":" + folder_ / "c";
  const Result<std::string> found = FindProgram("tool", path);
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, second);
}

TEST_F(FindProgramTest, MissingAndNotExecutableAreToldApart) {
  const std::string blocked = Make("a", "tool", 0644);
  EXPECT_EQ(FindProgram("tool", folder_ / "a").error().code, Code::kPermissionDenied);
  EXPECT_EQ(FindProgram(blocked, "").error().code, Code::kPermissionDenied);
  EXPECT_EQ(FindProgram(folder_.path(), "").error().code, Code::kPermissionDenied);
  EXPECT_EQ(FindProgram("nosuch", folder_ / "a").error().code, Code::kNotFound);
  EXPECT_EQ(FindProgram("/no/such", "").error().code, Code::kNotFound);
  EXPECT_EQ(FindProgram("", folder_ / "a").error().code, Code::kNotFound);
}

TEST(QuoteForShellTest, AShellReadsTheSameWords) {
  EXPECT_EQ(QuoteForShell({"a", "--b=c/d", "x y", "", "it's", "$HOME"}),
            "a --b=c/d 'x y' '' 'it'\\''s' '$HOME'");
}

TEST(NameSliceTest, IsTheProgramAndThePid) {
  EXPECT_EQ(NameSlice("/usr/bin/python3.11", 12), "python3.11-12");
  EXPECT_EQ(NameSlice("./..--", 12), "run-12");
  EXPECT_EQ(NameSlice("a b\n", 12), "ab-12");
  EXPECT_LE(NameSlice(std::string(300, 'x'), 4'194'304).size(), 63U);
}

}  // namespace
}  // namespace hami::ctl
