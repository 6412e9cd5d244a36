// SPDX-License-Identifier: Apache-2.0

#include "preload/environment.h"

#include <unistd.h>

#include <cstddef>

namespace hami::preload {
namespace {

// `entry` is NAME=value; nullptr unless the name is `name` plus "_<index>" (index < 0: nothing).
const char* ValueIfNamed(const char* entry, const char* name, int index) {
  while (*name != 0 && *entry == *name) {
    ++entry;
    ++name;
  }
  if (*name != 0) return nullptr;
  if (index >= 0) {
    if (*entry++ != '_') return nullptr;
    if (index >= 10 && *entry++ != static_cast<char>('0' + index / 10)) return nullptr;
    if (*entry++ != static_cast<char>('0' + index % 10)) return nullptr;
  }
  return *entry == '=' ? entry + 1 : nullptr;
}

const char* Find(const char* name, int index) {
  if (environ == nullptr) return nullptr;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (const char* value = ValueIfNamed(*entry, name, index)) return value;
  }
  return nullptr;
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// The power of 1024 that a unit stands for, or -1.
int UnitPower(const char* unit) {
  constexpr char kPrefixes[] = "kmgt";
  if (unit[0] == 0) return 0;
  if (Lower(unit[0]) == 'b') return unit[1] == 0 ? 0 : -1;
  int power = -1;
  for (int i = 0; kPrefixes[i] != 0; ++i) {
    if (Lower(unit[0]) == kPrefixes[i]) power = i + 1;
  }
  const char* rest = unit + 1;
  if (*rest == 'i') ++rest;
  if (Lower(*rest) == 'b') ++rest;
  return *rest == 0 ? power : -1;
}

// As strtoul with base 0. Moves past the digits; false if there are none or they overflow.
bool TakeDigits(const char** at, uint64_t* value) {
  unsigned base = 10;
  const char* c = *at;
  if (c[0] == '0' && (c[1] == 'x' || c[1] == 'X')) {
    base = 16;
    c += 2;
  } else if (c[0] == '0') {
    base = 8;
  }
  uint64_t sum = 0;
  const char* first = c;
  for (;; ++c) {
    const char digit = Lower(*c);
    unsigned number = 99;
    if (digit >= '0' && digit <= '9') number = static_cast<unsigned>(digit - '0');
    if (base == 16 && digit >= 'a' && digit <= 'f')
      number = static_cast<unsigned>(digit - 'a') + 10;
    if (number >= base) break;
    if (sum > (UINT64_MAX - number) / base) return false;
    sum = sum * base + number;
  }
  if (c == first) return false;
  *at = c;
  *value = sum;
  return true;
}

}  // namespace

const char* FindEnvironment(const char* name) { return Find(name, -1); }

const char* FindIndexedEnvironment(const char* name, int index) {
  const char* value = Find(name, index);
  return value != nullptr ? value : Find(name, -1);
}

bool ParseMemorySize(const char* text, uint64_t* bytes) {
  constexpr uint64_t kMaxBytes = uint64_t{1} << 48;
  uint64_t number = 0;
  if (!TakeDigits(&text, &number)) return false;
  const int power = UnitPower(text);
  if (power < 0 || number == 0 || number > kMaxBytes >> (10 * power)) return false;
  *bytes = number << (10 * power);
  return true;
}

bool ParseWholeNumber(const char* text, uint64_t* number) {
  return TakeDigits(&text, number) && *text == 0;
}

ListedPath TakeListedPath(const char** list, char* path, size_t room) {
  const char* first = *list;
  while (*first == ':') ++first;
  const char* end = first;
  while (*end != 0 && *end != ':') ++end;
  *list = end;
  const auto length = static_cast<size_t>(end - first);
  if (length == 0) return ListedPath::kEnd;
  if (length >= room) return ListedPath::kTooLong;
  __builtin_memcpy(path, first, length);
  path[length] = 0;
  return ListedPath::kTaken;
}

}  // namespace hami::preload
