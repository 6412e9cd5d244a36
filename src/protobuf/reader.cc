// SPDX-License-Identifier: Apache-2.0

#include "protobuf/reader.h"

#include <string>

namespace hami::protobuf {
namespace {

constexpr int kVarintBits = 64;
constexpr uint64_t kMaxTag = 0xffffffff;

}  // namespace

bool Reader::Fault(const char* why) {
  fault_ = why;
  rest_ = {};
  return false;
}

bool Reader::TakeVarint(uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < kVarintBits; shift += 7) {
    if (rest_.empty()) return Fault("it ends within a number");
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    const uint64_t bits = byte & 0x7f;
    if (shift == kVarintBits - 1 && bits > 1) return Fault("a number of more than 64 bits");
    *value |= bits << shift;
    if (byte < 0x80) return true;
  }
  return Fault("a number of more than 10 bytes");
}

bool Reader::TakeFixed(size_t bytes) {
  if (rest_.size() < bytes) return Fault("it ends within a number");
  unsigned_ = 0;
  for (size_t i = 0; i < bytes; ++i) {
    unsigned_ |= static_cast<uint64_t>(static_cast<unsigned char>(rest_[i])) << (8 * i);
  }
  rest_.remove_prefix(bytes);
  kind_ = Kind::kUnsigned;
  return true;
}

bool Reader::TakeText() {
  uint64_t size = 0;
  if (!TakeVarint(&size)) return false;
  if (size > rest_.size()) return Fault("it ends within a field");
  text_ = rest_.substr(0, size);
  rest_.remove_prefix(size);
  kind_ = Kind::kText;
  return true;
}

bool Reader::Next() {
  if (rest_.empty()) return false;
  uint64_t tag = 0;
  if (!TakeVarint(&tag)) return false;
  number_ = static_cast<uint32_t>(tag >> 3);
  if (tag > kMaxTag || number_ == 0) return Fault("a field without a number");
  switch (tag & 7) {
    case 0:
      kind_ = Kind::kUnsigned;
      return TakeVarint(&unsigned_);
    case 1:
      return TakeFixed(8);
    case 2:
      return TakeText();
    case 5:
      return TakeFixed(4);
    default:  // groups, which nobody writes any more, and what is none
      return Fault("a wire type that is none");
  }
}

std::string_view Reader::Text() {
  if (kind_ == Kind::kText) return text_;
  Fault("a number where a text should be");
  return {};
}

uint64_t Reader::Unsigned() {
  if (kind_ == Kind::kUnsigned) return unsigned_;
  Fault("a text where a number should be");
  return 0;
}

Status Reader::End() const {
  if (fault_ == nullptr) return {};
  return Fail(Code::kInvalidArgument, std::string("no protobuf message: ") + fault_);
}

}  // namespace hami::protobuf
