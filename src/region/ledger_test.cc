// SPDX-License-Identifier: Apache-2.0

#include "region/ledger.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace hami::region {
namespace {

constexpr int kDevice = 3;

// A region extension as it lies in a fresh file, zeroes, with every slot in use.
std::unique_ptr<api::RegionExtension> Fresh() {
  auto ext = std::make_unique<api::RegionExtension>(api::RegionExtension{});
  ext->slots_ever_used = api::kMaxProcesses;
  return ext;
}

uint64_t SumOfSlots(const api::RegionExtension& ext) {
  uint64_t sum = 0;
  for (int slot = 0; slot < api::kMaxProcesses; ++slot) sum += SlotUnits(ext, slot, kDevice);
  return sum;
}

TEST(LedgerUnits, ChargesAreRoundedUpAndLimitsDown) {
  EXPECT_EQ(ChargeUnits(0), 0U);
  EXPECT_EQ(ChargeUnits(1), 1U);
  EXPECT_EQ(ChargeUnits(512), 1U);
  EXPECT_EQ(ChargeUnits(513), 2U);
  EXPECT_EQ(LimitUnits(1023), 1U);
  EXPECT_EQ(ChargeUnits(UINT64_MAX), kUnlimitedUnits);
}

TEST(Ledger, ReservesUpToTheLimitAndNotOneUnitMore) {
  auto ext = Fresh();
  EXPECT_TRUE(Reserve(*ext, 0, kDevice, 60, 100));
  EXPECT_TRUE(Reserve(*ext, 1, kDevice, 40, 100));
  EXPECT_FALSE(Reserve(*ext, 1, kDevice, 1, 100));
  EXPECT_EQ(TotalUnits(*ext, kDevice), 100U);
  EXPECT_EQ(SlotUnits(*ext, 1, kDevice), 40U) << "a refused request must leave no trace";
  Release(*ext, 0, kDevice, 60);
  EXPECT_TRUE(Reserve(*ext, 1, kDevice, 60, 100));
  EXPECT_EQ(TotalUnits(*ext, kDevice - 1), 0U) << "devices are independent";
}

TEST(Ledger, RoomIsToldWithoutTakingIt) {
  auto ext = Fresh();
  ASSERT_TRUE(Reserve(*ext, 0, kDevice, 600, 1000));
  EXPECT_TRUE(HasRoom(*ext, kDevice, 400, 1000));
  EXPECT_FALSE(HasRoom(*ext, kDevice, 401, 1000));
  EXPECT_FALSE(HasRoom(*ext, kDevice, 0, 599)) << "a limit that was lowered";
  EXPECT_FALSE(HasRoom(*ext, kDevice, kUnlimitedUnits, 1000));
  EXPECT_EQ(TotalUnits(*ext, kDevice), 600U);
  // The sum is about to be told anew.
  ext->devices[kDevice].total |= kRecountBit;
  EXPECT_TRUE(HasRoom(*ext, kDevice, 401, 1000));
}

TEST(Ledger, ARequestLargerThanAnyWordIsRefused) {
  auto ext = Fresh();
  EXPECT_TRUE(Reserve(*ext, 0, kDevice, 5, kUnlimitedUnits));
  EXPECT_FALSE(Reserve(*ext, 0, kDevice, kUnlimitedUnits, kUnlimitedUnits));
  EXPECT_EQ(SlotUnits(*ext, 0, kDevice), 5U);
  EXPECT_EQ(TotalUnits(*ext, kDevice), 5U);
}

TEST(Ledger, ReleasingTooMuchDoesNotWrap) {
  auto ext = Fresh();
  EXPECT_TRUE(Reserve(*ext, 0, kDevice, 5, 100));
  EXPECT_TRUE(Reserve(*ext, 1, kDevice, 5, 100));
  Release(*ext, 0, kDevice, 50);
  EXPECT_EQ(SlotUnits(*ext, 0, kDevice), 0U);
  EXPECT_EQ(TotalUnits(*ext, kDevice), 5U) << "the other slot's charge must survive";
}

TEST(Ledger, ForceIgnoresTheLimitAndIsReleasedLikeAnyCharge) {
  auto ext = Fresh();
  EXPECT_TRUE(Reserve(*ext, 0, kDevice, 90, 100));
  Force(*ext, 0, kDevice, 20);
  EXPECT_EQ(TotalUnits(*ext, kDevice), 110U);
  EXPECT_FALSE(Reserve(*ext, 1, kDevice, 1, 100));
  Release(*ext, 0, kDevice, 110);
  EXPECT_EQ(TotalUnits(*ext, kDevice), 0U);
}

TEST(Ledger, RecountAfterAnIntentThatNeverReachedTheTotal) {
  auto ext = Fresh();
  ASSERT_TRUE(Reserve(*ext, 0, kDevice, 10, 100));
  // A process died between its two steps: only its own word has the 30.
  ASSERT_TRUE(Reserve(*ext, 1, kDevice, 20, 100));
  ext->slots[1].charge[kDevice] += 30;
  ClearCharge(*ext, 1, kDevice);
  Recount(*ext, kDevice);
  EXPECT_EQ(TotalUnits(*ext, kDevice), 10U);
}

TEST(Ledger, RecountAfterAReleaseThatNeverReachedTheTotal) {
  auto ext = Fresh();
  ASSERT_TRUE(Reserve(*ext, 0, kDevice, 10, 100));
  ASSERT_TRUE(Reserve(*ext, 1, kDevice, 20, 100));
  ext->slots[1].charge[kDevice] -= 20;
  ClearCharge(*ext, 1, kDevice);
  Recount(*ext, kDevice);
  EXPECT_EQ(TotalUnits(*ext, kDevice), 10U);
}

TEST(Ledger, AnAbandonedRecountIsTakenOver) {
  auto ext = Fresh();
  ASSERT_TRUE(Reserve(*ext, 0, kDevice, 10, 100));
  ASSERT_TRUE(Reserve(*ext, 1, kDevice, 20, 100));
  // The recounter died after it had stamped slot 0 only.
  ext->devices[kDevice].total = MakeWord(1, 30) | kRecountBit;
  ext->slots[0].charge[kDevice] = MakeWord(1, 10);
  EXPECT_TRUE(Reserve(*ext, 1, kDevice, 5, 100)) << "must not wait for ever";
  EXPECT_EQ(TotalUnits(*ext, kDevice), 35U);
  EXPECT_EQ(EpochOf(ext->devices[kDevice].total), 2U);
}

TEST(Ledger, ASlotThatIsTakenForTheFirstTimeAdoptsTheEpoch) {
  auto ext = Fresh();
  ext->slots_ever_used = 1;
  ASSERT_TRUE(Reserve(*ext, 0, kDevice, 10, 100));
  Recount(*ext, kDevice);
  Recount(*ext, kDevice);
  ASSERT_EQ(EpochOf(ext->slots[1].charge[kDevice]), 0U) << "not stamped: it was never used";
  ext->slots_ever_used = 2;
  AdoptEpochs(*ext, 1);
  ASSERT_TRUE(Reserve(*ext, 1, kDevice, 20, 100));
  EXPECT_EQ(TotalUnits(*ext, kDevice), 30U);
  Recount(*ext, kDevice);
  EXPECT_EQ(TotalUnits(*ext, kDevice), 30U);
}

TEST(Ledger, EpochsWrap) {
  auto ext = Fresh();
  const uint64_t last = kEpochMask;
  ext->devices[kDevice].total = MakeWord(last, 0);
  for (api::SlotExtension& slot : ext->slots) slot.charge[kDevice] = MakeWord(last, 0);
  ASSERT_TRUE(Reserve(*ext, 7, kDevice, 9, 100));
  Recount(*ext, kDevice);
  EXPECT_EQ(EpochOf(ext->devices[kDevice].total), 0U);
  EXPECT_EQ(TotalUnits(*ext, kDevice), 9U);
  Release(*ext, 7, kDevice, 9);
  EXPECT_EQ(TotalUnits(*ext, kDevice), 0U);
}

// Threads stand for processes: each has a slot of its own or shares one. While some recount all the
// time, the limit must hold at every moment and nothing may be lost or counted twice.
void Storm(int threads, int recounters, int rounds, bool shared_slots) {
  constexpr uint64_t kLimit = 1000;
  auto ext = Fresh();
  std::atomic<uint64_t> truth{0};  // what the "driver" has given out
  std::atomic<bool> over{false};
  std::atomic<int> running{threads};
  std::vector<std::thread> team;
  for (int t = 0; t < threads; ++t) {
    team.emplace_back([&, t] {
      const int slot = shared_slots ? t % 2 : t;
      std::minstd_rand random(static_cast<unsigned>(t) + 1);
      std::vector<uint64_t> held;
      for (int round = 0; round < rounds; ++round) {
        if (held.empty() || random() % 3 != 0) {
          const uint64_t units = 1 + random() % 120;
          if (!Reserve(*ext, slot, kDevice, units, kLimit)) continue;
          if (truth.fetch_add(units) + units > kLimit) over = true;
          held.push_back(units);
        } else {
          truth.fetch_sub(held.back());
          Release(*ext, slot, kDevice, held.back());
          held.pop_back();
        }
      }
      for (uint64_t units : held) {
        truth.fetch_sub(units);
        Release(*ext, slot, kDevice, units);
      }
      --running;
    });
  }
  for (int r = 0; r < recounters; ++r) {
    team.emplace_back([&] {
      while (running != 0) {
        Recount(*ext, kDevice);
        std::this_thread::yield();
      }
    });
  }
  for (std::thread& thread : team) thread.join();
  EXPECT_FALSE(over) << "more was given out than the limit";
  EXPECT_EQ(TotalUnits(*ext, kDevice), 0U);
  EXPECT_EQ(SumOfSlots(*ext), 0U);
  EXPECT_EQ(ext->devices[kDevice].disturbed, 0U) << "a word of ours was taken for a stranger's";
}

int Rounds() { return std::getenv("HAMI_SOAK_SECONDS") != nullptr ? 2'000'000 : 40'000; }

TEST(LedgerStorm, WithoutRecounts) { Storm(4, 0, Rounds(), false); }
TEST(LedgerStorm, WhileOneRecounts) { Storm(4, 1, Rounds(), false); }
TEST(LedgerStorm, WhileThreeRecount) { Storm(3, 3, Rounds(), false); }
TEST(LedgerStorm, ThreadsOfOneProcessWhileTwoRecount) { Storm(4, 2, Rounds(), true); }

// What a tenant writes over the words of its own region. Nothing here may wait for ever: the alarm
// ends the test then.
class HostileLedger : public testing::Test {
 protected:
  HostileLedger() {
    alarm(120);
    EXPECT_TRUE(Reserve(*ext_, 0, kDevice, 10, 100));
    EXPECT_TRUE(Reserve(*ext_, 1, kDevice, 20, 100));
  }
  ~HostileLedger() override { alarm(0); }

  static std::vector<LedgerWord> Words() {
    std::vector<LedgerWord> words = {0,
                                     ~uint64_t{0},
                                     kRecountBit,
                                     MakeWord(1, 0),
                                     MakeWord(1, 0) | kRecountBit,
                                     MakeWord(kEpochMask, 30),
                                     MakeWord(kEpochMask / 2, 30) | kRecountBit,
                                     MakeWord(kEpochMask / 2 + 1, kUnitMask)};
    std::mt19937_64 random(1);
    for (int i = 0; i < 20; ++i) words.push_back(random());
    return words;
  }
  LedgerWord& total() { return ext_->devices[kDevice].total; }
  uint64_t disturbed() const { return ext_->devices[kDevice].disturbed; }

  const std::unique_ptr<api::RegionExtension> ext_ = Fresh();
};

TEST_F(HostileLedger, AnyTotalIsCountedAgain) {
  for (const LedgerWord word : Words()) {
    total() = word;
    ASSERT_TRUE(Recount(*ext_, kDevice)) << word;
    EXPECT_EQ(TotalUnits(*ext_, kDevice), 30U) << word;
  }
}

TEST_F(HostileLedger, AnyWordOfASlotIsPartOfTheSum) {
  for (const LedgerWord word : Words()) {
    ext_->slots[1].charge[kDevice] = word;
    ASSERT_TRUE(Recount(*ext_, kDevice)) << word;
    const uint64_t sum = 10 + UnitsOf(word);
    EXPECT_EQ(TotalUnits(*ext_, kDevice), sum < kUnitMask ? sum : kUnitMask) << word;
    EXPECT_EQ(EpochOf(ext_->slots[1].charge[kDevice]), EpochOf(total())) << word;
  }
  EXPECT_GT(disturbed(), 0U);
}

// A total of another epoch would say that a recount has counted what is being taken.
TEST_F(HostileLedger, ATotalOfNoEpochGivesNothingAway) {
  for (const LedgerWord word : {MakeWord(77, 0), MakeWord(kEpochMask - 5, 0)}) {
    total() = word;
    EXPECT_FALSE(Reserve(*ext_, 0, kDevice, 71, 100));
    EXPECT_EQ(TotalUnits(*ext_, kDevice), 30U);
    EXPECT_TRUE(Reserve(*ext_, 0, kDevice, 70, 100));
    total() = word;
    Release(*ext_, 0, kDevice, 70);
    EXPECT_EQ(TotalUnits(*ext_, kDevice), 30U);
    total() = word;
    Force(*ext_, 0, kDevice, 5);
    EXPECT_EQ(TotalUnits(*ext_, kDevice), 35U);
    Release(*ext_, 0, kDevice, 5);
  }
  EXPECT_GE(disturbed(), 6U) << "of each call, and of the words that were counted again";
}

TEST_F(HostileLedger, ASlotThatIsNoLongerCountedIsCountedAgain) {
  ext_->slots_ever_used = 0;
  ASSERT_TRUE(Recount(*ext_, kDevice));
  ASSERT_EQ(TotalUnits(*ext_, kDevice), 0U);
  EXPECT_FALSE(Reserve(*ext_, 1, kDevice, 71, 100)) << "slots 0 and 1 hold 30";
  EXPECT_EQ(TotalUnits(*ext_, kDevice), 30U);
}

TEST_F(HostileLedger, ATotalWithNothingBehindItIsRecounted) {
  EXPECT_FALSE(RecountIfUneven(*ext_, kDevice)) << "it is right";
  total() = MakeWord(EpochOf(total()), 99);
  EXPECT_TRUE(RecountIfUneven(*ext_, kDevice));
  EXPECT_EQ(TotalUnits(*ext_, kDevice), 30U);
}

// While one writes words that say "being recounted" all the time.
TEST_F(HostileLedger, NobodyWaitsForWordsThatNeverSettle) {
  std::atomic<bool> writing = false;
  std::atomic<bool> stop = false;
  std::thread scribbler([&] {
    for (uint64_t epoch = 0; !stop; ++epoch) {
      std::atomic_ref(total()).store(MakeWord(epoch, 0) | kRecountBit);
      writing = true;
    }
  });
  while (!writing) std::this_thread::yield();
  // Each may succeed in a lucky moment.
  (void)Recount(*ext_, kDevice);
  (void)Reserve(*ext_, 0, kDevice, 1, 100);
  Force(*ext_, 0, kDevice, 1);
  Release(*ext_, 0, kDevice, 1);
  (void)AdoptEpochs(*ext_, 2);
  stop = true;
  scribbler.join();
  EXPECT_TRUE(Recount(*ext_, kDevice));
  EXPECT_EQ(TotalUnits(*ext_, kDevice), SumOfSlots(*ext_));
}

}  // namespace
}  // namespace hami::region
