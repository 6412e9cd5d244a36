// SPDX-License-Identifier: Apache-2.0
//
// Cuts the body of a watch into its events: one JSON object a line,
//   {"type":"ADDED","object":{...}}
// or, where protobuf was asked for, frames of a length (4 bytes, the highest first) and a
// metav1.WatchEvent. The first byte says which: a frame is never so long that it could be a text.
// What a broken connection left incomplete is no event. One thread; no I/O.

#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/value.h"
#include "kube/encoded_object.h"

namespace hami::kube {

enum class EventType : uint8_t { kAdded, kModified, kDeleted, kBookmark, kError };

class WatchStream {
 public:
  // The object is valid during the call. An error ends the stream.
  using Handler = std::function<Status(EventType, const EncodedObject& object)>;

  // Of one event; larger than any object that etcd takes.
  static constexpr size_t kMaxLineBytes = 16 << 20;

  // Calls the handler for every event that `data` completes. Fails on text that is no event, and
  // with what the handler says; then the rest is void.
  Status Feed(std::string_view data, const Handler& handler);

 private:
  Status FeedLines(const Handler& handler);
  Status FeedFrames(const Handler& handler);
  Status ReadLine(std::string_view line, const Handler& handler);

  json::Document document_;
  std::string buffer_;
  size_t searched_ = 0;  // no line ends before this
  std::optional<bool> in_frames_;
};

}  // namespace hami::kube
