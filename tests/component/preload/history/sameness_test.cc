// SPDX-License-Identifier: Apache-2.0
//
// A random history gives the same answers, call by call, and takes the same memory of the driver
// whether the library is there or not: without a limit up to what the card has, with a limit as
// long as it is not reached. HAMI_HISTORY_SEED=n plays one seed.

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "tests/component/preload/history/member.h"
#include "tests/component/preload/history/random.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

constexpr int kSteps = 300;
constexpr uint64_t kSeeds = 12;

enum class Library { kNone, kWithoutLimit, kWithLimit };

// A machine and its programs, with the library or without.
class World {
 public:
  explicit World(Library library) : library_(library), observer_(simulation_) {}

  void Join() {
    Command script = {.program = TestProgram("script")};
    if (library_ == Library::kWithLimit) {
      script = share_.With(script);
    } else {
      script = simulation_.With(script);
      if (library_ == Library::kWithoutLimit) script.environment["LD_PRELOAD"] = PreloadLibrary();
    }
    members_.push_back(
        std::make_unique<Member>(Running(script), "P" + std::to_string(members_.size() + 1)));
    EXPECT_EQ(members_.back()->Ask("init"), "ok");
  }
  Member& member(size_t index) { return *members_[index]; }
  uint64_t UsedBytes() const { return observer_.UsedBytes(); }

 private:
  Library library_;
  Simulation simulation_;
  Share share_{simulation_, {.memory = "22700Mi"}};
  Observer observer_;
  std::vector<std::unique_ptr<Member>> members_;
};

struct Case {
  const char* name;
  Library library;
  // How large the calls are that the history chooses.
  uint64_t scale_bytes;
  bool fills_the_card;
};

class SamenessTest : public testing::TestWithParam<Case> {
 public:
  SamenessTest() { signal(SIGPIPE, SIG_IGN); }

  static void Play(uint64_t seed, uint64_t* refused) {
    SCOPED_TRACE("HAMI_HISTORY_SEED=" + std::to_string(seed));
    World native(Library::kNone);
    World ours(GetParam().library);
    Random random(seed);
    for (World* world : {&native, &ours}) {
      world->Join();
      world->Join();
    }
    for (int step = 0; step < kSteps; ++step) {
      const size_t who = random.Below(2);
      const Call call = native.member(who).holdings().ChooseCall(random, GetParam().scale_bytes);
      const std::string expected = native.member(who).Do(call);
      std::string answer = ours.member(who).Do(call);
      // Where there is a limit, what is both malformed and too large for it is only too large.
      if (GetParam().library == Library::kWithLimit && expected != "ok" && answer == "error 2") {
        answer = expected;
      }
      ASSERT_EQ(answer, expected) << "step " << step << ": " << call.Line();
      ASSERT_EQ(ours.UsedBytes(), native.UsedBytes()) << "step " << step << ": " << call.Line();
      if (expected == "error 2") ++*refused;
    }
  }
};

TEST_P(SamenessTest, EveryAnswerIsTheDrivers) {
  uint64_t refused = 0;
  if (const char* seed = std::getenv("HAMI_HISTORY_SEED")) {
    Play(std::strtoull(seed, nullptr, 10), &refused);
    return;
  }
  for (uint64_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) Play(seed, &refused);
  if (GetParam().fills_the_card) {
    EXPECT_GE(refused, 10U);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Limits, SamenessTest,
    testing::Values(Case{"none", Library::kWithoutLimit, uint64_t{22} << 30, true},
                    Case{"not_reached", Library::kWithLimit, uint64_t{1} << 30, false}),
    [](const testing::TestParamInfo<Case>& which) { return which.param.name; });

}  // namespace
}  // namespace hami::component
