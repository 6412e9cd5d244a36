// SPDX-License-Identifier: Apache-2.0
//
// Pods and nodes from protobuf, which the API server sends when asked: two thirds of the bytes and
// of the time that JSON takes. The same structs, field for field, as ReadPod and ReadNode make of
// JSON (protobuf_objects_test.cc). The bytes are the message itself, without the envelope around it
// (kube/protobuf_object.h). Field numbers: k8s.io/api/core/v1 and apimachinery's meta/v1, where
// they never change. Pure.

#pragma once

#include <string_view>

#include "base/result.h"
#include "domain/node.h"
#include "domain/pod.h"

namespace hami::domain {

// kInvalidArgument: no protobuf message, or one in which a known field has another type.
Result<Pod> ReadPodProtobuf(std::string_view message);
Result<Node> ReadNodeProtobuf(std::string_view message);

}  // namespace hami::domain
