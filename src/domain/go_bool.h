// SPDX-License-Identifier: Apache-2.0
//
// Truth as Go's strconv.ParseBool reads it, which is what HAMi's annotations are read with. Pure.

#pragma once

#include <optional>
#include <string_view>

namespace hami::domain {

// 1 t T TRUE true True, 0 f F FALSE false False; nothing else, no spaces.
std::optional<bool> ParseGoBool(std::string_view text);

}  // namespace hami::domain
