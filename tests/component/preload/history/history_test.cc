// SPDX-License-Identifier: Apache-2.0
//
// After any history of calls by many processes with deaths, the charge is the driver's truth.
// HAMI_HISTORY_SEED=n plays one seed; HAMI_SOAK_SECONDS=n plays fresh seeds for so long.

#include "tests/component/preload/history/history.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <random>

#include "tests/component/preload/history/verdict.h"

namespace hami::component {
namespace {

constexpr int kSteps = 250;

class HistoryTest : public testing::Test {
 public:
  HistoryTest() { signal(SIGPIPE, SIG_IGN); }

  // False: it failed.
  bool Play(uint64_t seed) {
    const std::string wrong = History(seed, &tally_).Play(kSteps);
    EXPECT_EQ(wrong, "");
    return wrong.empty();
  }
  void PrintTally() const {
    for (const auto& [what, count] : tally_) std::cout << what << ": " << count << "\n";
  }
  uint64_t Count(const std::string& what) const {
    const auto found = tally_.find(what);
    return found == tally_.end() ? 0 : found->second;
  }

 private:
  Tally tally_;
};

TEST_F(HistoryTest, TheChargeIsTheDriversTruth) {
  if (const char* seed = std::getenv("HAMI_HISTORY_SEED")) {
    Play(std::strtoull(seed, nullptr, 10));
    return;
  }
  constexpr uint64_t kSeeds = 30;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    if (!Play(seed)) return;
  }
  if (const char* seconds = std::getenv("HAMI_SOAK_SECONDS")) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(seconds));
    std::random_device fresh;
    while (std::chrono::steady_clock::now() < end) {
      if (!Play((uint64_t{fresh()} << 16) + kSeeds + 1)) return;
    }
  }
  PrintTally();
  // It would be easy to test nothing: everything must have happened, with both outcomes.
  for (const char* what :
       {"alloc ok",       "alloc refused",   "pitch ok",        "managed ok",    "managed refused",
        "free ok",        "free refused",    "freeraw refused", "async ok",      "async refused",
        "unasync ok",     "pool ok",         "unpool ok",       "trim ok",       "keep ok",
        "sync ok",        "create ok",       "create refused",  "map ok",        "unmap ok",
        "release ok",     "release refused", "retainhandle ok", "ctx ok",        "unctx ok",
        "retain ok",      "unretain ok",     "reset ok",        "forks",         "killed",
        "array ok",       "array refused",   "unarray ok",      "mipmap ok",     "unmipmap ok",
        "capture ok",     "takes ok",        "instantiate ok",  "launch ok",     "launch refused",
        "upload ok",      "unexec ok",       "graphfree ok",    "trimgraphs ok", "killed in a call",
        "parents killed", "children killed"}) {
    EXPECT_GE(Count(what), 3U) << what;
  }
  EXPECT_GE(Count("parents killed in a call"), 1U);
  EXPECT_GE(Count("looks in the middle"), 50U);
}

// The property can fail.
TEST(VerdictTest, TellsEveryWrongFigure) {
  const Figures right = {.truth = 10, .charged = 10, .total = 10, .limit = 20};
  EXPECT_EQ(JudgeSettled(right, {}), "");
  EXPECT_EQ(JudgeSettled({10, 14, 14, 20}, {3, 4}), "");
  EXPECT_EQ(JudgeAlways({5, 3, 0, 20}).substr(0, 14), "refunded early");
  EXPECT_EQ(JudgeAlways({21, 30, 30, 20}).substr(0, 5), "given");
  EXPECT_EQ(JudgeQuiet({10, 12, 12, 20}, {3, 4}).substr(0, 18), "charged too little");
  EXPECT_EQ(JudgeQuiet({10, 10, 9, 20}, {}).substr(0, 9), "the total");
  EXPECT_EQ(JudgeQuiet({10, 21, 21, 20}, {0, 20}).substr(0, 14), "charged beyond");
  EXPECT_EQ(JudgeSettled({10, 15, 15, 20}, {3, 4}).substr(0, 6), "leaked");
  EXPECT_EQ(JudgeSettled({10, 10, 12, 20}, {}).substr(0, 8), "the dead");
  EXPECT_EQ(JudgeSettled({10, 18, 25, 20}, {.torn = true}), "");
  EXPECT_EQ(JudgeSettled({10, 18, 9, 20}, {.torn = true}).substr(0, 9), "the total");
}

// And it does, when the account is disturbed: memory of which the region knows nothing.
TEST_F(HistoryTest, MemoryOutsideOfTheAccountIsSeen) {
  Tenant tenant("2Gi");
  Running script = tenant.StartScript();
  for (const char* line : {"init", "retain", "alloc a 100000000"})
    ASSERT_EQ(Ask(script, line), "ok");
  const auto judge = [&] {
    return JudgeSettled(
        {tenant.Truth(), tenant.Charged(), TotalBytes(tenant.share), tenant.limit_bytes}, {});
  };
  EXPECT_EQ(judge(), "");
  Running stranger(tenant.simulation.With({.program = TestProgram("script")}));
  for (const char* line : {"init", "retain"}) ASSERT_EQ(Ask(stranger, line), "ok");
  EXPECT_NE(judge(), "");
}

}  // namespace
}  // namespace hami::component
