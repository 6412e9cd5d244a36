// SPDX-License-Identifier: Apache-2.0

#include "simulate/draw.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "base/stable_sort.h"

namespace hami::simulate {

Random::Random(uint64_t seed) {
  // splitmix64, as the authors of xoshiro advise.
  for (uint64_t& word : state_) {
    seed += 0x9e3779b97f4a7c15U;
    uint64_t value = seed;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
    word = value ^ (value >> 31);
  }
}

uint64_t Random::Next() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

// The bias of a remainder is below one in 2^40 for any list that fits into memory.
size_t Random::Below(size_t limit) {
  CHECK(limit > 0);
  return Next() % limit;
}

double Random::Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

std::vector<uint32_t> OrderByTime(std::span<const double> times) {
  std::vector<uint32_t> order(times.size());
  std::iota(order.begin(), order.end(), 0U);
  base::StableSortBy(&order, [&](uint32_t pod) { return times[pod]; });
  return order;
}

std::vector<uint32_t> Shuffled(size_t count, Random* random) {
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0U);
  for (size_t i = count; i > 1; --i) std::swap(order[i - 1], order[random->Below(i)]);
  return order;
}

std::vector<Arrival> Inflate(std::span<const uint32_t> order, std::span<const double> asked,
                             double devices, Random* random) {
  std::vector<Arrival> arrivals;
  double sum = 0;
  const auto add = [&](uint32_t pod) {
    arrivals.push_back({.pod = pod, .arrives_s = static_cast<double>(arrivals.size())});
    sum += asked[pod];
  };
  for (const uint32_t pod : order) add(pod);
  if (sum <= 0) return arrivals;
  while (sum < devices) add(order[random->Below(order.size())]);
  return arrivals;
}

std::vector<Arrival> Turnover(std::span<const double> asked, double devices, double stays,
                              Random* random) {
  const double total = std::accumulate(asked.begin(), asked.end(), 0.0);
  if (total <= 0) return {};
  // Little's law: in a mean stay so many pods come as are there at a time.
  const double rate = devices / (total / static_cast<double>(asked.size()));
  std::vector<Arrival> arrivals;
  double now = 0;
  for (;;) {
    now -= std::log1p(-random->Unit()) / rate;
    if (now >= stays) return arrivals;
    const auto pod = static_cast<uint32_t>(random->Below(asked.size()));
    arrivals.push_back({pod, now, now - std::log1p(-random->Unit())});
  }
}

}  // namespace hami::simulate
