// SPDX-License-Identifier: Apache-2.0
//
// Processes that die between two writes, files that break, machines that reboot: a new keeper has
// to end where the old one would have.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/file.h"
#include "dra/claim_keeper.h"
#include "dra/fake_claims.h"
#include "dra/fake_node.h"

namespace hami::dra {
namespace {

using domain::ResourceClaim;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr size_t kAnySize = size_t{1} << 20;

class CrashTest : public ::testing::Test {
 protected:
  CrashTest() {
    node_.api.Put(claim_);
    nothing_ = node_.Look();
    EXPECT_TRUE(node_.BeginWithDriver());
    Prepare();
    all_ = node_.Look();
  }

  void Prepare() {
    const Result<std::vector<PreparedDevice>> prepared = node_.keeper().Prepare(RefTo(claim_));
    ASSERT_TRUE(prepared) << prepared.error().message;
    EXPECT_THAT(*prepared, SizeIs(2));
  }

  void Write(const std::string& path, const std::string& text) const {
    ASSERT_TRUE(base::WriteFileAtomically(path, text, 0600));
  }

  void BreakRecord() const {
    const std::string text = base::ReadFile(node_.RecordOf("uid-a"), kAnySize).value();
    Write(node_.RecordOf("uid-a"), text.substr(0, text.size() / 2));
  }

  const ResourceClaim claim_ =
      MakeClaim("a", {{.memory_mib = 1024, .cores_pct = 10, .request = "one"},
                      {.memory_mib = 2048, .cores_pct = 20, .request = "two"}});
  FakeNode node_;
  FakeNode::Files nothing_;
  FakeNode::Files all_;
};

// --- deaths between any two writes --------------------------------------------------------------

// Every subset of what a claim leaves, whatever the order of writes: with its record all is made
// again, without it all goes.
TEST_F(CrashTest, AnyRemainsBecomeAllOrNothing) {
  const std::string share = node_.ShareOf("uid-a");
  const std::vector<std::string> traces = {node_.RecordOf("uid-a"), share + "/0/limits",
                                           share + "/0/region", share + "/1", node_.CdiOf("uid-a")};
  for (unsigned subset = 0; subset < (1U << traces.size()); ++subset) {
    SCOPED_TRACE(subset);
    Prepare();
    for (size_t index = 0; index < traces.size(); ++index) {
      if ((subset >> index & 1) != 0) continue;
      ASSERT_TRUE(base::RemoveTree(traces[index]));
    }
    ASSERT_TRUE(node_.BeginWithDriver());
    node_.keeper().Sweep();
    const bool promised = (subset & 1) != 0;
    EXPECT_EQ(node_.ChangedSince(promised ? all_ : nothing_), "");
    EXPECT_THAT(node_.keeper().Kept(), SizeIs(promised ? 1 : 0));
    ASSERT_FALSE(HasFailure());
  }
}

TEST_F(CrashTest, HalfWrittenFilesAreSweptAway) {
  const std::vector<std::string> remains = {
      node_.RecordOf("uid-a") + ".new-4711-0", node_.CdiOf("uid-a") + ".new-4711-1",
      node_.ShareOf("uid-a") + "/0/limits.new-4711-2", node_.ShareOf("uid-a") + "/0/region.new"};
  for (const std::string& path : remains) Write(path, "half");
  ASSERT_TRUE(node_.BeginWithDriver());
  EXPECT_EQ(node_.ChangedSince(all_), "");

  ASSERT_TRUE(node_.keeper().Unprepare("uid-a"));
  Write(remains[0], "half");
  Write(remains[1], "half");
  ASSERT_TRUE(base::MakeFolders(node_.ShareOf("uid-a") + "/0", 0755));
  Write(remains[2], "half");
  ASSERT_TRUE(node_.BeginWithDriver());
  EXPECT_EQ(node_.ChangedSince(nothing_), "");
}

// Without a driver, as after a start: containers that run need their shares, and a document that
// is there stays.
TEST_F(CrashTest, AStartWithoutADriverTakesNothingAway) {
  ASSERT_TRUE(base::RemoveTree(node_.ShareOf("uid-a") + "/1"));
  ASSERT_TRUE(node_.Begin());
  EXPECT_EQ(node_.ChangedSince(all_), "");
  node_.keeper().Sweep();
  EXPECT_EQ(node_.ChangedSince(all_), "");
}

TEST_F(CrashTest, AnUnprepareThatDiedIsRepeated) {
  ASSERT_TRUE(base::RemoveTree(node_.CdiOf("uid-a")));
  ASSERT_TRUE(base::RemoveTree(node_.ShareOf("uid-a")));
  ASSERT_TRUE(node_.BeginWithDriver());
  EXPECT_TRUE(node_.keeper().Unprepare("uid-a"));
  EXPECT_EQ(node_.ChangedSince(nothing_), "");
}

// --- reboots ------------------------------------------------------------------------------------

// Contract section 4, fault 1: the cause of pods that were stuck after a reboot.
TEST_F(CrashTest, AfterARebootEverythingIsMadeFromTheRecord) {
  const std::string record = base::ReadFile(node_.RecordOf("uid-a"), kAnySize).value();
  node_.EmptyRun();
  node_.boot_id = "boot-2";
  ASSERT_TRUE(node_.Begin());
  EXPECT_TRUE(base::Exists(node_.ShareOf("uid-a") + "/1/region"));
  EXPECT_FALSE(base::Exists(node_.CdiOf("uid-a"))) << "the driver is not loaded yet";
  node_.keeper().SetNode(MakeNode(2));
  EXPECT_EQ(node_.ChangedSince(all_), "");

  // The kubelet asks again, because the pod's sandbox is gone.
  Prepare();
  EXPECT_THAT(base::ReadFile(node_.RecordOf("uid-a"), kAnySize).value(),
              HasSubstr("\"bootID\":\"boot-2\""));
  Prepare();
  EXPECT_EQ(node_.keeper().Sweep().mended, 0);
}

TEST_F(CrashTest, AfterARebootTheKubeletMayAskBeforeTheDriverIsThere) {
  node_.EmptyRun();
  node_.boot_id = "boot-2";
  ASSERT_TRUE(node_.Begin());
  Prepare();
  node_.keeper().SetNode(MakeNode(2));
  EXPECT_TRUE(base::Exists(node_.CdiOf("uid-a")));
  ASSERT_TRUE(node_.BeginWithDriver());
  EXPECT_THAT(node_.keeper().Kept(), SizeIs(1));
  EXPECT_THAT(base::ReadFile(node_.RecordOf("uid-a"), kAnySize).value(),
              HasSubstr("\"bootID\":\"boot-2\""));
}

// --- broken records -----------------------------------------------------------------------------

TEST_F(CrashTest, ARecordBrokenAnywhereIsMadeAgainFromTheApi) {
  const std::string text = base::ReadFile(node_.RecordOf("uid-a"), kAnySize).value();
  for (size_t at = 0; at < text.size(); at += 97) {
    SCOPED_TRACE(at);
    for (const bool cut : {true, false}) {
      std::string broken = text.substr(0, at);
      if (!cut) broken += static_cast<char>(text[at] ^ 1) + text.substr(at + 1);
      Write(node_.RecordOf("uid-a"), broken);
      ASSERT_TRUE(node_.BeginWithDriver());
      EXPECT_THAT(node_.keeper().Kept(), IsEmpty());
      const FakeNode::Files before = node_.Look();
      EXPECT_TRUE(before.contains("shares/uid-a/1/region")) << "containers may use it";
      EXPECT_EQ(node_.keeper().Sweep().broken, 0);
      EXPECT_EQ(node_.ChangedSince(all_), "");
      EXPECT_THAT(node_.keeper().Kept(), SizeIs(1));
      ASSERT_FALSE(HasFailure());
    }
  }
}

TEST_F(CrashTest, ARecordOfANewerVersionIsMadeAgainToo) {
  std::string text = base::ReadFile(node_.RecordOf("uid-a"), kAnySize).value();
  text.replace(0, 12, "hami-claim 2");
  Write(node_.RecordOf("uid-a"), text);
  ASSERT_TRUE(node_.BeginWithDriver());
  EXPECT_EQ(node_.keeper().Sweep().broken, 0);
  EXPECT_EQ(node_.ChangedSince(all_), "");
}

TEST_F(CrashTest, ABrokenRecordOfAClaimThatIsGoneIsDropped) {
  BreakRecord();
  node_.api.Delete(claim_);
  ASSERT_TRUE(node_.BeginWithDriver());
  EXPECT_EQ(node_.keeper().Sweep().broken, 0);
  EXPECT_EQ(node_.ChangedSince(nothing_), "");
  EXPECT_EQ(node_.keeper().Sweep().broken, 0);
}

TEST_F(CrashTest, ABrokenRecordOfAClaimThatMovedAwayIsDropped) {
  BreakRecord();
  ResourceClaim moved = claim_;
  for (domain::DeviceResult& result : moved.results) result.pool = "another-node";
  node_.api.Put(moved);
  ASSERT_TRUE(node_.BeginWithDriver());
  EXPECT_EQ(node_.keeper().Sweep().broken, 0);
  EXPECT_EQ(node_.ChangedSince(nothing_), "");
}

TEST_F(CrashTest, ABrokenRecordWaitsForTheServerAndTheDriver) {
  BreakRecord();
  const FakeNode::Files broken = node_.Look();
  node_.api.Break(Error(Code::kUnavailable, "no answer"));
  ASSERT_TRUE(node_.BeginWithDriver());
  EXPECT_EQ(node_.keeper().Sweep().broken, 1);
  EXPECT_EQ(node_.ChangedSince(broken), "");
  node_.keeper().SetNode(nullptr);
  node_.api.Break(std::nullopt);
  EXPECT_EQ(node_.keeper().Sweep().broken, 1);
  EXPECT_EQ(node_.ChangedSince(broken), "");
  node_.keeper().SetNode(MakeNode(2));
  EXPECT_EQ(node_.keeper().Sweep().broken, 0);
  EXPECT_EQ(node_.ChangedSince(all_), "");
}

TEST_F(CrashTest, AKubeletThatAsksMendsABrokenRecord) {
  BreakRecord();
  ASSERT_TRUE(node_.BeginWithDriver());
  Prepare();
  EXPECT_EQ(node_.ChangedSince(all_), "");
  EXPECT_EQ(node_.keeper().Sweep().broken, 0);
}

TEST_F(CrashTest, AnUnprepareTakesABrokenRecordAway) {
  BreakRecord();
  ASSERT_TRUE(node_.BeginWithDriver());
  EXPECT_TRUE(node_.keeper().Unprepare("uid-a"));
  EXPECT_EQ(node_.ChangedSince(nothing_), "");
  EXPECT_EQ(node_.keeper().Sweep().broken, 0);
  EXPECT_EQ(node_.ChangedSince(nothing_), "");
}

TEST_F(CrashTest, AClaimWithABrokenRecordHoldsItsRoomOnceItIsRead) {
  BreakRecord();
  const ResourceClaim other = MakeClaim("b", {{.memory_mib = kA10Mib, .cores_pct = 0}});
  node_.api.Put(other);
  ASSERT_TRUE(node_.BeginWithDriver());
  node_.keeper().Sweep();
  // b is in the API, but was never prepared here; a was.
  EXPECT_EQ(node_.keeper().Prepare(RefTo(other)).error().code, Code::kResourceExhausted);
}

TEST_F(CrashTest, OneBrokenRecordIsNoneOfTheOthersBusiness) {
  const ResourceClaim other = MakeClaim("b", {{.device = "hami-gpu-1"}});
  node_.api.Put(other);
  ASSERT_TRUE(node_.keeper().Prepare(RefTo(other)));
  const FakeNode::Files both = node_.Look();
  BreakRecord();
  node_.api.Break(Error(Code::kUnavailable, "no answer"));
  ASSERT_TRUE(node_.BeginWithDriver());
  EXPECT_THAT(node_.keeper().Kept(), SizeIs(1));
  EXPECT_TRUE(node_.keeper().Prepare(RefTo(other)));
  node_.api.Break(std::nullopt);
  node_.keeper().Sweep();
  EXPECT_EQ(node_.ChangedSince(both), "");
}

TEST_F(CrashTest, AFolderOfRecordsThatCannotBeUsedIsAnError) {
  ASSERT_TRUE(base::RemoveTree(node_.records()));
  Write(node_.records(), "a file in the way");
  EXPECT_FALSE(node_.Begin());
}

}  // namespace
}  // namespace hami::dra
