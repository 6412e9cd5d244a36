// SPDX-License-Identifier: Apache-2.0
//
// What to say, and to do, when the API server gives no answer. Pure.

#pragma once

#include <string>

#include "base/result.h"

namespace hami::explain {

// Of kube::LoadConfig.
std::string ConfigErrorText(const Error& error);

// Of a request to `server`, which `origin` (a kubeconfig and its context) named.
std::string ApiErrorText(const Error& error, const std::string& server, const std::string& origin);

}  // namespace hami::explain
