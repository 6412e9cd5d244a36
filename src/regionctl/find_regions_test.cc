// SPDX-License-Identifier: Apache-2.0

#include "regionctl/find_regions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "base/file.h"
#include "base/temporary_folder.h"

namespace hami::regionctl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FindRegionsTest : public ::testing::Test {
 protected:
  void Add(const std::string& folder) const {
    ASSERT_TRUE(base::MakeFolders(folder_ / folder, 0755));
    ASSERT_TRUE(base::WriteFileAtomically(folder_ / (folder + "/region"), "", 0644));
  }
  base::TemporaryFolder folder_;
};

TEST_F(FindRegionsTest, OfLocalRunsAndOfClaims) {
  Add("b");
  Add("a");
  Add("uid/0");
  Add("too/deep/for/this");
  ASSERT_TRUE(base::WriteFileAtomically(folder_ / "a/limits", "", 0644));
  EXPECT_THAT(FindRegions(folder_.path()),
              ElementsAre(folder_ / "a/region", folder_ / "b/region", folder_ / "uid/0/region"));
}

TEST_F(FindRegionsTest, NoLinkIsFollowed) {
  Add("real");
  ASSERT_EQ(symlink((folder_ / "real").c_str(), (folder_ / "linked").c_str()), 0);
  ASSERT_TRUE(base::MakeFolders(folder_ / "other", 0755));
  ASSERT_EQ(symlink("/etc/passwd", (folder_ / "other/region").c_str()), 0);
  EXPECT_THAT(FindRegions(folder_.path()), ElementsAre(folder_ / "real/region"));
}

TEST_F(FindRegionsTest, WhereThereIsNothing) {
  EXPECT_THAT(FindRegions(folder_ / "none"), IsEmpty());
  EXPECT_THAT(FindRegions(folder_.path()), IsEmpty());
}

TEST_F(FindRegionsTest, AShareStandsForItsRegion) {
  EXPECT_EQ(RegionPathOf(folder_.path()), folder_ / "region");
  EXPECT_EQ(RegionPathOf("/x/a.cache"), "/x/a.cache");
}

}  // namespace
}  // namespace hami::regionctl
