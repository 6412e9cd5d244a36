// SPDX-License-Identifier: Apache-2.0
//
// Which pods come when, and when they go: as listed, at their recorded times, or drawn at random.
// Everything random follows from one seed, the same on every machine. Pure.

#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace hami::simulate {

// A pod of the list that comes; the same pod may come several times.
struct Arrival {
  uint32_t pod = 0;
  double arrives_s = 0;
  double leaves_s = std::numeric_limits<double>::infinity();
};

// Uniform numbers of one seed (xoshiro256**).
class Random {
 public:
  explicit Random(uint64_t seed);
  uint64_t Next();
  size_t Below(size_t limit);  // limit > 0
  double Unit();               // in [0, 1)

 private:
  uint64_t state_[4];
};

// 0 .. count - 1 in the order of their times, or as they stand.
std::vector<uint32_t> OrderByTime(std::span<const double> times);

// A random order.
std::vector<uint32_t> Shuffled(size_t count, Random* random);

// The order, and then pods drawn from all of it with replacement until together they ask for
// `devices` devices. `asked` by pod. Nothing is drawn if nobody asks for any. Arrivals are a second
// apart and stay.
std::vector<Arrival> Inflate(std::span<const uint32_t> order, std::span<const double> asked,
                             double devices, Random* random);

// Pods drawn with replacement that come at random times and stay for a random time, exponential
// both, so that without refusals `devices` devices would be asked for at any time. Time is in mean
// stays; arrivals end after `stays`.
std::vector<Arrival> Turnover(std::span<const double> asked, double devices, double stays,
                              Random* random);

}  // namespace hami::simulate
