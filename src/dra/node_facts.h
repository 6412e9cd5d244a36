// SPDX-License-Identifier: Apache-2.0
//
// What the driver wants to know of its own Node object. Pure.

#pragma once

#include <string>

#include "base/result.h"
#include "json/value.h"
#include "kube/object.h"

namespace hami::dra {

struct NodeFacts {
  kube::ObjectKey key;
  std::string uid;
  bool wants_gpus = false;      // carries the label gpu=on
  std::string runtime_version;  // "containerd://2.4.2"
};

Result<NodeFacts> ReadNodeFacts(const json::Value& object);

// kFailedPrecondition: this runtime does not know CDI, so containers would start without any GPU;
// the message says what to change. Runtimes and versions that we do not know are believed.
Status CheckRuntime(const std::string& runtime_version);

}  // namespace hami::dra
