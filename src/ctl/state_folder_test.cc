// SPDX-License-Identifier: Apache-2.0

#include "ctl/state_folder.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/temporary_folder.h"

namespace hami::ctl {
namespace {

TEST(ChooseStateFolderTest, TheVariableThenRootThenTheUsersFolders) {
  EXPECT_EQ(ChooseStateFolder({"/x", "/run/user/5", 0}), "/x");
  EXPECT_EQ(ChooseStateFolder({nullptr, "/run/user/0", 0}), "/run/hami");
  EXPECT_EQ(ChooseStateFolder({"", "/run/user/5", 5}), "/run/user/5/hami");
  EXPECT_EQ(ChooseStateFolder({nullptr, nullptr, 5}), "/tmp/hami-5");
  EXPECT_EQ(ChooseStateFolder({nullptr, "", 5}), "/tmp/hami-5");
}

class StateFolderTest : public ::testing::Test {
 protected:
  void SetUp() override { setenv("HAMI_STATE_DIR", (folder_ / "state").c_str(), 1); }
  void TearDown() override { unsetenv("HAMI_STATE_DIR"); }
  base::TemporaryFolder folder_;
};

TEST_F(StateFolderTest, SharesAreTheOwnersAlone) {
  const Result<StateFolder> state = StateFolder::Open();
  ASSERT_TRUE(state) << state.error().message;
  struct stat info = {};
  ASSERT_EQ(stat(state->shares().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700U);
}

TEST_F(StateFolderTest, ARelativePathIsRefused) {
  setenv("HAMI_STATE_DIR", "state", 1);
  EXPECT_EQ(StateFolder::Open().error().code, Code::kInvalidArgument);
}

TEST_F(StateFolderTest, TheLockExcludesAndIsLetGo) {
  const Result<StateFolder> state = StateFolder::Open();
  ASSERT_TRUE(state);
  Result<base::Fd> first = state->Lock(0);
  ASSERT_TRUE(first);
  EXPECT_EQ(state->Lock(0).error().code, Code::kDeadlineExceeded);
  first->Reset();
  EXPECT_TRUE(state->Lock(0));
}

}  // namespace
}  // namespace hami::ctl
