// SPDX-License-Identifier: Apache-2.0
//
// What must be true unless the program is wrong. CHECK always looks and ends the process; DCHECK
// looks in builds with a sanitizer or without optimisation. Input, files and peers are never
// checked this way: they fail with an Error (result.h).

#pragma once

namespace hami::base {

[[noreturn]] void CheckFailed(const char* expression, const char* file, int line);

}  // namespace hami::base

#define CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::hami::base::CheckFailed(#condition, __FILE__, __LINE__))

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
#define DCHECK(condition) CHECK(condition)
#else
#define DCHECK(condition) static_cast<void>(sizeof(condition))
#endif
