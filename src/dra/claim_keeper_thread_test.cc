// SPDX-License-Identifier: Apache-2.0
//
// The kubelet calls for many claims at once, while sweeps and the driver's watch go on. Also meant
// for ThreadSanitizer.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <latch>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "dra/claim_keeper.h"
#include "dra/fake_claims.h"
#include "dra/fake_node.h"

namespace hami::dra {
namespace {

using domain::ResourceClaim;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int kThreads = 8;

// As good as at the same moment.
void AtOnce(const std::function<void(int)>& work) {
  std::latch begin(kThreads);
  std::vector<std::thread> threads;
  for (int number = 0; number < kThreads; ++number) {
    threads.emplace_back([&, number] {
      begin.arrive_and_wait();
      work(number);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

class KeeperThreadsTest : public ::testing::Test {
 protected:
  KeeperThreadsTest() {
    nothing_ = node_.Look();
    EXPECT_TRUE(node_.BeginWithDriver());
  }

  std::vector<ResourceClaim> MakeClaims(int count, const FakeShare& share) {
    std::vector<ResourceClaim> claims;
    for (int number = 0; number < count; ++number) {
      claims.push_back(MakeClaim("c" + std::to_string(number), {share}));
      node_.api.Put(claims.back());
    }
    return claims;
  }

  // What is kept is on disk, and nothing else.
  void ExpectConsistent() {
    std::set<std::string> kept;
    for (const ClaimGrant& grant : node_.keeper().Kept()) {
      kept.insert(grant.uid);
      EXPECT_TRUE(base::Exists(node_.RecordOf(grant.uid)));
      EXPECT_TRUE(base::Exists(node_.CdiOf(grant.uid)));
      EXPECT_TRUE(base::Exists(node_.ShareOf(grant.uid) + "/0/region"));
    }
    EXPECT_THAT(base::ListFolder(node_.records()).value(), SizeIs(kept.size()));
    EXPECT_THAT(base::ListFolder(node_.shares()).value(), SizeIs(kept.size()));
    EXPECT_THAT(base::ListFolder(node_.cdi()).value(), SizeIs(kept.size()));
  }

  FakeNode node_;
  FakeNode::Files nothing_;
};

TEST_F(KeeperThreadsTest, OfClaimsThatDoNotFitTogetherOneIsGiven) {
  const std::vector<ResourceClaim> claims =
      MakeClaims(kThreads, {.memory_mib = kA10Mib / 2 + 1, .cores_pct = 0});
  for (int round = 0; round < 5; ++round) {
    std::atomic<int> given{0};
    AtOnce([&](int number) {
      const auto prepared = node_.keeper().Prepare(RefTo(claims[number]));
      if (prepared) {
        ++given;
      } else {
        EXPECT_EQ(prepared.error().code, Code::kResourceExhausted);
      }
    });
    EXPECT_EQ(given, 1);
    EXPECT_THAT(node_.keeper().Kept(), SizeIs(1));
    ExpectConsistent();
    AtOnce([&](int number) { EXPECT_TRUE(node_.keeper().Unprepare(claims[number].uid)); });
    EXPECT_EQ(node_.ChangedSince(nothing_), "");
  }
}

TEST_F(KeeperThreadsTest, AllThatFitAreGiven) {
  const std::vector<ResourceClaim> claims =
      MakeClaims(kThreads, {.memory_mib = 2048, .cores_pct = 12});
  AtOnce([&](int number) { EXPECT_TRUE(node_.keeper().Prepare(RefTo(claims[number]))); });
  EXPECT_THAT(node_.keeper().Kept(), SizeIs(kThreads));
  ExpectConsistent();
}

TEST_F(KeeperThreadsTest, OneClaimForAllGetsOneAnswer) {
  const ResourceClaim claim = MakeClaims(1, {})[0];
  AtOnce([&](int) {
    const auto prepared = node_.keeper().Prepare(RefTo(claim));
    ASSERT_TRUE(prepared);
    EXPECT_EQ(prepared->at(0).share_id, "share-c0-0");
  });
  EXPECT_THAT(node_.keeper().Kept(), SizeIs(1));
  ExpectConsistent();
}

TEST_F(KeeperThreadsTest, WhoeverComesLastLeavesItWhole) {
  const ResourceClaim claim = MakeClaims(1, {})[0];
  for (int round = 0; round < 5; ++round) {
    AtOnce([&](int number) {
      if (number % 2 == 0) {
        EXPECT_TRUE(node_.keeper().Prepare(RefTo(claim)));
      } else {
        EXPECT_TRUE(node_.keeper().Unprepare(claim.uid));
      }
    });
    ExpectConsistent();
  }
  EXPECT_TRUE(node_.keeper().Unprepare(claim.uid));
  EXPECT_EQ(node_.ChangedSince(nothing_), "");
}

// Half the threads are a kubelet, the rest everything else that goes on.
TEST_F(KeeperThreadsTest, InAStormNothingIsLostAndNothingIsLeft) {
  const std::vector<ResourceClaim> claims = MakeClaims(12, {.memory_mib = 1024, .cores_pct = 8});
  const auto bystander = [&](int number, int step) {
    if (number == 1) node_.keeper().Sweep();
    if (number == 3) node_.keeper().SetNode(step % 3 == 0 ? nullptr : MakeNode(2));
    if (number == 5) (void)node_.keeper().Kept();
    if (number == 7) (void)node_.keeper().LibrariesInUse();
  };
  AtOnce([&](int number) {
    std::mt19937 random(static_cast<unsigned>(number));
    for (int step = 0; step < 20; ++step) {
      if (number % 2 != 0) {
        bystander(number, step);
        continue;
      }
      const ResourceClaim& claim = claims[random() % claims.size()];
      if (random() % 3 == 0) {
        EXPECT_TRUE(node_.keeper().Unprepare(claim.uid));
        continue;
      }
      const auto prepared = node_.keeper().Prepare(RefTo(claim));
      if (prepared) continue;
      EXPECT_EQ(prepared.error().code, Code::kUnavailable) << "no driver just now";
    }
  });
  node_.keeper().SetNode(MakeNode(2));
  EXPECT_EQ(node_.keeper().Sweep().orphans, 0);
  ExpectConsistent();
  for (const ResourceClaim& claim : claims) EXPECT_TRUE(node_.keeper().Unprepare(claim.uid));
  EXPECT_THAT(node_.keeper().Kept(), IsEmpty());
  EXPECT_EQ(node_.ChangedSince(nothing_), "");
}

}  // namespace
}  // namespace hami::dra
