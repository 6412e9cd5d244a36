// SPDX-License-Identifier: Apache-2.0

#include "base/periodic.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>

namespace hami::base {
namespace {

constexpr int64_t kForever = 3'600'000;

// So that the thread most likely waits already. Where it does not, a test shows less, and is right.
void LetItWait() { std::this_thread::sleep_for(std::chrono::milliseconds(50)); }

TEST(PeriodicTest, RoundsFollowEachOtherAsTheySay) {
  std::atomic<int> rounds{0};
  std::promise<void> third;
  const Periodic periodic([&]() -> int64_t {
    const int round = ++rounds;
    if (round == 3) third.set_value();
    return round < 3 ? 0 : kForever;
  });
  third.get_future().wait();
  EXPECT_EQ(rounds, 3);
}

TEST(PeriodicTest, TheEndWaitsForNoNextRound) {
  std::atomic<int> rounds{0};
  std::promise<void> first;
  auto periodic = std::make_unique<Periodic>([&] {
    if (++rounds == 1) first.set_value();
    return kForever;
  });
  first.get_future().wait();
  LetItWait();
  periodic.reset();
  EXPECT_EQ(rounds, 1);
}

TEST(PeriodicTest, TheEndCutsAPauseAndWaitsForItsRound) {
  std::promise<void> began;
  std::atomic<bool> ended{false};
  std::atomic<Periodic*> itself{nullptr};
  auto periodic = std::make_unique<Periodic>([&]() -> int64_t {
    if (itself == nullptr) return 0;
    began.set_value();
    itself.load()->Pause(kForever);
    ended = true;
    return kForever;
  });
  itself = periodic.get();
  began.get_future().wait();
  LetItWait();
  periodic.reset();
  EXPECT_TRUE(ended);
}

TEST(PeriodicTest, ItTakesNoSignals) {
  std::promise<bool> blocked;
  const Periodic periodic([&] {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    blocked.set_value(sigismember(&mask, SIGTERM) == 1);
    return kForever;
  });
  EXPECT_TRUE(blocked.get_future().get());
}

}  // namespace
}  // namespace hami::base
