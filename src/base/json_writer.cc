// SPDX-License-Identifier: Apache-2.0

#include "base/json_writer.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "base/check.h"

namespace hami::base {
namespace {

// Length of the valid UTF-8 sequence at the start of `text`, 0 if there is none (RFC 3629).
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 && lead <= 0xf4   ? 4
                        : lead >= 0xe0 && lead <= 0xef ? 3
                        : lead >= 0xc2 && lead <= 0xdf ? 2
                                                       : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xed && byte(1) >= 0xa0;
  const bool beyond = lead == 0xf4 && byte(1) >= 0x90;
  return overlong || surrogate || beyond ? 0 : length;
}

}  // namespace

void AppendJsonString(std::string_view text, std::string* json) {
  *json += '"';
  while (!text.empty()) {
    const char c = text[0];
    const size_t length = Utf8Length(text);
    if (length == 0) {
      *json += "\\ufffd";
      text.remove_prefix(1);
      continue;
    }
    if (c == '"' || c == '\\') {
      *json += '\\';
      *json += c;
    } else if (c == '\n') {
      *json += "\\n";
    } else if (c == '\t') {
      *json += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      *json += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      *json += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  *json += '"';
}

void JsonWriter::Separate() {
  if (needs_comma_) text_ += ',';
  needs_comma_ = true;
}

JsonWriter& JsonWriter::Open(char bracket) {
  Separate();
  text_ += bracket;
  ++depth_;
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::Close(char bracket) {
  CHECK(depth_ > 0);
  text_ += bracket;
  --depth_;
  needs_comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::Key(std::string_view name) {
  Separate();
  AppendJsonString(name, &text_);
  text_ += ':';
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::Value(std::string_view text) {
  Separate();
  AppendJsonString(text, &text_);
  return *this;
}

JsonWriter& JsonWriter::Value(bool flag) {
  Separate();
  text_ += flag ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::Value(double number) {
  if (!std::isfinite(number)) return Null();
  Separate();
  text_ += fmt::format("{}", number);
  return *this;
}

JsonWriter& JsonWriter::WriteSigned(int64_t number) {
  Separate();
  text_ += fmt::to_string(number);
  return *this;
}

JsonWriter& JsonWriter::WriteUnsigned(uint64_t number) {
  Separate();
  text_ += fmt::to_string(number);
  return *this;
}

JsonWriter& JsonWriter::Null() {
  Separate();
  text_ += "null";
  return *this;
}

JsonWriter& JsonWriter::Raw(std::string_view json) {
  Separate();
  text_ += json;
  return *this;
}

std::string JsonWriter::Take() && {
  CHECK(depth_ == 0);
  return std::move(text_);
}

}  // namespace hami::base
