// SPDX-License-Identifier: Apache-2.0

#include "domain/scoring_weights.h"

#include <array>
#include <string>

#include "domain/split.h"

namespace hami::domain {
namespace {

struct Item {
  std::string_view name;
  int32_t ScoringWeights::* weight;
};

constexpr std::array<Item, 3> kItems = {{{"slot", &ScoringWeights::slot},
                                         {"core", &ScoringWeights::core},
                                         {"memory", &ScoringWeights::memory}}};
constexpr int32_t kUnset = -1;

// Whether the item is one that was still to come.
bool Take(std::string_view text, ScoringWeights* weights) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view name = Trim(text.substr(0, equals));
  const auto number = ParseInt32(Trim(text.substr(equals + 1)));
  if (!number || *number < 0) return false;
  for (const Item& item : kItems) {
    if (item.name != name || weights->*item.weight != kUnset) continue;
    weights->*item.weight = *number;
    return true;
  }
  return false;
}

}  // namespace

Result<ScoringWeights> ParseScoringWeights(std::string_view text) {
  const std::vector<std::string_view> pieces = Split(text, ',');
  ScoringWeights weights{kUnset, kUnset, kUnset};
  bool ok = pieces.size() == kItems.size();
  for (const std::string_view piece : pieces) ok = ok && Take(piece, &weights);
  if (!ok || (weights.slot == 0 && weights.core == 0 && weights.memory == 0)) {
    return Fail(Code::kInvalidArgument,
                "\"" + std::string(text.substr(0, 128)) +
                    "\" are no weights: write slot=1,core=1,memory=1 with whole numbers from 0, at "
                    "least one of them above 0");
  }
  return weights;
}

}  // namespace hami::domain
