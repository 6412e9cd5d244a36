// SPDX-License-Identifier: Apache-2.0

#include "base/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

namespace hami::base {
namespace {

using ::testing::ElementsAre;

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/hami-file-test-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(folder_)); }

  static unsigned ModeOf(const std::string& path) {
    struct stat info = {};
    EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777U;
  }

  std::string folder_;
};

TEST_F(FileTest, WritesAndReads) {
  const std::string path = JoinPath(folder_, "a");
  ASSERT_TRUE(WriteFileAtomically(path, "one\n", 0640));
  ASSERT_TRUE(WriteFileAtomically(path, "two\n", 0444));
  EXPECT_EQ(*ReadFile(path, 100), "two\n");
  EXPECT_EQ(ModeOf(path), 0444U);
  EXPECT_THAT(*ListFolder(folder_), ElementsAre("a"));  // no temporary file is left
}

TEST_F(FileTest, ModeDoesNotDependOnTheUmask) {
  const mode_t before = umask(077);
  EXPECT_TRUE(WriteFileAtomically(JoinPath(folder_, "a"), "", 0666));
  EXPECT_TRUE(MakeFolders(JoinPath(folder_, "b"), 0755));
  umask(before);
  EXPECT_EQ(ModeOf(JoinPath(folder_, "a")), 0666U);
  EXPECT_EQ(ModeOf(JoinPath(folder_, "b")), 0755U);
}

TEST_F(FileTest, ReadingIsBounded) {
  const std::string path = JoinPath(folder_, "a");
  ASSERT_TRUE(WriteFileAtomically(path, std::string(100'000, 'x'), 0600));
  EXPECT_EQ(ReadFile(path, 100'000)->size(), 100'000U);
  EXPECT_EQ(ReadFile(path, 99'999).error().code, Code::kOutOfRange);
}

TEST_F(FileTest, AFailedWriteLeavesTheOldFile) {
  const std::string path = JoinPath(folder_, "a");
  ASSERT_TRUE(MakeFolders(path, 0755));  // rename over a folder cannot work
  EXPECT_FALSE(WriteFileAtomically(path, "x", 0600));
  EXPECT_THAT(*ListFolder(folder_), ElementsAre("a"));
}

TEST_F(FileTest, MakesParents) {
  const std::string path = JoinPath(folder_, "x/y/z");
  ASSERT_TRUE(MakeFolders(path, 0700));
  EXPECT_EQ(ModeOf(path), 0700U);
  EXPECT_EQ(ModeOf(JoinPath(folder_, "x")), 0755U);
  EXPECT_TRUE(MakeFolders(path, 0755));
  EXPECT_EQ(ModeOf(path), 0700U);  // an existing folder is left alone
}

TEST_F(FileTest, AFileInTheWayIsAnError) {
  ASSERT_TRUE(WriteFileAtomically(JoinPath(folder_, "x"), "", 0600));
  EXPECT_FALSE(MakeFolders(JoinPath(folder_, "x"), 0755));
  EXPECT_FALSE(MakeFolders(JoinPath(folder_, "x/y"), 0755));
}

TEST_F(FileTest, RemoveDoesNotFollowLinks) {
  ASSERT_TRUE(MakeFolders(JoinPath(folder_, "kept"), 0755));
  ASSERT_TRUE(WriteFileAtomically(JoinPath(folder_, "kept/file"), "", 0600));
  ASSERT_TRUE(MakeFolders(JoinPath(folder_, "gone"), 0755));
  ASSERT_EQ(symlink("../kept", JoinPath(folder_, "gone/link").c_str()), 0);
  EXPECT_TRUE(RemoveTree(JoinPath(folder_, "gone")));
  EXPECT_TRUE(Exists(JoinPath(folder_, "kept/file")));
  EXPECT_TRUE(RemoveTree(JoinPath(folder_, "gone")));  // nothing there is fine
}

TEST_F(FileTest, MissingFileIsNotFound) {
  EXPECT_EQ(ReadFile(JoinPath(folder_, "none"), 10).error().code, Code::kNotFound);
  EXPECT_EQ(ListFolder(JoinPath(folder_, "none")).error().code, Code::kNotFound);
}

TEST(FdTest, HasOneOwner) {
  Fd a(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = a.get();
  Fd b(std::move(a));
  EXPECT_FALSE(a.valid());  // NOLINT(bugprone-use-after-move): the moved-from state is the subject
  EXPECT_EQ(b.get(), number);
  b.Reset();
  EXPECT_EQ(fcntl(number, F_GETFD), -1);
}

TEST(JoinPathTest, PutsOneSlash) {
  EXPECT_EQ(JoinPath("/a", "b"), "/a/b");
  EXPECT_EQ(JoinPath("/a/", "b"), "/a/b");
  EXPECT_EQ(JoinPath("/", "b"), "/b");
}

}  // namespace
}  // namespace hami::base
