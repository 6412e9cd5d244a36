// SPDX-License-Identifier: Apache-2.0
//
// For tests: what the API server sends to who asks for protobuf.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protobuf/fake_writer.h"

namespace hami::kube {

inline std::string FakeEnvelope(std::string_view kind, std::string_view message) {
  const std::string type = protobuf::FakeWriter().Text(1, "v1").Text(2, kind).bytes();
  return std::string("k8s\0", 4) +
         protobuf::FakeWriter().Text(1, type).Text(2, message).Text(3, "").Text(4, "").bytes();
}

// An object with metadata alone, and a text as its spec.
inline std::string FakeMessage(std::string_view name_space, std::string_view name,
                               std::string_view version, std::string_view spec = {}) {
  const std::string metadata = protobuf::FakeWriter()
                                   .Text(1, name)
                                   .Text(2, "")
                                   .Text(3, name_space)
                                   .Text(5, "uid")
                                   .Text(6, version)
                                   .Number(7, 0)
                                   .bytes();
  return protobuf::FakeWriter().Text(1, metadata).Text(2, spec).bytes();
}

inline std::string FakeBookmark(std::string_view version, bool ends_initial_events) {
  protobuf::FakeWriter metadata;
  metadata.Text(6, version);
  if (ends_initial_events) metadata.Entry(12, "k8s.io/initial-events-end", "true");
  return protobuf::FakeWriter().Text(1, metadata.bytes()).bytes();
}

inline std::string FakeList(std::string_view version, std::string_view continue_token,
                            const std::vector<std::string>& items) {
  protobuf::FakeWriter list;
  list.Text(1, protobuf::FakeWriter().Text(1, "").Text(2, version).Text(3, continue_token).bytes());
  for (const std::string& item : items) list.Text(2, item);
  return list.bytes();
}

// With its length before it.
inline std::string FakeEvent(std::string_view type, std::string_view kind,
                             std::string_view message) {
  const std::string object = protobuf::FakeWriter().Text(1, FakeEnvelope(kind, message)).bytes();
  const std::string event = protobuf::FakeWriter().Text(1, type).Text(2, object).bytes();
  std::string frame;
  for (int shift = 24; shift >= 0; shift -= 8) {
    frame += static_cast<char>(event.size() >> static_cast<unsigned>(shift));
  }
  return frame + event;
}

inline std::string FakeStatus(int code, std::string_view reason, std::string_view message,
                              std::string_view object_name, int retry_after_s) {
  const std::string details = protobuf::FakeWriter()
                                  .Text(1, object_name)
                                  .Number(5, static_cast<uint64_t>(retry_after_s))
                                  .bytes();
  return protobuf::FakeWriter()
      .Text(2, "Failure")
      .Text(3, message)
      .Text(4, reason)
      .Text(5, details)
      .Number(6, static_cast<uint64_t>(code))
      .bytes();
}

}  // namespace hami::kube
