// SPDX-License-Identifier: Apache-2.0
//
// For tests: writes protobuf messages, also such as no one should.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hami::protobuf {

class FakeWriter {
 public:
  FakeWriter& Number(uint32_t field, uint64_t value) {
    Varint(uint64_t{field} << 3);
    Varint(value);
    return *this;
  }

  FakeWriter& Text(uint32_t field, std::string_view value) {
    Varint(uint64_t{field} << 3 | 2);
    Varint(value.size());
    bytes_ += value;
    return *this;
  }

  FakeWriter& Fixed32(uint32_t field, uint32_t value) {
    Varint(uint64_t{field} << 3 | 5);
    for (int i = 0; i < 4; ++i) bytes_ += static_cast<char>(value >> (8 * i));
    return *this;
  }

  FakeWriter& Fixed64(uint32_t field, uint64_t value) {
    Varint(uint64_t{field} << 3 | 1);
    for (int i = 0; i < 8; ++i) bytes_ += static_cast<char>(value >> (8 * i));
    return *this;
  }

  // A key and value of a map.
  FakeWriter& Entry(uint32_t field, std::string_view key, std::string_view value) {
    return Text(field, FakeWriter().Text(1, key).Text(2, value).bytes());
  }

  const std::string& bytes() const { return bytes_; }

 private:
  void Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

}  // namespace hami::protobuf
