// SPDX-License-Identifier: Apache-2.0
//
// Documents in a folder that a runtime watches.

#include "cdi/spec_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "base/file.h"

namespace hami::cdi {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SpecFolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/hami-cdi-test-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
    folder_ = root_ + "/var/run/cdi";
  }
  void TearDown() override { EXPECT_TRUE(base::RemoveTree(root_)); }

  static Spec SpecWith(const std::string& env) {
    return {.vendor = "k8s.hami.io",
            .device_class = "claim",
            .devices = {{.name = "gpu", .edits = {.env = {env}}}}};
  }
  Result<PublishedSpecs> List() const { return ListSpecs(folder_, "k8s.hami.io", "claim"); }

  std::string root_;
  std::string folder_;
};

TEST_F(SpecFolderTest, PublishesAndWithdraws) {
  EXPECT_THAT(List()->ids, IsEmpty());  // no folder yet
  const Result<std::string> path = PublishSpec(folder_, SpecWith("A=1"), "4d7c");
  ASSERT_TRUE(path) << path.error().message;
  EXPECT_EQ(*path, folder_ + "/k8s.hami.io-claim_4d7c.json");
  EXPECT_EQ(*base::ReadFile(*path, 10000), WriteSpec(SpecWith("A=1")));
  EXPECT_THAT(List()->ids, ElementsAre("4d7c"));
  ASSERT_TRUE(WithdrawSpec(folder_, "k8s.hami.io", "claim", "4d7c"));
  ASSERT_TRUE(WithdrawSpec(folder_, "k8s.hami.io", "claim", "4d7c"));  // nothing there is fine
  EXPECT_THAT(List()->ids, IsEmpty());
}

// Runtimes run as root, but people and other tools read along.
TEST_F(SpecFolderTest, EverybodyMayReadWhateverTheUmask) {
  const mode_t before = umask(077);
  const Result<std::string> path = PublishSpec(folder_, SpecWith("A=1"), "a");
  umask(before);
  struct stat info = {};
  ASSERT_EQ(stat(path->c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0644U);
}

TEST_F(SpecFolderTest, TheSameAgainIsNoEventForTheRuntime) {
  struct stat first = {};
  struct stat again = {};
  const std::string path = *PublishSpec(folder_, SpecWith("A=1"), "a");
  ASSERT_EQ(stat(path.c_str(), &first), 0);
  ASSERT_TRUE(PublishSpec(folder_, SpecWith("A=1"), "a"));
  ASSERT_EQ(stat(path.c_str(), &again), 0);
  EXPECT_EQ(first.st_ino, again.st_ino);
  ASSERT_TRUE(PublishSpec(folder_, SpecWith("A=2"), "a"));
  EXPECT_THAT(*base::ReadFile(path, 10000), HasSubstr("A=2"));
}

TEST_F(SpecFolderTest, RefusesWhatValidateRefuses) {
  const Result<std::string> path = PublishSpec(folder_, SpecWith("A"), "a");
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().message,
            "CDI document a: device gpu: environment \"A\" is not NAME=VALUE");
  EXPECT_FALSE(base::Exists(folder_));
}

TEST_F(SpecFolderTest, RefusesIdsThatLeaveTheFolder) {
  for (const char* id : {"", "../a", "a/b", "a b", "a\n"}) {
    EXPECT_FALSE(PublishSpec(folder_, SpecWith("A=1"), id)) << id;
    EXPECT_FALSE(WithdrawSpec(folder_, "k8s.hami.io", "claim", id)) << id;
  }
  EXPECT_FALSE(SpecFileName("vv", "cc", std::string(129, 'a')));
  EXPECT_FALSE(SpecFileName("v", "cc", "a"));
}

// What a writer that died leaves ends neither in .json nor in .yaml, so no runtime reads it.
TEST_F(SpecFolderTest, ListsWhatIsOurs) {
  ASSERT_TRUE(PublishSpec(folder_, SpecWith("A=1"), "b"));
  ASSERT_TRUE(PublishSpec(folder_, SpecWith("A=1"), "a"));
  for (const char* other : {"nvidia.json", "k8s.hami.io-claimed_x.json", "k8s.hami.io-claim_y.yaml",
                            "k8s.hami.io-claim_c.json.new-1-0"}) {
    std::ofstream(base::JoinPath(folder_, other)) << "{}";
  }
  const Result<PublishedSpecs> specs = List();
  EXPECT_THAT(specs->ids, ElementsAre("a", "b"));
  EXPECT_THAT(specs->remains, ElementsAre("k8s.hami.io-claim_c.json.new-1-0"));
  ASSERT_TRUE(RemoveRemains(folder_, *specs));
  EXPECT_THAT(List()->remains, IsEmpty());
  EXPECT_EQ(base::ListFolder(folder_)->size(), 5U);
}

}  // namespace
}  // namespace hami::cdi
