// SPDX-License-Identifier: Apache-2.0
//
// The sentences of an explanation, the same in the text and in --json. Pure.

#pragma once

#include <string>
#include <vector>

#include "explain/explanation.h"

namespace hami::explain {

// What is the matter, in one or two sentences.
std::string Headline(const Explanation& explanation);

// What limits the explanation itself.
std::vector<std::string> Notes(const Explanation& explanation);

std::string AmountText(const Amount& amount);
std::string AmountsText(const std::vector<NamedAmount>& amounts);  // "cores 50, memory 10Gi"
std::string DeviceText(const DeviceName& device);  // "hami-gpu-0 (NVIDIA A10) on node n1"

}  // namespace hami::explain
