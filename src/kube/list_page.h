// SPDX-License-Identifier: Apache-2.0
//
// One page of a list as the API server answers it, JSON or protobuf: its items, and where it goes
// on. Pure.

#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "json/value.h"
#include "kube/encoded_object.h"

namespace hami::kube {

struct PageFacts {
  std::string resource_version;
  std::string continue_token;  // empty: it was the last page
};

using VisitEncoded = std::function<Status(const EncodedObject&)>;

// Calls `visit` for each item, in order; its error ends the page. The text gets the padding that
// JSON is read with; what is valid until the next page is in `document`.
Result<PageFacts> ReadListPage(std::string* text, json::Document* document,
                               const VisitEncoded& visit);

}  // namespace hami::kube
