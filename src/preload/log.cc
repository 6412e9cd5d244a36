// SPDX-License-Identifier: Apache-2.0

#include "preload/log.h"

#include <atomic>
#include <cstdarg>
#include <cstddef>

#include "preload/environment.h"
#include "region/os.h"

namespace hami::preload {
namespace {

constexpr int kUnread = -1;
constinit std::atomic<int> log_level = kUnread;

// A line that is cut off rather than grown.
class Line {
 public:
  void Put(char c) {
    if (used_ < sizeof(text_) - 1) text_[used_++] = c;
  }
  void Put(const char* text) {
    if (text == nullptr) text = "(null)";
    for (; *text != 0; ++text) Put(*text);
  }
  void PutNumber(uint64_t value, unsigned base) {
    char digits[20];
    int count = 0;
    do {
      digits[count++] = "0123456789abcdef"[value % base];
      value /= base;
    } while (value != 0);
    while (count > 0) Put(digits[--count]);
  }
  void Write() {
    text_[used_++] = '\n';
    os::Write(2, text_, used_);
  }

 private:
  char text_[512];
  size_t used_ = 0;
};

const char* NameOf(LogLevel level) {
  switch (level) {
    case LogLevel::kError:
      return "error";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kDebug:
      return "debug";
  }
  return "?";
}

}  // namespace

int CurrentLogLevel() {
  int level = log_level.load(std::memory_order_relaxed);
  if (level == kUnread) [[unlikely]] {
    // Racing threads compute the same value.
    uint64_t asked = 0;
    const char* text = FindEnvironment("LIBCUDA_LOG_LEVEL");
    if (text != nullptr && *text >= '0' && *text <= '9') asked = static_cast<uint64_t>(*text - '0');
    level = static_cast<int>(asked);
    log_level.store(level, std::memory_order_relaxed);
  }
  return level;
}

void WriteLog(LogLevel level, const char* format, ...) noexcept {
  Line line;
  line.Put("[hami ");
  line.Put(NameOf(level));
  line.Put(" pid ");
  line.PutNumber(static_cast<uint64_t>(os::ProcessId()), 10);
  line.Put("] ");
  va_list arguments;
  va_start(arguments, format);
  for (; *format != 0; ++format) {
    if (*format != '%' || format[1] == 0) {
      line.Put(*format);
      continue;
    }
    switch (*++format) {
      case 's':
        line.Put(va_arg(arguments, const char*));
        break;
      case 'u':
        line.PutNumber(va_arg(arguments, uint64_t), 10);
        break;
      case 'x':
        line.Put("0x");
        line.PutNumber(va_arg(arguments, uint64_t), 16);
        break;
      case 'p':
        line.Put("0x");
        line.PutNumber(reinterpret_cast<uintptr_t>(va_arg(arguments, void*)), 16);
        break;
      case 'd': {
        const int value = va_arg(arguments, int);
        if (value < 0) line.Put('-');
        line.PutNumber(value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value),
                       10);
        break;
      }
      default:
        line.Put(*format);
        break;
    }
  }
  va_end(arguments);
  line.Write();
}

}  // namespace hami::preload
