// SPDX-License-Identifier: Apache-2.0
//
// Writes JSON into a string, in the order of the calls:
//   JsonWriter json;
//   json.BeginObject().Member("name",
//   "a").Key("sizes").BeginArray().Value(1).EndArray().EndObject(); std::string text =
//   std::move(json).Take();
// Commas are its business; brackets that do not match are a bug (CHECK in Take).

#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace hami::base {

// `text` in quotes. Control characters are escaped; bytes that are not UTF-8 become U+FFFD, because
// names and commands may hold anything and a reader must not fail for it.
void AppendJsonString(std::string_view text, std::string* json);

class JsonWriter {
 public:
  JsonWriter& BeginObject() { return Open('{'); }
  JsonWriter& EndObject() { return Close('}'); }
  JsonWriter& BeginArray() { return Open('['); }
  JsonWriter& EndArray() { return Close(']'); }
  JsonWriter& Key(std::string_view name);

  JsonWriter& Value(std::string_view text);
  JsonWriter& Value(const std::string& text) { return Value(std::string_view(text)); }
  JsonWriter& Value(const char* text) { return Value(std::string_view(text)); }
  JsonWriter& Value(bool flag);
  JsonWriter& Value(double number);  // null if it is not finite
  template <std::signed_integral T>
  JsonWriter& Value(T number) {
    return WriteSigned(number);
  }
  template <std::unsigned_integral T>
  JsonWriter& Value(T number) {
    return WriteUnsigned(number);
  }
  JsonWriter& Null();
  // What is JSON already: a value that was read elsewhere.
  JsonWriter& Raw(std::string_view json);

  template <typename T>
  JsonWriter& Member(std::string_view name, const T& value) {
    return Key(name).Value(value);
  }

  std::string Take() &&;

 private:
  JsonWriter& Open(char bracket);
  JsonWriter& Close(char bracket);
  JsonWriter& WriteSigned(int64_t number);
  JsonWriter& WriteUnsigned(uint64_t number);
  void Separate();

  std::string text_;
  int depth_ = 0;
  bool needs_comma_ = false;
};

}  // namespace hami::base
