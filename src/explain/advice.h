// SPDX-License-Identifier: Apache-2.0
//
// What a person can do about a claim that waits. Pure.

#pragma once

#include <string>
#include <vector>

#include "explain/explanation.h"

namespace hami::explain {

// Sentences, the easiest way first.
std::vector<std::string> Advice(const Explanation& explanation);

}  // namespace hami::explain
