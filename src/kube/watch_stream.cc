// SPDX-License-Identifier: Apache-2.0

#include "kube/watch_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "kube/protobuf_object.h"

namespace hami::kube {
namespace {

std::optional<EventType> TypeOf(std::string_view text) {
  if (text == "ADDED") return EventType::kAdded;
  if (text == "MODIFIED") return EventType::kModified;
  if (text == "DELETED") return EventType::kDeleted;
  if (text == "BOOKMARK") return EventType::kBookmark;
  if (text == "ERROR") return EventType::kError;
  return std::nullopt;
}

constexpr size_t kLengthBytes = 4;
// Of a frame of at most kMaxLineBytes.
constexpr unsigned char kMaxFirstByte = WatchStream::kMaxLineBytes >> 24;

tl::unexpected<Error> NoEvent(std::string_view type, bool has_object) {
  return Fail(Code::kInvalidArgument,
              fmt::format("a watch event of the type \"{}\" with{} an object", type,
                          has_object ? "" : "out"));
}

Status ReadFrame(std::string_view frame, const WatchStream::Handler& handler) {
  ASSIGN_OR_RETURN(const ProtobufEvent event, ReadProtobufEvent(frame));
  const auto type = TypeOf(event.type);
  if (!type) return NoEvent(event.type, true);
  return handler(*type, {.protobuf = event.object.message});
}

}  // namespace

Status WatchStream::ReadLine(std::string_view line, const Handler& handler) {
  if (line.find_first_not_of(" \r\t") == std::string_view::npos) return {};
  RETURN_IF_ERROR(document_.ParsePadded(line));
  const json::Value root = document_.root();
  const auto type = TypeOf(root["type"].Text());
  const json::Value object = root["object"];
  if (!type || object.kind() != json::Kind::kObject) {
    return NoEvent(root["type"].Text(), object.exists());
  }
  return handler(*type, {.json = object});
}

Status WatchStream::Feed(std::string_view data, const Handler& handler) {
  buffer_.append(data);
  if (buffer_.empty()) return {};
  if (!in_frames_) in_frames_ = static_cast<unsigned char>(buffer_.front()) <= kMaxFirstByte;
  return *in_frames_ ? FeedFrames(handler) : FeedLines(handler);
}

Status WatchStream::FeedLines(const Handler& handler) {
  // The parser reads a little beyond the last line.
  if (buffer_.capacity() < buffer_.size() + json::Document::kPadding) {
    buffer_.reserve(buffer_.size() * 2 + json::Document::kPadding);
  }
  size_t begin = 0;
  Status status;
  while (status) {
    const size_t end = buffer_.find('\n', std::max(begin, searched_));
    if (end == std::string::npos) break;
    status = ReadLine(std::string_view(buffer_).substr(begin, end - begin), handler);
    begin = end + 1;
  }
  buffer_.erase(0, begin);
  searched_ = buffer_.size();
  if (status && buffer_.size() > kMaxLineBytes) {
    return Fail(Code::kInvalidArgument, "a watch event without an end");
  }
  return status;
}

Status WatchStream::FeedFrames(const Handler& handler) {
  size_t begin = 0;
  Status status;
  while (status && buffer_.size() - begin >= kLengthBytes) {
    size_t size = 0;
    for (size_t i = 0; i < kLengthBytes; ++i) {
      size = size << 8 | static_cast<unsigned char>(buffer_[begin + i]);
    }
    if (size > kMaxLineBytes) return Fail(Code::kInvalidArgument, "a watch event without an end");
    if (buffer_.size() - begin - kLengthBytes < size) break;
    status = ReadFrame(std::string_view(buffer_).substr(begin + kLengthBytes, size), handler);
    begin += kLengthBytes + size;
  }
  buffer_.erase(0, begin);
  return status;
}

}  // namespace hami::kube
