// SPDX-License-Identifier: Apache-2.0
//
// Thousands of names come with every decision, and each node may be looked at once only. A set of
// nodes on the heap was half of what a decision cost. Any thread.

#pragma once

#include <string_view>
#include <vector>

namespace hami::extender {

// Of several that are the same the first one stays. The names are hostile: who sends some that were
// made to collide gains nothing.
void DropRepeated(std::vector<std::string_view>* names);

}  // namespace hami::extender
