// SPDX-License-Identifier: Apache-2.0
//
// An object of the API as it came: JSON, or protobuf where that was asked for and the server has
// it (custom resources are JSON always). Views; valid during the call that hands them over.

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "json/value.h"
#include "kube/object.h"

namespace hami::kube {

struct EncodedObject {
  json::Value json;           // missing: it is protobuf
  std::string_view protobuf;  // the message, without the envelope

  bool IsProtobuf() const { return !json.exists(); }
};

struct ObjectFacts {
  ObjectKey key;
  std::string resource_version;
  // A bookmark that ends the initial events of a streaming list.
  bool ends_initial_events = false;
};

// Of any object. kInvalidArgument only for bytes that are no protobuf message.
Result<ObjectFacts> ReadObjectFacts(const EncodedObject& object);

}  // namespace hami::kube
