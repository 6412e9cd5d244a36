// SPDX-License-Identifier: Apache-2.0
//
// Kunlun: eight cards in two wings (rules.h). Taken are 1, 2, 4 or 8 that are linked with each
// other, from the wing that is left least torn.

#include <algorithm>
#include <array>

#include "placement/rules/rules.h"

namespace hami::placement {
namespace {

using Cards = std::vector<int32_t>;

constexpr int32_t kWing = 4;
constexpr int32_t kAll = 8;
// Four cards across the wings of which each two are linked or linked by one of the others.
constexpr std::array<std::array<int32_t, 4>, 6> kCrossed = {
    {{0, 1, 4, 5}, {2, 3, 6, 7}, {0, 2, 4, 6}, {1, 3, 5, 7}, {0, 3, 4, 7}, {1, 2, 5, 6}}};

bool Contains(std::span<const int32_t> cards, int32_t card) {
  return std::find(cards.begin(), cards.end(), card) != cards.end();
}

bool IsLeft(int32_t card) { return card < kWing; }

Cards WingOf(std::span<const int32_t> free, bool left) {
  Cards wing;
  for (const int32_t card : free) {
    if (card >= 0 && card < kAll && IsLeft(card) == left) wing.push_back(card);
  }
  std::sort(wing.begin(), wing.end());
  return wing;
}

// Four of five or six free ones over both wings, of which at most three are in one. If more than
// one such four is free then the others are linked whichever is taken.
Cards ChooseCrossed(std::span<const int32_t> free) {
  for (const auto& four : kCrossed) {
    const auto is_free = [&](int32_t card) { return Contains(free, card); };
    if (std::ranges::all_of(four, is_free)) return {four.begin(), four.end()};
  }
  return {};
}

// How torn a wing is of which so many cards are used: 1 of 4 is worst, none and 3 are alike.
int32_t BubblesOfWing(int32_t used) {
  if (used == kWing) return 0;
  return used == 1 ? 2 : 1;
}

class Kunlun : public Rule {
 public:
  Reason RefuseNode(const RuleAsk& ask, const NodeView& /*node*/) const override {
    const int32_t count = ask.request.count;
    const bool can_be = count == 1 || count == 2 || count == 4 || count == kAll;
    return can_be ? Reason::kNone : Reason::kNumaNotFit;
  }

  bool ChoosesSets(const RuleAsk& /*ask*/) const override { return true; }

  std::vector<uint16_t> ChooseSet(const RuleAsk& ask, const NodeView& node,
                                  std::span<const uint16_t> fitting) const override {
    Cards free;
    for (const uint16_t number : fitting) free.push_back(node.device(number).index);
    std::vector<uint16_t> chosen;
    for (const int32_t card : ChooseKunlun(free, ask.request.count)) {
      for (const uint16_t number : fitting) {
        if (node.device(number).index == card) chosen.push_back(number);
      }
    }
    return chosen;
  }

  bool ScoresNodes(const RuleAsk& /*ask*/) const override { return true; }

  double ScoreNode(const RuleAsk& ask, const NodeView& node,
                   std::span<const uint16_t> /*chosen*/) const override {
    Cards before;
    Cards after;
    for (size_t i = 0; i < node.size(); ++i) {
      bool mine = false;
      bool others = false;
      for (const Tenant& tenant : node.Tenants(i)) {
        const bool is_mine = tenant.same_pod && tenant.container == ask.container;
        (is_mine ? mine : others) = true;
      }
      if (others) before.push_back(node.device(i).index);
      if (others || mine) after.push_back(node.device(i).index);
    }
    return KunlunScore(before, after);
  }
};

// Shares of a card are all of one size.
class KunlunShared final : public Kunlun {
 public:
  Reason RefuseDevice(const RuleAsk& ask, const NodeView& node, size_t device) const override {
    for (const Tenant& tenant : node.Tenants(device)) {
      if (tenant.memory_mib != ask.request.memory_mib) {
        return Reason::kCardNotFoundCustomFilterRule;
      }
    }
    return Reason::kNone;
  }

  bool ScoresNodes(const RuleAsk& /*ask*/) const override { return false; }
};

}  // namespace

std::vector<int32_t> ChooseKunlun(std::span<const int32_t> free, int32_t count) {
  const Cards left = WingOf(free, true);
  const Cards right = WingOf(free, false);
  const auto wanted = static_cast<size_t>(std::max(count, 0));
  if (count == kAll) {
    Cards all = left;
    all.insert(all.end(), right.begin(), right.end());
    return all.size() == kAll ? all : Cards();
  }
  if (count != 1 && count != 2 && count != 4) return {};
  // From the wing in which least is free; a single card better from an odd rest than from two.
  std::vector<size_t> sizes = {1, 3, 2, 4};
  if (count > 1) {
    sizes.clear();
    for (size_t size = wanted; size <= kWing; ++size) sizes.push_back(size);
  }
  for (const size_t size : sizes) {
    for (const Cards* wing : {&left, &right}) {
      if (wing->size() == size) return {wing->begin(), wing->begin() + count};
    }
  }
  if (count == 2) {
    for (const int32_t card : left) {
      if (Contains(right, card + kWing)) return {card, card + kWing};
    }
  }
  Cards both = left;
  both.insert(both.end(), right.begin(), right.end());
  return count == 4 ? ChooseCrossed(both) : Cards();
}

int32_t KunlunBubbles(std::span<const int32_t> used) {
  if (used.empty()) return 1;
  const auto left = static_cast<int32_t>(std::count_if(used.begin(), used.end(), IsLeft));
  return BubblesOfWing(left) + BubblesOfWing(static_cast<int32_t>(used.size()) - left);
}

double KunlunScore(std::span<const int32_t> used_before, std::span<const int32_t> used_after) {
  const int32_t change = KunlunBubbles(used_after) - KunlunBubbles(used_before);
  constexpr int32_t kStep = 1000;
  return kStep * std::clamp(2 - change, 0, 3);
}

const Rule& KunlunRule() {
  static const Kunlun rule;
  return rule;
}

const Rule& KunlunSharedRule() {
  static const KunlunShared rule;
  return rule;
}

}  // namespace hami::placement
