// SPDX-License-Identifier: Apache-2.0
//
// The rules of single vendors (contract 1.7, 6.1, 6.2), one file each; RuleOf in rules.cc finds
// them by the entry's ChoiceRule. They live as long as the program.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "placement/rules/rule.h"

namespace hami::placement {

const Rule& AscendRule();
const Rule& SameDevicesRule();
const Rule& MetaxWholeRule();
const Rule& MetaxSharedRule();
const Rule& EnflameRule();
const Rule& KunlunRule();
const Rule& KunlunSharedRule();
const Rule& NeuronRule();
const Rule& VastaiRule();

// --- Parts that have tests of their own ---

// Kunlun's eight cards: wings 0 to 3 and 4 to 7, each card linked with all of its wing and with the
// one opposite (0-4, 1-5, 2-6, 3-7). Which of the free ones serve `count`; empty: none do.
std::vector<int32_t> ChooseKunlun(std::span<const int32_t> free, int32_t count);
// How torn the wings are by what is used; lower is better.
int32_t KunlunBubbles(std::span<const int32_t> used);
// 3000, 2000, 1000 or 0: less torn, the same, one more, two more.
double KunlunScore(std::span<const int32_t> used_before, std::span<const int32_t> used_after);

// Devices of the largest group first, then of the next; `units` of that many devices each stay
// together. `fitting` is best first, which decides among groups of one size and within a group.
// Devices without a group come last.
std::vector<uint16_t> ChooseByGroup(const NodeView& node, std::span<const uint16_t> fitting,
                                    size_t count);

}  // namespace hami::placement
