// SPDX-License-Identifier: Apache-2.0
//
// A program under the library is taken through a driver call instruction by instruction, from
// before the hook is entered until after it has returned, and killed at one of them. At every
// instruction the charge covers what the driver has given; after every death nothing is leaked and
// nothing of what lives is refunded.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <numeric>
#include <string>

#include "tests/component/preload/history/member.h"
#include "tests/component/preload/history/traced.h"
#include "tests/component/preload/history/view.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

using Clock = std::chrono::steady_clock;

// A tour through 0 .. count-1 that meets every number once and is spread well from its beginning.
class Tour {
 public:
  explicit Tour(long count) : count_(count), stride_(std::max(1L, count * 618 / 1000)) {
    while (std::gcd(stride_, count_) != 1) ++stride_;
  }
  long At(long i) const { return i % count_ * stride_ % count_; }

 private:
  long count_;
  long stride_;
};

struct Victim {
  Running program;
  pid_t child;  // 0: none
};

class CallDeathTest : public testing::TestWithParam<const char*> {
 public:
  void SetUp() override {
    for (const char* line : {"init", "retain", "alloc a 30000000"}) {
      ASSERT_EQ(Ask(witness_, line), "ok");
    }
    driver_ = std::make_unique<DriverView>(tenant_.simulation);
    region_ = std::make_unique<RegionView>(tenant_.share);
    witness_bytes_ = tenant_.Truth();
    ASSERT_EQ(tenant_.Charged(), witness_bytes_);
  }

  // A fresh process, and what it finds: whatever died before is accounted for.
  Victim Start(bool forks) {
    Command command = {.program = TestProgram("step_victim"), .arguments = {GetParam()}};
    if (forks) command.arguments.emplace_back("fork");
    Running program = tenant_.share.Start(command);
    const std::string line = program.ReadUntil("ready ");
    EXPECT_FALSE(line.empty()) << "the victim did not start";
    if (line.empty()) return {std::move(program), 0};
    const pid_t child = std::stoi(line.substr(6));
    ExpectExact("a fresh process");
    return {std::move(program), child};
  }

  void ExpectExact(const std::string& when) {
    const uint64_t truth = tenant_.Truth();
    EXPECT_EQ(tenant_.Charged(), truth) << when;
    EXPECT_EQ(TotalBytes(tenant_.share), truth) << when;
  }

  void ExpectCovered(long step) {
    const uint64_t given = driver_->UsedBytes();
    EXPECT_GE(region_->TotalBytes(), given) << "at instruction " << step;
    EXPECT_GE(region_->SlotBytes(), given) << "at instruction " << step;
    EXPECT_LE(given, tenant_.limit_bytes) << "at instruction " << step;
  }

  // How many instructions the call takes.
  long Measure() {
    Victim victim = Start(false);
    const Traced traced(victim.program.pid());
    victim.program.WriteLine("");
    traced.AwaitMark();
    const bool refused = std::string(GetParam()) == "alloc-refused";
    long steps = 0;
    while (!traced.Step()) {
      ExpectCovered(++steps);
      // A death here, with a child that lives on, would keep all others of the share from memory.
      if (refused) {
        EXPECT_LE(region_->SlotBytes(), tenant_.limit_bytes) << steps;
      }
      if (!HasFailure()) continue;
      victim.program.Kill();
      return 0;
    }
    const std::string answer = victim.program.ReadUntil("done ");
    EXPECT_EQ(answer, refused ? "done 2\n" : "done 0\n");
    return steps;
  }

  // False: the call was through before.
  void KillAt(Victim& victim, long step) {
    const Traced traced(victim.program.pid());
    victim.program.WriteLine("");
    traced.AwaitMark();
    const bool through = traced.Steps(step) >= 0;
    if (!through) ExpectCovered(step);
    victim.program.Kill();
  }

  // Calls `once` with instruction after instruction: some of them, or for a soak as many as there
  // is time for.
  template <typename Once>
  void ForInstructions(long count, long usual, const Once& once) {
    const Tour tour(count);
    const char* soak = std::getenv("HAMI_SOAK_SECONDS");
    constexpr int kTests = 26;
    const auto end = Clock::now() + std::chrono::milliseconds(
                                        soak != nullptr ? std::atoi(soak) * 1000L / kTests : 0);
    long deaths = 0;
    for (; deaths < count && !HasFailure(); ++deaths) {
      if (soak != nullptr ? Clock::now() > end && deaths >= usual : deaths >= usual) break;
      once(tour.At(deaths));
    }
    std::cout << GetParam() << ": killed at " << deaths << " of " << count << " instructions\n";
    EXPECT_GE(deaths, std::min(usual, count));
  }

  Tenant tenant_{"2Gi"};
  Running witness_ = tenant_.StartScript();
  uint64_t witness_bytes_ = 0;
  std::unique_ptr<DriverView> driver_;
  std::unique_ptr<RegionView> region_;
};

TEST_P(CallDeathTest, LeaksNothing) {
  const long count = Measure();
  ASSERT_GT(count, 100);
  ForInstructions(count, 16, [this](long step) {
    Victim victim = Start(false);
    if (HasFailure()) return;
    KillAt(victim, step);
    EXPECT_EQ(tenant_.Truth(), witness_bytes_) << step;
    EXPECT_EQ(tenant_.Charged(), witness_bytes_) << step;
    EXPECT_GE(TotalBytes(tenant_.share), witness_bytes_) << step;
  });
  Ask(witness_, "info");
  ExpectExact("at the end");
}

// The driver gives nothing back while the child lives, nor does the account. The slot's own word
// may be ahead of the total or behind it, by this one call, where the parent died between the two:
// a slot whose lock is held is its owner's alone, so nobody puts that right before the child has
// ended.
TEST_P(CallDeathTest, WithAChildThatLivesOn) {
  const long count = Measure();
  ASSERT_GT(count, 100);
  uint64_t most_given = 0;
  ForInstructions(count, 6, [&](long step) {
    Victim victim = Start(true);
    if (HasFailure()) return;
    KillAt(victim, step);
    const uint64_t given = tenant_.Truth();
    const uint64_t charged = tenant_.Charged();
    EXPECT_GE(charged, given) << step;
    EXPECT_GE(given, witness_bytes_) << step;
    most_given = std::max(most_given, given);
    Ask(witness_, "info");  // reaps, and must not
    EXPECT_EQ(tenant_.Truth(), given) << step;
    EXPECT_EQ(tenant_.Charged(), charged) << step;
    EXPECT_GE(TotalBytes(tenant_.share), given) << step;
    KillAndWait(victim.child);
    Ask(witness_, "info");
    EXPECT_EQ(tenant_.Truth(), witness_bytes_) << step;
    ExpectExact("after the child");
  });
  EXPECT_GT(most_given, witness_bytes_) << "the child kept nothing";
}

INSTANTIATE_TEST_SUITE_P(Of, CallDeathTest,
                         testing::Values("alloc", "alloc-small", "alloc-refused", "free", "managed",
                                         "context", "destroy-context", "retain", "release", "async",
                                         "trim", "create", "release-handle"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace hami::component
