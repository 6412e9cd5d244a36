// SPDX-License-Identifier: Apache-2.0
//
// What the API server puts around protobuf messages: the envelope ("k8s", a zero byte, and a
// runtime.Unknown), lists, and the events of a watch. Sources: apimachinery's
// pkg/runtime/serializer/protobuf, runtime/generated.proto, meta/v1/generated.proto. Pure.

#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hami::kube {

// For the header Accept: the server takes the first that it has for the resource.
inline constexpr char kAcceptProtobuf[] = "application/vnd.kubernetes.protobuf, application/json";
inline constexpr std::string_view kProtobufType = "application/vnd.kubernetes.protobuf";

// Whether it begins as an envelope does.
bool IsProtobufText(std::string_view text);

struct ProtobufObject {
  std::string_view kind;     // "PodList"
  std::string_view message;  // of that kind
};

// kInvalidArgument: no envelope, or nothing in it.
Result<ProtobufObject> OpenEnvelope(std::string_view text);

struct ProtobufListFacts {
  std::string_view resource_version;
  std::string_view continue_token;
};

// Calls `visit` for each item of the message of a list, in order.
Result<ProtobufListFacts> ReadProtobufList(
    std::string_view message, const std::function<Status(std::string_view item)>& visit);

struct ProtobufEvent {
  std::string_view type;  // "ADDED"
  ProtobufObject object;
};

// One frame of a watch, without its length.
Result<ProtobufEvent> ReadProtobufEvent(std::string_view frame);

}  // namespace hami::kube
