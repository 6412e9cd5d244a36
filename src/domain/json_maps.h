// SPDX-License-Identifier: Apache-2.0
//
// Inside domain: the maps of Kubernetes objects as JSON.

#pragma once

#include <map>
#include <string>

#include "domain/pod.h"
#include "json/value.h"

namespace hami::domain {

// Labels; members that are no text are left out.
std::map<std::string, std::string> ReadTexts(const json::Value& object);

// The same without what is not kept (pod_parts.h).
std::map<std::string, std::string> ReadAnnotations(const json::Value& object);

// Quantities, which clients may write as numbers too.
ResourceTexts ReadResources(const json::Value& object);

}  // namespace hami::domain
