// SPDX-License-Identifier: Apache-2.0
//
// Scores in a file, one line each, written as they come: what was played once is not played again,
// so that a long bench can be stopped at any time and run in pieces. Threads: one at a time.

#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <tuple>

#include "base/result.h"
#include "bench/openb/play.h"

namespace hami::bench {

class ScoreFile {
 public:
  ScoreFile() = default;
  ~ScoreFile();
  ScoreFile(const ScoreFile&) = delete;
  ScoreFile& operator=(const ScoreFile&) = delete;

  // Reads what is there; Add appends to it from now on. Without it nothing is kept in a file. A
  // last line that was cut short is passed over; any other that cannot be read is an error.
  Status Open(const std::string& path);

  // Null: not played yet.
  const Score* Find(const std::string& trace, Course course, const std::string& contender,
                    uint64_t seed) const;
  void Add(const std::string& trace, Course course, const std::string& contender, uint64_t seed,
           const Score& score);

 private:
  using Key = std::tuple<std::string, Course, std::string, uint64_t>;
  std::map<Key, Score> scores_;
  std::FILE* file_ = nullptr;
};

}  // namespace hami::bench
