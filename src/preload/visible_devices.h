// SPDX-License-Identifier: Apache-2.0
//
// CUDA_VISIBLE_DEVICES as far as the library reads it: a comma-separated list of numbers. What has
// anything else in it (UUIDs, MIG names, -1) is the driver's to read and is left alone.
//
// The text is the tenant's: any bytes, any length (fuzz/environment_fuzz.cc). Pure; any thread.

#pragma once

#include <cstddef>

namespace hami::preload {

// A number that is too large for any device stands for itself no more.
inline constexpr int kMostVisibleNumber = 1'000'000;

// The `index`-th number of the list, at most kMostVisibleNumber; `index` itself if there are not as
// many or something else stands before.
int VisibleNumber(const char* list, int index);

// The device that a number of the list stands for; nullptr: none.
using UuidOfNumber = const char* (*)(const void* context, int number);

// Writes the list with UUIDs instead of numbers. As with the driver a number without a device ends
// the list; so does one whose UUID does not fit. False: there is something else in the list.
bool TranslateVisibleDevices(const char* list, UuidOfNumber uuid_of, const void* context, char* out,
                             size_t out_bytes);

}  // namespace hami::preload
