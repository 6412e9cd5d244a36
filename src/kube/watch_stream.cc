// SPDX-License-Identifier: Apache-2.0

#include "kube/watch_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

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

}  // namespace

Status WatchStream::ReadLine(std::string_view line, const Handler& handler) {
  if (line.find_first_not_of(" \r\t") == std::string_view::npos) return {};
  RETURN_IF_ERROR(document_.ParsePadded(line));
  const json::Value root = document_.root();
  const auto type = TypeOf(root["type"].Text());
  const json::Value object = root["object"];
  if (!type || object.kind() != json::Kind::kObject) {
    return Fail(Code::kInvalidArgument,
                fmt::format("a watch event of the type \"{}\" with{} an object",
                            root["type"].Text(), object.exists() ? "" : "out"));
  }
  return handler(*type, object);
}

Status WatchStream::Feed(std::string_view data, const Handler& handler) {
  buffer_.append(data);
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

}  // namespace hami::kube
