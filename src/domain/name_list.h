// SPDX-License-Identifier: Apache-2.0
//
// Lists of names by comma in annotations: which types and ids of devices a pod wants or avoids,
// which devices of a node get nothing new (contract hami-control-plane.md 2.2, 2.4, 1.8). Pure.

#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hami::domain {

// "GPU-a, GPU-b,," is GPU-a and GPU-b: spaces around names and empty names are dropped.
std::vector<std::string> ParseNameList(std::string_view text);

// One of the names is part of `type`, whatever the case.
bool NamesType(std::span<const std::string> names, std::string_view type);

// One of the names is `id`.
bool NamesId(std::span<const std::string> names, std::string_view id);

// What a pod wants and avoids; empty lists say nothing.
bool TypeMatches(std::span<const std::string> use, std::span<const std::string> avoid,
                 std::string_view type);
bool IdMatches(std::span<const std::string> use, std::span<const std::string> avoid,
               std::string_view id);

}  // namespace hami::domain
