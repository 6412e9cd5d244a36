// SPDX-License-Identifier: Apache-2.0
//
// The library's log: one line per message to standard error with one write, from a buffer on the
// stack. Silent unless LIBCUDA_LOG_LEVEL asks, with one exception: LogAlways, for a limit that
// cannot be enforced. Leaves errno alone. Safe at any time, also before libc is ready.

#pragma once

#include <cstdint>

namespace hami::preload {

enum class LogLevel : int { kError = 1, kWarning = 2, kInfo = 3, kDebug = 4 };

// The level that LIBCUDA_LOG_LEVEL asks for; read once.
int CurrentLogLevel();

// %s const char*, %d int, %u uint64_t (cast!), %x uint64_t in hexadecimal, %p pointer.
void WriteLog(LogLevel level, const char* format, ...) noexcept;

#define HAMI_LOG_IS_ON(level) (static_cast<int>(level) <= ::hami::preload::CurrentLogLevel())

template <typename... Arguments>
inline void Log(LogLevel level, const char* format, Arguments... arguments) {
  if (HAMI_LOG_IS_ON(level)) [[unlikely]] {
    WriteLog(level, format, arguments...);
  }
}

// At every level, at most once per `said` flag.
template <typename... Arguments>
inline void LogAlways(bool* said, const char* format, Arguments... arguments) {
  if (__atomic_exchange_n(said, true, __ATOMIC_RELAXED)) return;
  WriteLog(LogLevel::kError, format, arguments...);
}

}  // namespace hami::preload
