// SPDX-License-Identifier: Apache-2.0

#include "top/find_shares.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/temporary_folder.h"

namespace hami::top {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class FindSharesTest : public ::testing::Test {
 protected:
  FindSharesTest() {
    sources_ = {.runs = folder_ / "shares",
                .claims = folder_ / "claims",
                .claim_records = folder_ / "records",
                .containers = folder_ / "containers",
                .own = folder_ / "own"};
  }
  void Add(const std::string& path, const std::string& text = "") const {
    const std::string whole = folder_ / path;
    ASSERT_TRUE(base::MakeFolders(whole.substr(0, whole.rfind('/')), 0755));
    ASSERT_TRUE(base::WriteFileAtomically(whole, text, 0644));
  }
  std::vector<std::string> Names(const std::vector<std::string>& paths = {}) const {
    std::vector<std::string> names;
    for (const Share& share : FindShares(sources_, paths).shares) {
      names.push_back(std::string(KindName(share.kind)) + " " + share.name);
    }
    return names;
  }

  base::TemporaryFolder folder_;
  Sources sources_;
};

TEST_F(FindSharesTest, WhereThereIsNothing) {
  const Shares found = FindShares(sources_, {});
  EXPECT_THAT(found.shares, IsEmpty());
  EXPECT_THAT(found.notes, IsEmpty());
  EXPECT_FALSE(found.failed);
}

TEST_F(FindSharesTest, EveryKind) {
  Add("shares/train/region");
  Add("shares/train/limits");
  Add("shares/.new-1/region");
  Add("shares/no-region-yet/limits");
  Add("claims/uid-1/0/region");
  Add("claims/uid-1/1/region");
  Add("claims/uid-1/hook/inactive");
  Add("claims/uid-2/0/region");
  Add("claims/uid-3/hook/x");
  Add("records/uid-1.json", "hami-claim 1 0\n{\"namespace\":\"team-a\",\"name\":\"gpu\"}\n");
  Add("records/uid-2.json", "hami-claim 1 0\n{\"namespace\":7,\"name\":");
  Add("containers/1234_main/a.cache");
  Add("containers/1234_main/readme");
  Add("own/uid-0/region");
  EXPECT_THAT(Names(), ElementsAre("run train", "claim team-a/gpu:0", "claim team-a/gpu:1",
                                   "claim uid-2", "container main (1234)", "share uid-0"));
}

TEST_F(FindSharesTest, WhatTenantsMayMake) {
  Add("containers/1_a\x1b[2J/x.cache");
  ASSERT_TRUE(base::MakeFolders(folder_ / "containers/2_b", 0755));
  ASSERT_EQ(symlink("/etc/passwd", (folder_ / "containers/2_b/y.cache").c_str()), 0);
  ASSERT_EQ(mkfifo((folder_ / "containers/2_b/z.cache").c_str(), 0644), 0);
  ASSERT_EQ(symlink((folder_ / "containers/2_b").c_str(), (folder_ / "containers/3_c").c_str()), 0);
  EXPECT_THAT(Names(), ElementsAre("container a?[2J (1)"));
}

TEST_F(FindSharesTest, AShareInTwoPlacesIsOne) {
  Add("shares/train/region");
  ASSERT_TRUE(base::MakeFolders(folder_ / "own/train", 0755));
  ASSERT_EQ(link((folder_ / "shares/train/region").c_str(), (folder_ / "own/train/region").c_str()),
            0);
  EXPECT_THAT(Names(), ElementsAre("run train"));
  EXPECT_FALSE(FindShares(sources_, {}).shares[0].inside);
  EXPECT_THAT(Names({folder_ / "own", folder_ / "own"}), SizeIs(1));
}

TEST_F(FindSharesTest, PathsOfTheUser) {
  Add("x/s/region");
  Add("x/t/region");
  Add("hami/u.cache");
  EXPECT_THAT(Names({folder_ / "x"}), ElementsAre("share s", "share t"));
  EXPECT_THAT(Names({folder_ / "x/t"}), ElementsAre("share t"));
  EXPECT_THAT(Names({folder_ / "x/s/region", folder_ / "hami"}),
              ElementsAre("share s", "share hami"));
  sources_.read_note = [&](const std::string& folder) {
    return folder == folder_ / "x/t" ? std::optional(RunNote{}) : std::nullopt;
  };
  EXPECT_THAT(Names({folder_ / "x/t/region"}), ElementsAre("run t"));
}

TEST_F(FindSharesTest, PathsThatLeadToNothing) {
  Add("empty/x");
  const Shares none = FindShares(sources_, {folder_ / "none"});
  EXPECT_TRUE(none.failed);
  EXPECT_THAT(none.notes, ElementsAre(HasSubstr("No such file")));
  const Shares empty = FindShares(sources_, {folder_ / "empty"});
  EXPECT_TRUE(empty.failed);
  EXPECT_THAT(empty.notes, ElementsAre(HasSubstr("no region in ")));
}

TEST_F(FindSharesTest, FoldersThatMayNotBeRead) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  Add("shares/train/region");
  ASSERT_EQ(chmod((folder_ / "shares").c_str(), 0), 0);
  const Shares found = FindShares(sources_, {});
  EXPECT_THAT(found.notes, ElementsAre(HasSubstr("who may read it")));
  ASSERT_EQ(chmod((folder_ / "shares").c_str(), 0755), 0);
}

}  // namespace
}  // namespace hami::top
