// SPDX-License-Identifier: Apache-2.0
//
// Reading protobuf without generated code: the fields of one message, in the order of the bytes
// (the wire format of protobuf.dev/programming-guides/encoding). Who reads knows the numbers:
//
//   protobuf::Reader fields(bytes);
//   while (fields.Next()) {
//     if (fields.number() == 1) name = fields.Text();
//     if (fields.number() == 3) RETURN_IF_ERROR(ReadStatus(fields.Text(), &status));
//   }
//   RETURN_IF_ERROR(fields.End());
//
// Fields that nobody asks for cost nothing. Views live as long as the bytes. The bytes may be
// anything: what is no message ends the loop, and End says why. One thread.

#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace hami::protobuf {

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  // The next field; false at the end of the message or of what can be read of it.
  bool Next();
  uint32_t number() const { return number_; }

  // The field's value. One of another wire type reads as empty or 0 and ends the loop as a fault.
  std::string_view Text();  // strings, bytes, messages
  uint64_t Unsigned();      // varint and fixed
  int64_t Signed() { return static_cast<int64_t>(Unsigned()); }
  int32_t Signed32() { return static_cast<int32_t>(Unsigned()); }
  bool Flag() { return Unsigned() != 0; }

  // kInvalidArgument if the bytes are no message.
  Status End() const;

 private:
  enum class Kind : uint8_t { kUnsigned, kText };

  bool TakeVarint(uint64_t* value);
  bool TakeFixed(size_t bytes);
  bool TakeText();
  bool Fault(const char* why);

  std::string_view rest_;
  std::string_view text_;
  uint64_t unsigned_ = 0;
  uint32_t number_ = 0;
  Kind kind_ = Kind::kUnsigned;
  const char* fault_ = nullptr;
};

}  // namespace hami::protobuf
