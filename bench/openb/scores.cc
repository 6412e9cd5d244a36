// SPDX-License-Identifier: Apache-2.0

#include "bench/openb/scores.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace hami::bench {
namespace {

constexpr size_t kMostFileBytes = size_t{64} << 20;
constexpr char kSeparator = '\t';  // names of contenders have commas
constexpr std::string_view kArrivals = "arrivals";
constexpr std::string_view kTurnover = "turnover";

std::array<double*, 10> FieldsOf(Score* score) {
  return {&score->at_100,       &score->at_130,       &score->fragments[0], &score->fragments[1],
          &score->fragments[2], &score->fragments[3], &score->mean,         &score->lost,
          &score->decision_us,  &score->p99_us};
}

std::vector<std::string_view> Split(std::string_view line, char separator) {
  std::vector<std::string_view> cells;
  for (;;) {
    const size_t end = line.find(separator);
    cells.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return cells;
    line.remove_prefix(end + 1);
  }
}

template <typename T>
bool Read(std::string_view cell, T* value) {
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), *value);
  return error == std::errc() && end == cell.data() + cell.size();
}

}  // namespace

ScoreFile::~ScoreFile() {
  if (file_ != nullptr) std::fclose(file_);
}

Status ScoreFile::Open(const std::string& path) {
  std::string text;
  if (std::filesystem::exists(path)) {
    ASSIGN_OR_RETURN(text, base::ReadFile(path, kMostFileBytes));
  }
  std::vector<std::string_view> lines = Split(text, '\n');
  const std::string_view lines_end = lines.back();  // empty unless the last line was cut short
  lines.pop_back();
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::vector<std::string_view> cells = Split(lines[i], kSeparator);
    Score score;
    uint64_t seed = 0;
    const std::array<double*, 10> fields = FieldsOf(&score);
    bool is_right = cells.size() == 4 + fields.size() && Read(cells[3], &seed) &&
                    (cells[1] == kArrivals || cells[1] == kTurnover);
    for (size_t k = 0; is_right && k < fields.size(); ++k) is_right = Read(cells[4 + k], fields[k]);
    if (!is_right) {
      return Fail(Code::kInvalidArgument, fmt::format("{}:{}: is no line of scores", path, i + 1));
    }
    const Course course = cells[1] == kArrivals ? Course::kArrivals : Course::kTurnover;
    scores_[{std::string(cells[0]), course, std::string(cells[2]), seed}] = score;
  }
  if (!text.empty() && text.back() != '\n') {
    std::filesystem::resize_file(path, text.size() - lines_end.size());
  }
  file_ = std::fopen(path.c_str(), "ae");
  if (file_ == nullptr) return Fail(Code::kInvalidArgument, path + ": cannot be written");
  return {};
}

const Score* ScoreFile::Find(const std::string& trace, Course course, const std::string& contender,
                             uint64_t seed) const {
  const auto at = scores_.find({trace, course, contender, seed});
  return at == scores_.end() ? nullptr : &at->second;
}

void ScoreFile::Add(const std::string& trace, Course course, const std::string& contender,
                    uint64_t seed, const Score& score) {
  Score written = score;
  if (file_ != nullptr) {
    std::string line = fmt::format("{}{}{}{}{}{}{}", trace, kSeparator,
                                   course == Course::kArrivals ? kArrivals : kTurnover, kSeparator,
                                   contender, kSeparator, seed);
    for (const double* const field : FieldsOf(&written)) {
      line += fmt::format("{}{}", kSeparator, *field);
    }
    line += '\n';
    std::fputs(line.c_str(), file_);
    std::fflush(file_);
  }
  scores_[{trace, course, contender, seed}] = score;
}

}  // namespace hami::bench
