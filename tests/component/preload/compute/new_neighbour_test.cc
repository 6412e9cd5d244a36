// SPDX-License-Identifier: Apache-2.0
//
// What a tenant under a limit gets from the first kernel of a neighbour on, on a virtual clock
// (virtual_gpu.h).

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/component/preload/compute/virtual_gpu.h"

namespace hami::component {
namespace {

// The second in the eight after `begin_ns` that is farthest from what is possible, whole or not.
double WorstSecondAfter(World& world, uint64_t kernel_ns, uint64_t begin_ns, double possible) {
  constexpr uint64_t kStep = 100 * kMs;
  constexpr uint64_t kSteps = 80;
  std::vector<uint64_t> busy;
  for (uint64_t i = 0; i <= kSteps; ++i) {
    world.At(begin_ns + i * kStep, [&] { busy.push_back(world.TenantNs()); });
  }
  const uint64_t end_ns = begin_ns + kSteps * kStep + kMs;
  world.Spin(kernel_ns, end_ns);
  world.PassUntil(end_ns);
  double worst = 0;
  for (size_t i = 0; i + 10 < busy.size(); ++i) {
    const double error = static_cast<double>(busy[i + 10] - busy[i]) / 1e7 - possible;
    if (std::abs(error) > std::abs(worst)) worst = error;
  }
  return worst;
}

struct NewNeighbour : testing::TestWithParam<uint64_t> {};  // the length of the kernels

// What is measured beside it contains its slices; to take that for the kernel's own would halve the
// share until the agent's factor has followed.
TEST_P(NewNeighbour, TakesNothingInItsFirstSecondOrLater) {
  for (const int asked : {10, 25, 50, 75}) {
    for (uint64_t phase = 0; phase < 4; ++phase) {
      World world({.cores_pct = asked});
      const uint64_t begin = world.now() + 3 * kSecond + phase * 134 * kMs;
      world.AddNeighbour({.kernel_ns = kMs, .begins_ns = begin});
      EXPECT_NEAR(WorstSecondAfter(world, GetParam(), begin, std::min(asked, 50)), 0, 3)
          << asked << " percent, phase " << phase;
    }
  }
}

// The factor that was learnt with estimates of the first busy time is not that of the second.
TEST_P(NewNeighbour, TakesAndGivesNothingWhenItComesBack) {
  for (const int asked : {10, 25, 50}) {
    for (uint64_t phase = 0; phase < 4; ++phase) {
      World world({.cores_pct = asked});
      const uint64_t begin = world.now();
      world.AddNeighbour({.kernel_ns = kMs, .ends_ns = begin + 3 * kSecond});
      const uint64_t back = begin + 7 * kSecond + phase * 134 * kMs;
      world.AddNeighbour({.kernel_ns = kMs, .begins_ns = back});
      EXPECT_NEAR(WorstSecondAfter(world, GetParam(), back, asked), 0, 3)
          << asked << " percent, phase " << phase;
    }
  }
}

// Nothing was ever measured alone: half of it is missing until the agent has seen enough.
TEST_P(NewNeighbour, ThatWasThereFirstCostsAtMostASecondAndAHalf) {
  for (const int asked : {10, 25, 50, 75}) {
    World world({.cores_pct = asked});
    world.AddNeighbour({.kernel_ns = kMs});
    const uint64_t begin = world.now() + 1500 * kMs;
    EXPECT_NEAR(WorstSecondAfter(world, GetParam(), begin, std::min(asked, 50)), 0, 5)
        << asked << " percent";
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, NewNeighbour,
                         testing::Values(1 * kMs, 2 * kMs, 3 * kMs, 5 * kMs, 8 * kMs, 12 * kMs,
                                         20 * kMs));

// It is not seen to be idle, but launches are measured alone for a moment: an estimate that was
// taken for clean by mistake (the agent's word was old) must not be kept then.
TEST(Neighbour, ThatPausesForAMomentTakesAndGivesLittle) {
  for (const uint64_t kernel_ns : {1 * kMs, 2 * kMs, 3 * kMs, 5 * kMs, 8 * kMs}) {
    World world({.cores_pct = 25});
    world.region().ext.devices[0].neighbour_busy_pct = 1;
    const uint64_t pause = world.now() + 5 * kSecond;
    world.AddNeighbour({.kernel_ns = kMs, .ends_ns = pause});
    world.AddNeighbour({.kernel_ns = kMs, .begins_ns = pause + 200 * kMs});
    EXPECT_NEAR(WorstSecondAfter(world, kernel_ns, pause + 700 * kMs, 25), 0, 5) << kernel_ns;
  }
}

}  // namespace
}  // namespace hami::component
