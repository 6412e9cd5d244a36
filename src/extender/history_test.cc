// SPDX-License-Identifier: Apache-2.0
//
// Bad weather in one process: 1 000 seeded histories (fake_history.h), of which HAMI_HISTORY_SEED
// tells one alone, and for as long as HAMI_SOAK_SECONDS says in ./dev soak.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>

#include "base/log.h"
#include "extender/fake_history.h"

namespace hami::extender {
namespace {

constexpr int kSteps = 400;
#ifdef __SANITIZE_ADDRESS__
constexpr uint64_t kSeeds = 100;  // ten times slower there
#else
constexpr uint64_t kSeeds = 1'000;
#endif

// What happened, and the problem with its story.
std::string RunSeed(const vendor::Registry& registry, uint64_t seed,
                    std::map<std::string, int>* counts) {
  FakeHistory history(registry, seed);
  history.Run(kSteps);
  for (const auto& [kind, count] : history.counts()) (*counts)[kind] += count;
  if (history.problem().empty()) return "";
  return "HAMI_HISTORY_SEED=" + std::to_string(seed) + ": " + history.problem() + "\n" +
         history.Story();
}

void Print(uint64_t histories, const std::map<std::string, int>& counts) {
  std::cout << histories << " histories:";
  for (const auto& [kind, count] : counts) std::cout << ' ' << kind << ' ' << count << ';';
  std::cout << '\n';
}

TEST(HistoryTest, NoCardIsGivenTwiceAndNothingIsLost) {
  base::StartLog({.level = base::LogLevel::kOff});  // refusals are what it is about
  const vendor::Registry registry = vendor::Registry::Default();
  std::map<std::string, int> counts;
  if (const char* only = std::getenv("HAMI_HISTORY_SEED")) {
    ASSERT_EQ(RunSeed(registry, std::stoull(only), &counts), "");
    return Print(1, counts);
  }
  const char* soak = std::getenv("HAMI_SOAK_SECONDS");
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::seconds(soak == nullptr ? 0 : std::stoll(soak));
  uint64_t seed = 0;
  for (; seed < kSeeds || (soak != nullptr && std::chrono::steady_clock::now() < end); ++seed) {
    ASSERT_EQ(RunSeed(registry, seed, &counts), "");
    if (soak != nullptr && seed % 1'000 == 999) std::cout << seed + 1 << " histories" << std::endl;
  }
  // None of it is there for show.
  for (const char* kind : {"create",
                           "delete",
                           "finish",
                           "forge",
                           "node goes or comes",
                           "allocate",
                           "relist",
                           "filter",
                           "bound",
                           "not bound",
                           "lands late",
                           "lands at the last moment",
                           "takes the Lease",
                           "loses the Lease",
                           "hami-scheduler dies",
                           "dies within a request",
                           "kube-scheduler dies",
                           "reconcile",
                           "refused",
                           "is under way",
                           "done, and nobody says so"}) {
    EXPECT_GT(counts[kind], 0) << kind;
  }
  Print(seed, counts);
}

}  // namespace
}  // namespace hami::extender
