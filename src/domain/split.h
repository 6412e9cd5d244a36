// SPDX-License-Identifier: Apache-2.0
//
// Inside domain: the pieces that HAMi's texts are made of.

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace hami::domain {

// Everything between separators, empty pieces too: "a;" is "a" and "".
std::vector<std::string_view> Split(std::string_view text, char separator);

// Without spaces and control characters around it.
std::string_view Trim(std::string_view text);

// Go's strconv.ParseInt(text, 10, 32): a sign is allowed, spaces are not.
std::optional<int32_t> ParseInt32(std::string_view text);

}  // namespace hami::domain
