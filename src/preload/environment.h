// SPDX-License-Identifier: Apache-2.0
//
// HAMi's environment variables (environment.def): finding them without getenv, which an application
// may have replaced, and reading their values.

#pragma once

#include <cstddef>
#include <cstdint>

namespace hami::preload {

// The value of a variable, or nullptr.
const char* FindEnvironment(const char* name);

// NAME_<index>, or NAME if that is not set, or nullptr.
const char* FindIndexedEnvironment(const char* name, int index);

// A memory size as HAMi writes it: a number (decimal, 0x or 0 octal) and a unit in powers of 1024:
// none or b, k, m, g, t, also written K, Ki, KB, KiB and so on. False for anything else, for 0 and
// for sizes above 2^48: there is no limit then, and the caller says so.
bool ParseMemorySize(const char* text, uint64_t* bytes);

// A whole number without a unit. False for anything else.
bool ParseWholeNumber(const char* text, uint64_t* number);

// The next path of a list with colons between; moves behind it. Empty ones are passed over.
enum class ListedPath : uint8_t { kEnd, kTaken, kTooLong };
ListedPath TakeListedPath(const char** list, char* path, size_t room);

}  // namespace hami::preload
