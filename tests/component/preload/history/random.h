// SPDX-License-Identifier: Apache-2.0
//
// Chance with a seed; the same on every machine (std's distributions are not).

#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace hami::component {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  // 0 .. bound-1.
  uint64_t Below(uint64_t bound) { return engine_() % bound; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

  template <typename T>
  const T& Of(const std::vector<T>& choices) {
    return choices[Below(choices.size())];
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace hami::component
