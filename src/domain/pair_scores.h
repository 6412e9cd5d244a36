// SPDX-License-Identifier: Apache-2.0
//
// kNodeNvidiaScore: how well the GPUs of a node are connected, pair by pair; higher is better
// (contract hami-control-plane.md 2.2). Pure.
//
//   [{"uuid":"GPU-a","score":{"GPU-b":200,"GPU-c":10}},{"uuid":"GPU-b","score":{"GPU-a":200}}]

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hami::domain {

// By one device's id, then by the other's. What the node says for a and b need not be what it says
// for b and a.
using PairScores = std::map<std::string, std::map<std::string, int32_t>>;

// kInvalidArgument for all of it: no array of objects, no uuid, a score that is no 32-bit number.
Result<PairScores> ParsePairScores(std::string_view text);

std::string FormatPairScores(const PairScores& scores);

}  // namespace hami::domain
