// SPDX-License-Identifier: Apache-2.0
//
// Whole numbers in Kubernetes' quantity notation. The API server rewrites what it stores ("2000"
// comes back as "2k"), so every number in a resource may carry a suffix. Unlike
// domain::ParseQuantity nothing is rounded: half a card cannot be meant. Source: the package
// k8s.io/apimachinery/pkg/api/resource.

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace hami::vendor {

// Nothing for what is no quantity, has a fraction, or does not fit.
std::optional<int64_t> WholeNumber(std::string_view text);

}  // namespace hami::vendor
