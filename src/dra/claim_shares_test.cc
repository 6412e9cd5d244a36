// SPDX-License-Identifier: Apache-2.0

#include "dra/claim_shares.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "api/region/region.h"
#include "base/file.h"
#include "base/temporary_folder.h"
#include "dra/fake_claims.h"
#include "region/limits.h"
#include "share/region_file.h"

namespace hami::dra {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr size_t kAnySize = size_t{1} << 24;

class ClaimSharesTest : public ::testing::Test {
 protected:
  static ClaimGrant MakeGrant() {
    NodeGpus gpus = MakeGpus(2);
    gpus.context_bytes["hami-gpu-0"] = 300 * base::kMib;
    ClaimGrant grant = PlanGrant(MakeClaim("a", {{.memory_mib = 10240, .cores_pct = 50},
                                                 {.device = "hami-gpu-1",
                                                  .memory_mib = kA10Mib,
                                                  .cores_pct = 0,
                                                  .request = "second"}}),
                                 gpus, kGuideNode)
                           .value();
    grant.slices[0].policy = "force";
    return grant;
  }

  // Whether anything was made.
  bool Ensure() const {
    bool mended = false;
    const Status ensured = shares_.Ensure(grant_, &mended);
    EXPECT_TRUE(ensured) << ensured.error().message;
    return mended;
  }

  std::string Limits(size_t slice) const {
    return shares_.SliceFolder(grant_.uid, slice) + "/limits";
  }
  std::string Region(size_t slice) const {
    return shares_.SliceFolder(grant_.uid, slice) + "/region";
  }

  static struct stat Look(const std::string& path) {
    struct stat info = {};
    EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
    return info;
  }

  static region::DeviceLimit ReadBack(const std::string& path) {
    region::Limits limits = {};
    const region::LimitsError error = region::LoadLimits(path.c_str(), &limits);
    EXPECT_EQ(error.what, nullptr) << error.what;
    EXPECT_EQ(limits.device_count, 1);
    return limits.devices[0];
  }

  static void ExpectGoodRegion(const std::string& path) {
    EXPECT_EQ(static_cast<size_t>(Look(path).st_size), api::kRegionFileBytes);
    EXPECT_TRUE(S_ISREG(Look(path).st_mode));
    EXPECT_EQ(Look(path).st_mode & 07777, 0666U) << "tenants run as any user";
    EXPECT_TRUE(share::RegionFile::Open(path));
  }

  const base::TemporaryFolder root_;
  const ShareRoot shares_{root_ / "run/claims"};
  const ClaimGrant grant_ = MakeGrant();
};

TEST_F(ClaimSharesTest, EachSliceHasAFolderOfItsOwn) {
  EXPECT_TRUE(Ensure());
  EXPECT_EQ(shares_.SliceFolder("uid-a", 1), root_.path() + "/run/claims/uid-a/1");
  EXPECT_EQ(ShareName("uid-a", 1), "uid-a-1");
  EXPECT_THAT(base::ListFolder(shares_.ClaimFolder("uid-a")).value(),
              ElementsAre("0", "1", "hook"));
  EXPECT_THAT(base::ListFolder(shares_.SliceFolder("uid-a", 0)).value(),
              ElementsAre("limits", "region"));
  EXPECT_THAT(base::ListFolder(shares_.HookFolder("uid-a")).value(), IsEmpty());
  for (const std::string& folder :
       {shares_.path(), shares_.ClaimFolder("uid-a"), shares_.SliceFolder("uid-a", 0)}) {
    EXPECT_EQ(Look(folder).st_mode & 07777, 0755U) << folder;
  }
}

TEST_F(ClaimSharesTest, TheTenantsParserReadsTheLimits) {
  Ensure();
  const region::DeviceLimit first = ReadBack(Limits(0));
  EXPECT_STREQ(first.uuid, kGuideUuid);
  EXPECT_EQ(first.memory_bytes, 10'737'418'240U);
  EXPECT_EQ(first.cores_pct, 50U);
  EXPECT_EQ(first.policy, region::CorePolicy::kForce);
  EXPECT_EQ(first.context_bytes, 300 * base::kMib);

  const region::DeviceLimit second = ReadBack(Limits(1));
  EXPECT_EQ(second.uuid, grant_.slices[1].uuid);
  EXPECT_EQ(second.memory_bytes, kA10Bytes);
  EXPECT_EQ(second.cores_pct, 0U) << "no limit";
  EXPECT_EQ(second.context_bytes, 0U);
  EXPECT_EQ(Look(Limits(0)).st_mode & 07777, 0444U);
}

TEST_F(ClaimSharesTest, EveryPolicyThatAClaimMayAskForReachesTheTenant) {
  const std::pair<const char*, region::CorePolicy> policies[] = {
      {"default", region::CorePolicy::kDefault},
      {"force", region::CorePolicy::kForce},
      {"disable", region::CorePolicy::kDisable},
      {"burst", region::CorePolicy::kBurst}};
  for (const auto& [name, policy] : policies) {
    ClaimGrant grant = grant_;
    grant.slices[0].policy = name;
    bool mended = false;
    ASSERT_TRUE(shares_.Ensure(grant, &mended)) << name;
    EXPECT_EQ(ReadBack(Limits(0)).policy, policy) << name;
  }
}

TEST_F(ClaimSharesTest, RegionsAreForEverybodyWhateverTheUmask) {
  const mode_t before = umask(077);
  Ensure();
  umask(before);
  ExpectGoodRegion(Region(0));
  ExpectGoodRegion(Region(1));
  EXPECT_EQ(Look(Limits(0)).st_mode & 07777, 0444U);
  EXPECT_EQ(Look(shares_.SliceFolder("uid-a", 0)).st_mode & 07777, 0755U);
}

// Contract section 4, fault 13: a second pod of the claim must not lose the first one's region.
TEST_F(ClaimSharesTest, WhatIsRightIsLeftAlone) {
  Ensure();
  // As a tenant at work leaves it.
  ASSERT_TRUE(share::RegionFile::Open(Region(0))->WriteHidden(0, 4096));
  const std::string content = base::ReadFile(Region(0), kAnySize).value();
  const ino_t region = Look(Region(0)).st_ino;
  const ino_t limits = Look(Limits(0)).st_ino;
  for (int again = 0; again < 3; ++again) EXPECT_FALSE(Ensure());
  EXPECT_EQ(Look(Region(0)).st_ino, region);
  EXPECT_EQ(Look(Limits(0)).st_ino, limits);
  EXPECT_EQ(base::ReadFile(Region(0), kAnySize).value(), content);
}

// A fresh one would forget what the tenant was charged; a scrambled one serves nobody.
TEST_F(ClaimSharesTest, ARegionThatItsTenantScrambledIsLeftToHim) {
  Ensure();
  const ino_t before = Look(Region(0)).st_ino;
  {
    const base::Fd file = base::OpenFile(Region(0), O_WRONLY).value();
    ASSERT_TRUE(base::WriteAll(file.get(), std::string(api::kRegionFileBytes + 4096, '\xff')));
  }
  EXPECT_FALSE(Ensure());
  EXPECT_EQ(Look(Region(0)).st_ino, before);
}

TEST_F(ClaimSharesTest, ARegionCutAnywhereIsMadeAgain) {
  Ensure();
  const size_t whole = api::kRegionFileBytes;
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{4095}, size_t{4096}, size_t{4097},
                             whole / 2, whole - 4096, whole - 1}) {
    ASSERT_EQ(truncate(Region(1).c_str(), static_cast<off_t>(bytes)), 0);
    const ino_t untouched = Look(Region(0)).st_ino;
    EXPECT_TRUE(Ensure()) << bytes;
    ExpectGoodRegion(Region(1));
    EXPECT_EQ(Look(Region(0)).st_ino, untouched);
    EXPECT_FALSE(Ensure()) << bytes;
  }
}

TEST_F(ClaimSharesTest, LimitsCutAnywhereOrChangedAreWrittenAgain) {
  Ensure();
  const std::string text = base::ReadFile(Limits(0), kAnySize).value();
  for (size_t bytes = 0; bytes < text.size(); bytes += 9) {
    ASSERT_TRUE(base::WriteFileAtomically(Limits(0), text.substr(0, bytes), 0444));
    EXPECT_TRUE(Ensure()) << bytes;
    ASSERT_EQ(base::ReadFile(Limits(0), kAnySize).value(), text) << bytes;
  }
  for (const std::string& other :
       {text.substr(0, text.size() - 1), text + "x", std::string(100'000, 'x')}) {
    ASSERT_TRUE(base::WriteFileAtomically(Limits(0), other, 0444));
    EXPECT_TRUE(Ensure());
    EXPECT_EQ(base::ReadFile(Limits(0), kAnySize).value(), text);
  }
}

TEST_F(ClaimSharesTest, WhatIsMissingIsMadeAgainAndTold) {
  Ensure();
  for (const std::string& path :
       {Limits(1), Region(0), shares_.SliceFolder("uid-a", 1), shares_.HookFolder("uid-a"),
        shares_.ClaimFolder("uid-a"), shares_.path()}) {
    ASSERT_TRUE(base::RemoveTree(path));
    EXPECT_TRUE(Ensure()) << path;
    ReadBack(Limits(1));
    ExpectGoodRegion(Region(0));
    EXPECT_FALSE(Ensure()) << path;
  }
}

TEST_F(ClaimSharesTest, WhatIsNoRegionIsReplacedAndNeverFollowed) {
  Ensure();
  // It would pass for a region, if it were there.
  const std::string elsewhere = root_ / "precious";
  const std::string precious(api::kRegionFileBytes, 'p');
  ASSERT_TRUE(base::WriteFileAtomically(elsewhere, precious, 0666));
  ASSERT_EQ(unlink(Region(0).c_str()), 0);
  ASSERT_EQ(symlink(elsewhere.c_str(), Region(0).c_str()), 0);
  EXPECT_TRUE(Ensure());
  ExpectGoodRegion(Region(0));

  ASSERT_EQ(unlink(Region(0).c_str()), 0);
  ASSERT_EQ(mkfifo(Region(0).c_str(), 0666), 0);
  EXPECT_TRUE(Ensure());
  ExpectGoodRegion(Region(0));

  ASSERT_EQ(chmod(Region(0).c_str(), 0600), 0);
  EXPECT_TRUE(Ensure());
  ExpectGoodRegion(Region(0));
  EXPECT_EQ(base::ReadFile(elsewhere, kAnySize).value(), precious);
}

TEST_F(ClaimSharesTest, WhatADeadWriterLeftIsInNobodysWay) {
  Ensure();
  ASSERT_EQ(unlink(Region(0).c_str()), 0);
  ASSERT_TRUE(base::WriteFileAtomically(Region(0) + ".new", "half", 0600));
  EXPECT_TRUE(Ensure());
  ExpectGoodRegion(Region(0));
  EXPECT_FALSE(base::Exists(Region(0) + ".new"));
}

TEST_F(ClaimSharesTest, AFolderThatCannotBeMadeIsAnError) {
  ASSERT_TRUE(base::MakeFolders(root_ / "run", 0755));
  ASSERT_TRUE(base::WriteFileAtomically(shares_.path(), "a file in the way", 0600));
  bool mended = false;
  EXPECT_FALSE(shares_.Ensure(grant_, &mended));
  EXPECT_FALSE(shares_.List());
}

TEST_F(ClaimSharesTest, ContainersWithoutLimitsAreToldOnce) {
  EXPECT_THAT(shares_.TakeInactive(grant_.uid), IsEmpty());
  Ensure();
  const std::string hook = shares_.HookFolder(grant_.uid);
  for (const char* name : {"/limits-inactive-c1", "/limits-inactive-c2", "/other"}) {
    ASSERT_TRUE(base::WriteFileAtomically(hook + name, "musl\n", 0644));
  }
  EXPECT_THAT(shares_.TakeInactive(grant_.uid), UnorderedElementsAre("c1", "c2"));
  EXPECT_THAT(shares_.TakeInactive(grant_.uid), IsEmpty());
  EXPECT_TRUE(base::Exists(hook + "/other"));
}

TEST_F(ClaimSharesTest, RemovesOneClaimAndNothingElse) {
  Ensure();
  ClaimGrant other = grant_;
  other.uid = "uid-b";
  bool mended = false;
  ASSERT_TRUE(shares_.Ensure(other, &mended));
  EXPECT_THAT(shares_.List().value(), ElementsAre("uid-a", "uid-b"));

  EXPECT_TRUE(shares_.Remove("uid-a"));
  EXPECT_TRUE(shares_.Remove("uid-a")) << "nothing there is success";
  EXPECT_THAT(shares_.List().value(), ElementsAre("uid-b"));
  for (const std::string path : {"", ".", "..", "../claims", "uid-b/0"}) {
    EXPECT_TRUE(shares_.Remove(path));
  }
  ExpectGoodRegion(shares_.SliceFolder("uid-b", 0) + "/region");
}

TEST_F(ClaimSharesTest, ListingMakesTheRoot) {
  EXPECT_THAT(shares_.List().value(), IsEmpty());
  EXPECT_TRUE(base::Exists(shares_.path()));
}

}  // namespace
}  // namespace hami::dra
