// SPDX-License-Identifier: Apache-2.0
//
// A process may die at any instruction of the region code. The next process to look must find the
// account exact: what lives is charged, what is dead is not.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include "region/ledger.h"
#include "region/mapping.h"
#include "region/os.h"
#include "tests/component/region/stepping.h"

namespace hami::component {
namespace {

constexpr uint64_t kLimit = 1000;
constexpr uint64_t kMine = 100;
constexpr int64_t kUnit = api::kChargeUnitBytes;

long Stride(long usual) { return std::getenv("HAMI_SOAK_SECONDS") != nullptr ? 1 : usual; }

class DeathAtEveryInstruction : public testing::Test {
 public:
  void SetUp() override {
    char name[] = "/tmp/hami-death-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    path_ = directory_ + "/region";
    mine_ = Attach();
    ASSERT_TRUE(region::Reserve(mine_.region->ext, mine_.slot, 0, kMine, kLimit));
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  region::Mapping Attach() const {
    region::Mapping mapping;
    const region::Identity identity = region::ReadIdentity();
    if (region::Attach(path_.c_str(), true, &identity, &mapping) != region::AttachError::kNone) {
      _exit(99);
    }
    mapping.region->v1.device_count = 1;
    return mapping;
  }

  // Only this process lives: its 100 units, nothing else, and everything else can be had.
  void ExpectOnlyMine(long steps) {
    region::ReapDead(mine_);
    api::RegionExtension& ext = mine_.region->ext;
    ASSERT_EQ(region::TotalUnits(ext, 0), kMine) << "after " << steps << " instructions";
    for (int slot = 0; slot < api::kMaxProcesses; ++slot) {
      if (slot == mine_.slot) continue;
      ASSERT_EQ(region::SlotUnits(ext, slot, 0), 0U) << "after " << steps << " instructions";
      ASSERT_EQ(ext.slots[slot].state, 0U) << "after " << steps << " instructions";
      ASSERT_EQ(mine_.region->v1.processes[slot].pid, 0) << "after " << steps << " instructions";
    }
    ASSERT_TRUE(region::Reserve(ext, mine_.slot, 0, kLimit - kMine, kLimit)) << steps;
    region::Release(ext, mine_.slot, 0, kLimit - kMine);
  }

  std::string directory_;
  std::string path_;
  region::Mapping mine_;
};

// One operation each, so that there are few instructions to repeat. `charged` before, in a slot of
// the victim's own.
void DeathOf(DeathAtEveryInstruction* test, uint64_t charged,
             const std::function<void(region::Mapping&)>& operation) {
  region::Mapping theirs;
  const Victim victim = {
      [&] {
        theirs = test->Attach();
        if (!region::Reserve(theirs.region->ext, theirs.slot, 0, charged, kLimit)) {
          _exit(98);
        }
      },
      [&] { operation(theirs); }};
  const long deaths =
      KillAtEveryInstruction(victim, [test](long steps) { test->ExpectOnlyMine(steps); });
  EXPECT_GT(deaths, 20);
}

TEST_F(DeathAtEveryInstruction, OfReserve) {
  DeathOf(this, 5, [](region::Mapping& theirs) {
    if (!region::Reserve(theirs.region->ext, theirs.slot, 0, 300, kLimit)) _exit(97);
    region::ShowCharge(*theirs.region, theirs.slot, 0, region::ChargeKind::kData, 300 * kUnit);
  });
}

TEST_F(DeathAtEveryInstruction, OfARefusedReserve) {
  DeathOf(this, 5, [](region::Mapping& theirs) {
    if (region::Reserve(theirs.region->ext, theirs.slot, 0, kLimit, kLimit)) _exit(97);
  });
}

TEST_F(DeathAtEveryInstruction, OfRelease) {
  DeathOf(this, 300, [](region::Mapping& theirs) {
    region::Release(theirs.region->ext, theirs.slot, 0, 200);
    region::ShowCharge(*theirs.region, theirs.slot, 0, region::ChargeKind::kData, -200 * kUnit);
  });
}

TEST_F(DeathAtEveryInstruction, OfForce) {
  DeathOf(this, 5,
          [](region::Mapping& theirs) { region::Force(theirs.region->ext, theirs.slot, 0, 50); });
}

// The reaper itself is killed, at every instruction of reaping somebody else.
TEST_F(DeathAtEveryInstruction, OfTheReaper) {
  region::Mapping theirs;
  const Victim victim = {[&] {
                           // Leaves a dead process with a charge for the victim to reap.
                           const pid_t pid = fork();
                           if (pid == 0) {
                             const region::Mapping dead = Attach();
                             if (!region::Reserve(dead.region->ext, dead.slot, 0, 300, kLimit))
                               _exit(98);
                             kill(getpid(), SIGKILL);
                           }
                           waitpid(pid, nullptr, 0);
                           theirs = Attach();
                           if (!region::Reserve(theirs.region->ext, theirs.slot, 0, 7, kLimit))
                             _exit(97);
                         },
                         [&] { region::ReapDead(theirs); }};
  // Thousands of instructions; a prime stride meets each place sooner or later (./dev soak: all).
  const long deaths =
      KillAtEveryInstruction(victim, [this](long steps) { ExpectOnlyMine(steps); }, Stride(29));
  EXPECT_GT(deaths, 50);
}

// Killed while it opens, maps and takes its slot, with a region that exists.
TEST_F(DeathAtEveryInstruction, OfAttaching) {
  const Victim victim = {[] {},
                         [&] {
                           const region::Mapping theirs = Attach();
                           if (!region::Reserve(theirs.region->ext, theirs.slot, 0, 1, kLimit)) {
                             _exit(98);
                           }
                         }};
  const long deaths =
      KillAtEveryInstruction(victim, [this](long steps) { ExpectOnlyMine(steps); }, Stride(61));
  EXPECT_GT(deaths, 50);
}

}  // namespace
}  // namespace hami::component
