// SPDX-License-Identifier: Apache-2.0
//
// What a tenant gets of the GPU's time under a compute limit, on a virtual clock (virtual_gpu.h).

#include <gtest/gtest.h>

#include <cmath>

#include "tests/component/preload/compute/virtual_gpu.h"

namespace hami::component {
namespace {

struct Got {
  double pct;
  double worst_second;  // farthest from the mean
};

// Percent of each second from `learning_ns` on.
Got Measure(World& world, uint64_t kernel_ns, uint64_t learning_ns, int seconds, double asked,
            int streams = 1) {
  const uint64_t begin = world.now() + learning_ns;
  std::vector<uint64_t> busy;
  for (int i = 0; i <= seconds; ++i) {
    world.At(begin + static_cast<uint64_t>(i) * kSecond, [&] { busy.push_back(world.TenantNs()); });
  }
  world.Spin(kernel_ns, begin + static_cast<uint64_t>(seconds) * kSecond + kMs, streams);
  world.PassUntil(begin + static_cast<uint64_t>(seconds) * kSecond + kMs);
  Got got = {};
  for (size_t i = 1; i < busy.size(); ++i) {
    const double pct = static_cast<double>(busy[i] - busy[i - 1]) / 1e7;
    if (std::abs(pct - asked) > std::abs(got.worst_second)) got.worst_second = pct - asked;
  }
  got.pct = static_cast<double>(busy.back() - busy.front()) / 1e7 / seconds;
  return got;
}

TEST(Explore, Table) {
  for (const int neighbours : {0, 1, 2}) {
    for (const uint64_t us : {10, 20, 200, 1000, 5000, 20000, 50000}) {
      for (const int asked : {10, 25, 50, 75}) {
        World world({.cores_pct = asked});
        if (neighbours == 1) world.AddNeighbour({.kernel_ns = kMs});
        if (neighbours == 2) world.AddNeighbour({.kernel_ns = kMs, .pct = 100 - asked});
        const double possible = neighbours == 1 && asked > 50 ? 50 : asked;
        const Got got = Measure(world, us * kUs, us >= 5000 ? 2 * kSecond : 300 * kMs, 5, possible);
        printf("%d  %6lu us  %d: %5.1f  %+5.1f  worst %+5.1f\n", neighbours, us, asked, got.pct,
               got.pct - possible, got.worst_second);
      }
    }
  }
}

}  // namespace
}  // namespace hami::component
