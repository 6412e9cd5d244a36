// SPDX-License-Identifier: Apache-2.0
//
// What the kubelet gets to hear, and what is there afterwards. Deaths are in
// claim_keeper_crash_test.cc, threads in claim_keeper_thread_test.cc.

#include "dra/claim_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "dra/fake_claims.h"
#include "dra/fake_node.h"

namespace hami::dra {
namespace {

using domain::ResourceClaim;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// So long that a test which has to wait does not end.
constexpr int64_t kLongMs = 3'600'000;

std::string TextOf(const std::vector<PreparedDevice>& devices) {
  std::string text;
  for (const PreparedDevice& device : devices) {
    text += device.request + " " + device.pool + " " + device.device + " " + device.share_id + " " +
            device.cdi_id + "\n";
  }
  return text;
}

class Observer : public ClaimObserver {
 public:
  void OnKept(const ClaimGrant& grant) override { told.push_back("+" + grant.name); }
  void OnGone(const std::string& uid) override { told.push_back("-" + uid); }
  std::vector<std::string> told;
};

class ClaimKeeperTest : public ::testing::Test {
 protected:
  ClaimKeeperTest() {
    node_.api.Put(claim_);
    EXPECT_TRUE(node_.Begin(&observer_));
    nothing_ = node_.Look();
    node_.keeper().SetNode(MakeNode(2));
  }

  std::string Prepare(const ResourceClaim& claim) {
    const Result<std::vector<PreparedDevice>> prepared = node_.keeper().Prepare(RefTo(claim));
    EXPECT_TRUE(prepared) << prepared.error().message;
    return prepared ? TextOf(*prepared) : "";
  }

  Error RefusalOf(const ResourceClaim& claim) {
    const Result<std::vector<PreparedDevice>> prepared = node_.keeper().Prepare(RefTo(claim));
    EXPECT_FALSE(prepared);
    return prepared ? Error(Code::kOk, "") : prepared.error();
  }

  const ResourceClaim claim_ = MakeClaim("a");
  FakeNode node_;
  Observer observer_;
  FakeNode::Files nothing_;
};

TEST_F(ClaimKeeperTest, AnswersWhatTheKubeletHandsToTheRuntime) {
  EXPECT_EQ(Prepare(claim_),
            "gpu ecs-a10-sh hami-gpu-0 share-a-0 "
            "k8s.hami-core-gpu.project-hami.io/claim=uid-a-gpu-0\n");
  const ResourceClaim several = MakeClaim(
      "b", {{.memory_mib = 1, .cores_pct = 1, .request = "any/small"}, {.device = "hami-gpu-1"}});
  node_.api.Put(several);
  EXPECT_EQ(Prepare(several),
            "any ecs-a10-sh hami-gpu-0 share-b-0 "
            "k8s.hami-core-gpu.project-hami.io/claim=uid-b-any-0\n"
            "gpu ecs-a10-sh hami-gpu-1 share-b-1 "
            "k8s.hami-core-gpu.project-hami.io/claim=uid-b-gpu-1\n");
}

TEST_F(ClaimKeeperTest, EverythingIsThereWhenItAnswers) {
  Prepare(claim_);
  EXPECT_TRUE(ReadRecordText(base::ReadFile(node_.RecordOf("uid-a"), 1 << 20).value()));
  EXPECT_TRUE(base::Exists(node_.ShareOf("uid-a") + "/0/limits"));
  EXPECT_TRUE(base::Exists(node_.ShareOf("uid-a") + "/0/region"));
  EXPECT_THAT(base::ReadFile(node_.CdiOf("uid-a"), 1 << 20).value(),
              AllOf(HasSubstr("\"uid-a-gpu-0\""), HasSubstr(node_.ShareOf("uid-a") + "/0/region"),
                    HasSubstr("/var/lib/hami/lib/0.1.0-aaaa/libvgpu.so")));
  EXPECT_THAT(node_.keeper().Kept(), SizeIs(1));
  EXPECT_THAT(observer_.told, ElementsAre("+a"));
}

// Contract section 4, fault 1.
TEST_F(ClaimKeeperTest, ARepeatGetsTheSameAnswerAndChangesNothing) {
  const std::string answer = Prepare(claim_);
  const FakeNode::Files files = node_.Look();
  for (int again = 0; again < 3; ++again) EXPECT_EQ(Prepare(claim_), answer);
  EXPECT_EQ(node_.ChangedSince(files), "");
  EXPECT_THAT(node_.keeper().Kept(), SizeIs(1));
}

TEST_F(ClaimKeeperTest, UnprepareTakesEverythingBack) {
  Prepare(claim_);
  EXPECT_TRUE(node_.keeper().Unprepare("uid-a"));
  EXPECT_EQ(node_.ChangedSince(nothing_), "");
  EXPECT_THAT(node_.keeper().Kept(), IsEmpty());
  EXPECT_THAT(observer_.told, ElementsAre("+a", "-uid-a"));

  EXPECT_TRUE(node_.keeper().Unprepare("uid-a")) << "again";
  EXPECT_TRUE(node_.keeper().Unprepare("uid-nobody")) << "contract 2.2: unknown is success";
  EXPECT_EQ(Prepare(claim_), Prepare(claim_)) << "and it can be had again";
}

TEST_F(ClaimKeeperTest, WhatIsNoUidNamesNoFile) {
  Prepare(claim_);
  const FakeNode::Files files = node_.Look();
  for (const std::string uid : {"", "..", "../shares", "uid-a/0", "uid-a.json"}) {
    ResourceClaim claim = MakeClaim("odd");
    claim.uid = uid;
    node_.api.Put(claim);
    EXPECT_EQ(RefusalOf(claim).code, Code::kInvalidArgument) << uid;
    EXPECT_TRUE(node_.keeper().Unprepare(uid)) << "cannot have been prepared";
  }
  EXPECT_EQ(node_.ChangedSince(files), "");
}

TEST_F(ClaimKeeperTest, AClaimReplacedByAnotherOfItsNameIsRefused) {
  ResourceClaim successor = claim_;
  successor.uid = "uid-successor";
  node_.api.Put(successor);
  const Error error = RefusalOf(claim_);
  EXPECT_EQ(error.code, Code::kFailedPrecondition);
  EXPECT_THAT(error.message, AllOf(HasSubstr("claim default/a: "), HasSubstr("replaced"),
                                   HasSubstr("uid-successor"), HasSubstr("uid-a")));
  EXPECT_EQ(node_.ChangedSince(nothing_), "");
}

TEST_F(ClaimKeeperTest, AClaimThatIsGoneIsRefused) {
  node_.api.Delete(claim_);
  const Error error = RefusalOf(claim_);
  EXPECT_EQ(error.code, Code::kNotFound);
  EXPECT_THAT(error.message, AllOf(HasSubstr("claim default/a: "), HasSubstr("deleted")));
  EXPECT_EQ(node_.ChangedSince(nothing_), "");

  node_.api.Put(claim_);
  Prepare(claim_);
  const FakeNode::Files files = node_.Look();
  node_.api.Delete(claim_);
  EXPECT_EQ(RefusalOf(claim_).code, Code::kNotFound);
  EXPECT_EQ(node_.ChangedSince(files), "") << "its containers may run; the kubelet unprepares it";
}

// Every way in which an API server fails to answer, by kube/status.h.
TEST_F(ClaimKeeperTest, WhatWasPromisedIsKeptWhileTheServerCannotBeAsked) {
  const std::string answer = Prepare(claim_);
  const ResourceClaim other = MakeClaim("b");
  node_.api.Put(other);
  const FakeNode::Files files = node_.Look();
  for (const Code code : {Code::kUnavailable, Code::kDeadlineExceeded, Code::kResourceExhausted,
                          Code::kUnauthenticated, Code::kPermissionDenied, Code::kInternal,
                          Code::kUnimplemented, Code::kCancelled, Code::kUnknown}) {
    node_.api.Break(Error(code, "the server is not itself"));
    EXPECT_EQ(Prepare(claim_), answer) << base::CodeName(code);
    const Error error = RefusalOf(other);
    EXPECT_EQ(error.code, code);
    EXPECT_THAT(error.message, HasSubstr("the server is not itself"));
    EXPECT_EQ(node_.ChangedSince(files), "");
  }
}

TEST_F(ClaimKeeperTest, WithoutADriverNewClaimsWait) {
  node_.keeper().SetNode(nullptr);
  const Error error = RefusalOf(claim_);
  EXPECT_EQ(error.code, Code::kUnavailable);
  EXPECT_THAT(error.message, HasSubstr("driver is not loaded"));
  EXPECT_EQ(node_.ChangedSince(nothing_), "");
}

TEST_F(ClaimKeeperTest, WithoutADriverKnownClaimsStay) {
  const std::string answer = Prepare(claim_);
  const FakeNode::Files files = node_.Look();
  node_.keeper().SetNode(nullptr);
  EXPECT_EQ(node_.ChangedSince(files), "");
  EXPECT_EQ(Prepare(claim_), answer);
  node_.keeper().Sweep();
  EXPECT_EQ(node_.ChangedSince(files), "");
  EXPECT_TRUE(node_.keeper().Unprepare("uid-a"));
  EXPECT_EQ(node_.ChangedSince(nothing_), "");
}

TEST_F(ClaimKeeperTest, ADriverOfAnotherVersionIsInTheDocumentsAtOnce) {
  Prepare(claim_);
  auto upgraded = MakeNode(2);
  upgraded->files.binaries = {{"/opt/nvidia-570/nvidia-smi", "/usr/bin/nvidia-smi"}};
  node_.keeper().SetNode(upgraded);
  EXPECT_THAT(base::ReadFile(node_.CdiOf("uid-a"), 1 << 20).value(),
              HasSubstr("/opt/nvidia-570/nvidia-smi"));
}

TEST_F(ClaimKeeperTest, AGpuThatIsGoneIsRefused) {
  const ResourceClaim second = MakeClaim("b", {{.device = "hami-gpu-1"}});
  node_.api.Put(second);
  node_.keeper().SetNode(MakeNode(1));
  EXPECT_EQ(RefusalOf(second).code, Code::kNotFound);
  EXPECT_EQ(node_.ChangedSince(nothing_), "");

  node_.keeper().SetNode(MakeNode(2));
  const std::string answer = Prepare(second);
  node_.keeper().SetNode(MakeNode(1));
  EXPECT_EQ(RefusalOf(second).code, Code::kNotFound);
  EXPECT_THAT(node_.keeper().Kept(), SizeIs(1));
  node_.keeper().SetNode(MakeNode(2));
  EXPECT_EQ(Prepare(second), answer);
}

TEST_F(ClaimKeeperTest, ANewAllocationOfAKnownClaimCounts) {
  Prepare(claim_);
  ResourceClaim moved = MakeClaim("a", {{.device = "hami-gpu-1", .memory_mib = 20480}});
  node_.api.Put(moved);
  EXPECT_THAT(Prepare(moved), HasSubstr("hami-gpu-1"));
  EXPECT_THAT(base::ReadFile(node_.ShareOf("uid-a") + "/0/limits", 1 << 20).value(),
              AllOf(HasSubstr(MakeA10(1).uuid), HasSubstr("memory 21474836480")));
  EXPECT_THAT(node_.keeper().Kept(), SizeIs(1));
}

// --- room ---------------------------------------------------------------------------------------

TEST_F(ClaimKeeperTest, AGpuIsNotGivenTwice) {
  const ResourceClaim other = MakeClaim("b", {{.memory_mib = 20480, .cores_pct = 0}});
  node_.api.Put(other);
  Prepare(claim_);
  const FakeNode::Files files = node_.Look();
  const Error error = RefusalOf(other);
  EXPECT_EQ(error.code, Code::kResourceExhausted);
  EXPECT_THAT(error.message, AllOf(HasSubstr("claim default/b: "), HasSubstr("default/a")));
  EXPECT_EQ(node_.ChangedSince(files), "");

  EXPECT_TRUE(node_.keeper().Unprepare("uid-a"));
  Prepare(other);
  EXPECT_EQ(RefusalOf(claim_).code, Code::kResourceExhausted);
}

// A claim has to wait for nobody who stays.
TEST_F(ClaimKeeperTest, RoomThatIsHeldIsNotWaitedFor) {
  node_.patience_ms = kLongMs;
  ASSERT_TRUE(node_.BeginWithDriver());
  const ResourceClaim other = MakeClaim("b", {{.memory_mib = 20480, .cores_pct = 0}});
  node_.api.Put(other);
  Prepare(claim_);
  EXPECT_EQ(RefusalOf(other).code, Code::kResourceExhausted);
}

class WaitTest : public ClaimKeeperTest {
 protected:
  // A keeper on which a is prepared and has lost its allocation, and b waits for its room.
  std::future<Result<std::vector<PreparedDevice>>> BeginToWait() {
    node_.patience_ms = kLongMs;
    EXPECT_TRUE(node_.BeginWithDriver());
    Prepare(claim_);
    ResourceClaim leaving = claim_;
    leaving.allocated = false;
    leaving.results.clear();
    node_.api.Put(leaving);
    node_.api.Put(waiting_);
    const int before = node_.api.fetches();
    auto answer =
        std::async(std::launch::async, [this] { return node_.keeper().Prepare(RefTo(waiting_)); });
    while (node_.api.fetches() < before + 2) std::this_thread::yield();  // it has asked about a
    return answer;
  }

  const ResourceClaim waiting_ = MakeClaim("b", {{.memory_mib = 20480, .cores_pct = 0}});
};

TEST_F(WaitTest, RoomThatIsBeingLeftIsWaitedFor) {
  auto answer = BeginToWait();
  EXPECT_TRUE(node_.keeper().Unprepare("uid-a"));
  EXPECT_TRUE(answer.get());
  ASSERT_THAT(node_.keeper().Kept(), SizeIs(1));
  EXPECT_EQ(node_.keeper().Kept()[0].name, "b");
}

TEST_F(WaitTest, WhoWaitsForRoomCanBeSentAway) {
  auto answer = BeginToWait();
  node_.keeper().EndWaits();
  EXPECT_EQ(answer.get().error().code, Code::kResourceExhausted);
  EXPECT_THAT(node_.keeper().Kept(), SizeIs(1));
}

// The kubelet may be faster than the first look at the driver.
TEST_F(WaitTest, TheFirstLookAtTheDriverIsWaitedFor) {
  node_.patience_ms = kLongMs;
  ASSERT_TRUE(node_.Begin());
  std::promise<void> begun;
  auto answer = std::async(std::launch::async, [&] {
    begun.set_value();
    return node_.keeper().Prepare(RefTo(claim_));
  });
  begun.get_future().wait();
  node_.keeper().SetNode(MakeNode(2));
  EXPECT_TRUE(answer.get());
}

TEST_F(WaitTest, ADriverThatIsKnownToBeGoneIsNotWaitedFor) {
  node_.patience_ms = kLongMs;
  ASSERT_TRUE(node_.Begin());
  node_.keeper().SetNode(nullptr);
  EXPECT_EQ(RefusalOf(claim_).code, Code::kUnavailable);
}

// --- writing fails ------------------------------------------------------------------------------

// A file that is in the way, below the node's root; with a slash at its end, a folder.
class ObstacleTest : public ClaimKeeperTest, public ::testing::WithParamInterface<std::string> {
 protected:
  std::string Path() const {
    std::string path = node_.root() + "/" + GetParam();
    if (path.ends_with('/')) path.pop_back();
    return path;
  }
  void Put() const {
    ASSERT_TRUE(base::RemoveTree(Path()));
    ASSERT_TRUE(base::MakeFolders(Path().substr(0, Path().rfind('/')), 0755));
    if (GetParam().ends_with('/')) {
      ASSERT_TRUE(base::MakeFolders(Path() + "/in/it", 0755));
    } else {
      ASSERT_TRUE(base::WriteFileAtomically(Path(), "", 0600));
    }
  }
  void TakeAway() const { ASSERT_TRUE(base::RemoveTree(Path())); }
};

INSTANTIATE_TEST_SUITE_P(
    Everywhere, ObstacleTest,
    ::testing::Values("claims", "claims/uid-a.json/", "shares", "shares/uid-a", "shares/uid-a/hook",
                      "shares/uid-a/0", "shares/uid-a/0/limits/", "shares/uid-a/0/region/", "cdi",
                      "cdi/k8s.hami-core-gpu.project-hami.io-claim_uid-a.json/"));

TEST_P(ObstacleTest, NothingHalfPreparedRemains) {
  Put();
  EXPECT_THAT(RefusalOf(claim_).message, HasSubstr("claim default/a: "));
  EXPECT_THAT(node_.keeper().Kept(), IsEmpty());
  TakeAway();
  node_.EmptyRun();  // folders that stood where the obstacle was
  ASSERT_TRUE(base::MakeFolders(node_.records(), 0700));
  EXPECT_EQ(node_.ChangedSince(nothing_), "")
      << "no record is left that would be found at the next start";
  Prepare(claim_);
  EXPECT_TRUE(node_.keeper().Unprepare("uid-a"));
  EXPECT_EQ(node_.ChangedSince(nothing_), "");
}

// The promise stays, is told to be in trouble, and is kept as soon as that is possible.
TEST_P(ObstacleTest, WhatWasPromisedComesBack) {
  const std::string answer = Prepare(claim_);
  const FakeNode::Files files = node_.Look();
  Put();
  (void)node_.keeper().Prepare(RefTo(claim_));
  node_.keeper().Sweep();
  EXPECT_THAT(node_.keeper().Kept(), SizeIs(1));
  TakeAway();
  EXPECT_EQ(node_.keeper().Sweep().mended, 1);
  EXPECT_EQ(node_.ChangedSince(files), "");
  EXPECT_EQ(Prepare(claim_), answer);
}

// --- sweeps -------------------------------------------------------------------------------------

TEST_F(ClaimKeeperTest, WhereAllIsRightASweepDoesNothing) {
  Prepare(claim_);
  const FakeNode::Files files = node_.Look();
  const SweepReport report = node_.keeper().Sweep();
  EXPECT_EQ(report.orphans + report.mended + report.expired + report.broken, 0);
  EXPECT_EQ(node_.ChangedSince(files), "");
}

TEST_F(ClaimKeeperTest, ASweepMakesWhatSomebodyDeleted) {
  Prepare(claim_);
  const FakeNode::Files files = node_.Look();
  const std::string share = node_.ShareOf("uid-a");
  for (const std::string& path :
       {node_.RecordOf("uid-a"), node_.CdiOf("uid-a"), share, share + "/0", share + "/0/limits",
        share + "/0/region", node_.cdi(), node_.shares(), node_.records()}) {
    ASSERT_TRUE(base::RemoveTree(path));
    EXPECT_EQ(node_.keeper().Sweep().mended, 1) << path;
    EXPECT_EQ(node_.ChangedSince(files), "") << path;
  }
}

TEST_F(ClaimKeeperTest, ASweepTakesAwayWhatHasNoRecord) {
  Prepare(claim_);
  const FakeNode::Files files = node_.Look();
  ASSERT_TRUE(base::MakeFolders(node_.ShareOf("uid-b") + "/0", 0755));
  ASSERT_TRUE(base::WriteFileAtomically(node_.CdiOf("uid-c"), "{}", 0644));
  ASSERT_TRUE(base::WriteFileAtomically(node_.ShareOf("uid-d"), "", 0644));
  EXPECT_EQ(node_.keeper().Sweep().orphans, 3);
  EXPECT_EQ(node_.ChangedSince(files), "");
}

TEST_F(ClaimKeeperTest, ASweepLeavesOthersFilesAlone) {
  for (const std::string& path :
       {node_.cdi() + "/nvidia.yaml", node_.cdi() + "/nvidia.com-gpu_uid-b.json",
        node_.CdiOf("uid-b") + ".yaml", node_.shares() + "/.hidden"}) {
    ASSERT_TRUE(base::WriteFileAtomically(path, "precious", 0644));
  }
  const FakeNode::Files files = node_.Look();
  EXPECT_EQ(node_.keeper().Sweep().orphans, 0);
  EXPECT_EQ(node_.ChangedSince(files), "");
}

TEST_F(ClaimKeeperTest, AClaimThatIsGoneFromTheServerIsUnprepared) {
  const ResourceClaim replaced = MakeClaim("b", {{.device = "hami-gpu-1"}});
  const ResourceClaim stays = MakeClaim("c", {{.device = "hami-gpu-1"}});
  for (const ResourceClaim& claim : {replaced, stays}) {
    node_.api.Put(claim);
    Prepare(claim);
  }
  Prepare(claim_);
  node_.api.Delete(claim_);
  ResourceClaim successor = replaced;
  successor.uid = "uid-successor";
  node_.api.Put(successor);
  EXPECT_EQ(node_.keeper().Sweep().expired, 2);
  ASSERT_THAT(node_.keeper().Kept(), SizeIs(1));
  EXPECT_EQ(node_.keeper().Kept()[0].name, "c");
  EXPECT_TRUE(base::Exists(node_.CdiOf("uid-c")));
  EXPECT_FALSE(base::Exists(node_.CdiOf("uid-a")));
  EXPECT_FALSE(base::Exists(node_.ShareOf("uid-b")));
}

// Each question can take ten seconds, and who does not come back from a sweep is taken for stuck.
TEST_F(ClaimKeeperTest, AServerThatDoesNotAnswerIsAskedOnceASweep) {
  for (const char* name : {"a", "b", "c", "d"}) {
    const ResourceClaim claim = MakeClaim(name, {{.memory_mib = 1, .cores_pct = 1}});
    node_.api.Put(claim);
    Prepare(claim);
  }
  for (const Code code : {Code::kUnavailable, Code::kDeadlineExceeded}) {
    node_.api.Break(Error(code, "no answer"));
    const int before = node_.api.fetches();
    EXPECT_EQ(node_.keeper().Sweep().expired, 0);
    EXPECT_EQ(node_.api.fetches(), before + 1);
  }
  EXPECT_THAT(node_.keeper().Kept(), SizeIs(4));
}

TEST_F(ClaimKeeperTest, AServerThatRefusesExpiresNothing) {
  Prepare(claim_);
  node_.api.Break(Error(Code::kPermissionDenied, "who are you?"));
  EXPECT_EQ(node_.keeper().Sweep().expired, 0);
  EXPECT_THAT(node_.keeper().Kept(), SizeIs(1));
}

// --- libraries ----------------------------------------------------------------------------------

TEST_F(ClaimKeeperTest, AnOlderLibraryIsInUseAsLongAsItsClaims) {
  Prepare(claim_);
  node_.library = "0.2.0-bbbb";
  ASSERT_TRUE(node_.BeginWithDriver());
  EXPECT_THAT(node_.keeper().LibrariesInUse(), ElementsAre("0.1.0-aaaa", "0.2.0-bbbb"));
  Prepare(claim_);
  EXPECT_THAT(base::ReadFile(node_.CdiOf("uid-a"), 1 << 20).value(),
              HasSubstr("/0.1.0-aaaa/libvgpu.so"))
      << "its running containers have that one";

  EXPECT_TRUE(node_.keeper().Unprepare("uid-a"));
  EXPECT_THAT(node_.keeper().LibrariesInUse(), ElementsAre("0.2.0-bbbb"));
  Prepare(claim_);
  EXPECT_THAT(base::ReadFile(node_.CdiOf("uid-a"), 1 << 20).value(),
              HasSubstr("/0.2.0-bbbb/libvgpu.so"));
}

}  // namespace
}  // namespace hami::dra
