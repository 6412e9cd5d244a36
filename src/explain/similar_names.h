// SPDX-License-Identifier: Apache-2.0
//
// Names that somebody may have meant who wrote another. Pure.

#pragma once

#include <string>
#include <vector>

namespace hami::explain {

// Nearest first, at most 8; all of them where there are few.
std::vector<std::string> SimilarNames(const std::string& wanted, std::vector<std::string> names);

}  // namespace hami::explain
