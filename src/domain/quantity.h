// SPDX-License-Identifier: Apache-2.0
//
// Kubernetes' resource quantities ("10Gi", "500m", "1e3"), as whole numbers: what is finer than one
// is rounded up, as the API server does where it compares device capacities. Source: the package
// k8s.io/apimachinery/pkg/api/resource.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hami::domain {

// kInvalidArgument for what is no quantity. Too large a number becomes INT64_MAX, as there.
Result<int64_t> ParseQuantity(std::string_view text);

// In thousandths, rounded up: "2" is 2000, "500m" is 500, "100u" is 1. For CPU.
Result<int64_t> ParseMilliQuantity(std::string_view text);

// With the largest binary suffix that leaves no fraction: 10737418240 is "10Gi".
std::string FormatBinaryQuantity(int64_t value);

// With the largest decimal suffix that leaves no fraction: 100 is "100", 2000 is "2k".
std::string FormatDecimalQuantity(int64_t value);

}  // namespace hami::domain
