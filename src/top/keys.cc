// SPDX-License-Identifier: Apache-2.0

#include "top/keys.h"

#include <algorithm>
#include <iterator>

namespace hami::top {
namespace {

constexpr char kEscapeByte = '\x1b';
constexpr char kDelete = '\x7f';

struct Sequence {
  std::string_view bytes;  // behind ESC and '[' or 'O'
  KeyName name;
};
constexpr Sequence kSequences[] = {
    {"A", KeyName::kUp},      {"B", KeyName::kDown},      {"H", KeyName::kHome},
    {"F", KeyName::kEnd},     {"1~", KeyName::kHome},     {"4~", KeyName::kEnd},
    {"5~", KeyName::kPageUp}, {"6~", KeyName::kPageDown},
};

// `bytes` begins behind ESC. How many belong to the sequence; 0: none, it was the key alone.
size_t SequenceLength(std::string_view bytes) {
  if (bytes.size() < 2 || (bytes[0] != '[' && bytes[0] != 'O')) return 0;
  for (size_t i = 1; i < bytes.size(); ++i) {
    // ECMA-48: parameters and intermediates, then one final byte.
    if (bytes[i] >= '@' && bytes[i] <= '~') return i + 1;
    if (bytes[i] < ' ' || bytes[i] > '?') return i;
  }
  return bytes.size();
}

void AddPlain(char byte, std::vector<Key>* keys) {
  if (byte == '\r' || byte == '\n') {
    keys->push_back({KeyName::kEnter});
  } else if (byte == kDelete || byte == '\b') {
    keys->push_back({KeyName::kBackspace});
  } else if (byte >= ' ' && byte <= '~') {
    keys->push_back({KeyName::kText, byte});
  }
}

}  // namespace

std::vector<Key> KeysOf(std::string_view bytes) {
  std::vector<Key> keys;
  while (!bytes.empty()) {
    const char byte = bytes[0];
    bytes.remove_prefix(1);
    if (byte != kEscapeByte) {
      AddPlain(byte, &keys);
      continue;
    }
    const size_t length = SequenceLength(bytes);
    if (length == 0) {
      keys.push_back({KeyName::kEscape});
      continue;
    }
    const auto* const found =
        std::ranges::find(kSequences, bytes.substr(1, length - 1), &Sequence::bytes);
    if (found != std::end(kSequences)) keys.push_back({found->name});
    bytes.remove_prefix(length);
  }
  return keys;
}

}  // namespace hami::top
