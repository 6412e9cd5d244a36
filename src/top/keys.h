// SPDX-License-Identifier: Apache-2.0
//
// Keys out of the bytes that a terminal sends. Pure.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hami::top {

enum class KeyName : uint8_t {
  kText,  // Key::text
  kEnter,
  kEscape,
  kBackspace,
  kUp,
  kDown,
  kPageUp,
  kPageDown,
  kHome,
  kEnd,
};

struct Key {
  KeyName name = KeyName::kText;
  char text = 0;  // printable ASCII

  bool operator==(const Key&) const = default;
};

// What one read from a terminal has brought. Sequences come in one piece; what is not known in them
// is passed over.
std::vector<Key> KeysOf(std::string_view bytes);

}  // namespace hami::top
