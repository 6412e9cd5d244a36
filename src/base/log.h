// SPDX-License-Identifier: Apache-2.0
//
// Fields, not prose:  LOG_INFO("bound pod", Field("pod", key), Field("node", node));
// One line per event on standard error, JSON for machines or text for a terminal. Levels: error =
// somebody must act, warn = degraded, info = state changed, debug = decisions. A site that can
// repeat uses LOG_WARN_EVERY and the like. Never log tokens or whole objects.
//
// Any thread, any time; before StartLog the defaults apply (text, info).

#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hami::base {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError, kOff };
enum class LogFormat : uint8_t { kText, kJson };

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
};

Result<LogLevel> ParseLogLevel(std::string_view text);    // debug info warn error off
Result<LogFormat> ParseLogFormat(std::string_view text);  // text json

void StartLog(const LogOptions& options);

// One name and value of an event. Refers to the texts it was made of: for use within the statement.
class Field {
 public:
  enum class Kind : uint8_t { kText, kSigned, kUnsigned, kReal, kFlag };

  Field(std::string_view name, std::string_view value) : name_(name), text_(value) {}
  Field(std::string_view name, const std::string& value) : name_(name), text_(value) {}
  Field(std::string_view name, const char* value) : name_(name), text_(value) {}
  Field(std::string_view name, const Error& value) : name_(name), text_(value.message) {}
  Field(std::string_view name, bool value) : name_(name), kind_(Kind::kFlag), unsigned_(value) {}
  template <std::signed_integral T>
  Field(std::string_view name, T value) : name_(name), kind_(Kind::kSigned), signed_(value) {}
  template <std::unsigned_integral T>
  Field(std::string_view name, T value) : name_(name), kind_(Kind::kUnsigned), unsigned_(value) {}
  template <std::floating_point T>
  Field(std::string_view name, T value) : name_(name), kind_(Kind::kReal), real_(value) {}

  std::string_view name() const { return name_; }
  Kind kind() const { return kind_; }
  std::string_view text() const { return text_; }
  int64_t signed_value() const { return signed_; }
  uint64_t unsigned_value() const { return unsigned_; }
  double real_value() const { return real_; }

 private:
  std::string_view name_;
  Kind kind_ = Kind::kText;
  std::string_view text_ = {};
  int64_t signed_ = 0;
  uint64_t unsigned_ = 0;
  double real_ = 0;
};

bool IsLogged(LogLevel level);
void WriteLog(LogLevel level, std::string_view message, std::initializer_list<Field> fields);

// What follows the time and level in a line; the seam that log_test reads.
std::string RenderText(std::string_view message, std::initializer_list<Field> fields);
std::string RenderJson(std::string_view message, std::initializer_list<Field> fields);

// Admits one event per interval and counts what it held back.
class LogSite {
 public:
  // True: log it. `held_back` is then how many events were not.
  bool Admit(int64_t now_ns, int64_t interval_ns, uint64_t* held_back);

 private:
  std::atomic<int64_t> next_ns_{INT64_MIN};
  std::atomic<uint64_t> held_back_{0};
};

int64_t LogNowNs();

}  // namespace hami::base

namespace hami {
using base::Field;
}  // namespace hami

#define HAMI_LOG_(level, message, ...)                       \
  do {                                                       \
    if (::hami::base::IsLogged(level)) {                     \
      ::hami::base::WriteLog(level, message, {__VA_ARGS__}); \
    }                                                        \
  } while (false)
#define LOG_DEBUG(message, ...) \
  HAMI_LOG_(::hami::base::LogLevel::kDebug, message __VA_OPT__(, ) __VA_ARGS__)
#define LOG_INFO(message, ...) \
  HAMI_LOG_(::hami::base::LogLevel::kInfo, message __VA_OPT__(, ) __VA_ARGS__)
#define LOG_WARN(message, ...) \
  HAMI_LOG_(::hami::base::LogLevel::kWarn, message __VA_OPT__(, ) __VA_ARGS__)
#define LOG_ERROR(message, ...) \
  HAMI_LOG_(::hami::base::LogLevel::kError, message __VA_OPT__(, ) __VA_ARGS__)

// At most one line per `interval_ms` from this place; the next line tells how many were held back.
#define HAMI_LOG_EVERY_(level, interval_ms, message, ...)                                  \
  do {                                                                                     \
    if (::hami::base::IsLogged(level)) {                                                   \
      static ::hami::base::LogSite hami_log_site;                                          \
      uint64_t hami_held_back = 0;                                                         \
      if (hami_log_site.Admit(::hami::base::LogNowNs(), int64_t{interval_ms} * 1'000'000,  \
                              &hami_held_back)) {                                          \
        ::hami::base::WriteLog(                                                            \
            level, message,                                                                \
            {__VA_ARGS__ __VA_OPT__(, )::hami::base::Field("held_back", hami_held_back)}); \
      }                                                                                    \
    }                                                                                      \
  } while (false)
#define LOG_INFO_EVERY(interval_ms, message, ...) \
  HAMI_LOG_EVERY_(::hami::base::LogLevel::kInfo, interval_ms, message __VA_OPT__(, ) __VA_ARGS__)
#define LOG_WARN_EVERY(interval_ms, message, ...) \
  HAMI_LOG_EVERY_(::hami::base::LogLevel::kWarn, interval_ms, message __VA_OPT__(, ) __VA_ARGS__)
#define LOG_ERROR_EVERY(interval_ms, message, ...) \
  HAMI_LOG_EVERY_(::hami::base::LogLevel::kError, interval_ms, message __VA_OPT__(, ) __VA_ARGS__)
