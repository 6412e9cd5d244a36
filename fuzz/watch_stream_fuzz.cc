// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as what the API server sends: the body of a watch in both forms, a page of a list and a
// refusal as protobuf. What must hold: no read outside, no hang; a stream says the same however it
// is cut.

#include <stdint.h>
#include <stdlib.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "kube/encoded_object.h"
#include "kube/protobuf_object.h"
#include "kube/status.h"
#include "kube/watch_stream.h"

namespace {

using hami::Status;
using hami::kube::EncodedObject;
using hami::kube::EventType;

// What a stream has to say of the bytes, in parts of that size.
std::string Hear(std::string_view bytes, size_t part) {
  std::string heard;
  hami::kube::WatchStream stream;
  const auto note = [&heard](EventType type, const EncodedObject& object) -> Status {
    const auto facts = hami::kube::ReadObjectFacts(object);
    heard += std::to_string(static_cast<int>(type));
    heard += facts ? facts->key.Text() + "@" + facts->resource_version : "?";
    heard += '\n';
    return {};
  };
  for (size_t at = 0; at < bytes.size(); at += part) {
    if (stream.Feed(bytes.substr(at, part), note)) continue;
    heard += "end";
    break;
  }
  return heard;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  const std::string whole = Hear(text, std::max<size_t>(bytes, 1));
  for (const size_t part : {1, 7}) {
    if (Hear(text, part) != whole) abort();
  }
  if (const auto object = hami::kube::OpenEnvelope(text)) {
    (void)hami::kube::ReadObjectFacts({.protobuf = object->message});
    (void)hami::kube::ReadProtobufList(object->message, [](std::string_view item) -> Status {
      (void)hami::kube::ReadObjectFacts({.protobuf = item});
      return {};
    });
    if (hami::kube::FailureOfProtobufStatus(object->message).error.message.empty()) abort();
  }
  return 0;
}
