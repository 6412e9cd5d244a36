// SPDX-License-Identifier: Apache-2.0

#include "preload/visible_devices.h"

namespace hami::preload {
namespace {

// Moves behind one number of a list, to its comma or the end. False: there is none.
bool TakeNumber(const char** at, int* number) {
  const char* c = *at;
  int value = 0;
  for (; *c >= '0' && *c <= '9'; ++c) {
    value = value * 10 + (*c - '0');
    if (value > kMostVisibleNumber) value = kMostVisibleNumber;
  }
  if (c == *at || (*c != ',' && *c != 0)) return false;
  *at = c;
  *number = value;
  return true;
}

}  // namespace

int VisibleNumber(const char* list, int index) {
  int number = 0;
  for (int at = 0; TakeNumber(&list, &number); ++at) {
    if (at == index) return number;
    if (*list++ == 0) break;
  }
  return index;
}

bool TranslateVisibleDevices(const char* list, UuidOfNumber uuid_of, const void* context, char* out,
                             size_t out_bytes) {
  size_t used = 0;
  int number = 0;
  for (;;) {
    if (!TakeNumber(&list, &number)) return false;
    const char* uuid = uuid_of(context, number);
    if (uuid == nullptr) break;
    const size_t comma = used > 0 ? 1 : 0;
    const size_t length = __builtin_strlen(uuid);
    if (used + comma + length >= out_bytes) break;
    if (comma != 0) out[used++] = ',';
    __builtin_memcpy(out + used, uuid, length);
    used += length;
    if (*list++ == 0) break;
  }
  out[used] = 0;
  return true;
}

}  // namespace hami::preload
