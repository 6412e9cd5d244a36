// SPDX-License-Identifier: Apache-2.0
//
// The only file that knows spdlog: it gives us the sink, its lock, and times.

#include "base/log.h"

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cctype>
#include <memory>

#include "base/clock.h"
#include "base/json_writer.h"

namespace hami::base {
namespace {

std::atomic<LogLevel> log_level{LogLevel::kInfo};
std::atomic<LogFormat> log_format{LogFormat::kText};

spdlog::level::level_enum SpdlogLevel(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::off;
}

std::string_view LevelName(LogLevel level) {
  constexpr std::string_view kNames[] = {"debug", "info", "warn", "error", "off"};
  return kNames[static_cast<size_t>(level)];
}

void SetPattern(spdlog::logger& logger, LogFormat format) {
  if (format == LogFormat::kJson) {
    logger.set_formatter(std::make_unique<spdlog::pattern_formatter>(
        R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v})", spdlog::pattern_time_type::utc));
  } else {
    logger.set_pattern("%Y-%m-%d %H:%M:%S.%e %L %v");
  }
}

// Never destroyed: threads may log while the process ends.
spdlog::logger& Logger() {
  static spdlog::logger* const logger = [] {
    auto* made = new spdlog::logger("hami", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::trace);
    SetPattern(*made, LogFormat::kText);
    return made;
  }();
  return *logger;
}

// A value that needs no quotes: letters, digits and what numbers, paths and names are made of.
bool IsPlain(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) == 0 &&
        std::string_view("_-./:%+@,").find(c) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

void AppendValue(const Field& field, std::string* line) {
  switch (field.kind()) {
    case Field::Kind::kText:
      if (IsPlain(field.text())) {
        *line += field.text();
      } else {
        AppendJsonString(field.text(), line);
      }
      return;
    case Field::Kind::kSigned:
      *line += fmt::to_string(field.signed_value());
      return;
    case Field::Kind::kUnsigned:
      *line += fmt::to_string(field.unsigned_value());
      return;
    case Field::Kind::kReal:
      *line += fmt::format("{:.6g}", field.real_value());
      return;
    case Field::Kind::kFlag:
      *line += field.unsigned_value() != 0 ? "true" : "false";
      return;
  }
}

}  // namespace

Result<LogLevel> ParseLogLevel(std::string_view text) {
  if (text == "debug") return LogLevel::kDebug;
  if (text == "info") return LogLevel::kInfo;
  if (text == "warn") return LogLevel::kWarn;
  if (text == "error") return LogLevel::kError;
  if (text == "off") return LogLevel::kOff;
  return Fail(Code::kInvalidArgument,
              fmt::format("log level \"{}\"; use debug, info, warn, error or off", text));
}

Result<LogFormat> ParseLogFormat(std::string_view text) {
  if (text == "text") return LogFormat::kText;
  if (text == "json") return LogFormat::kJson;
  return Fail(Code::kInvalidArgument, fmt::format("log format \"{}\"; use text or json", text));
}

void StartLog(const LogOptions& options) {
  log_level.store(options.level, std::memory_order_relaxed);
  log_format.store(options.format, std::memory_order_relaxed);
  SetPattern(Logger(), options.format);
}

bool IsLogged(LogLevel level) { return level >= log_level.load(std::memory_order_relaxed); }

void WriteLog(LogLevel level, std::string_view message, std::initializer_list<Field> fields) {
  std::string line;
  if (log_format.load(std::memory_order_relaxed) == LogFormat::kJson) {
    line = R"("level":")" + std::string(LevelName(level)) + R"(",)";
    line += RenderJson(message, fields);
  } else {
    line = RenderText(message, fields);
  }
  Logger().log(SpdlogLevel(level), spdlog::string_view_t(line.data(), line.size()));
}

std::string RenderText(std::string_view message, std::initializer_list<Field> fields) {
  std::string line;
  // A message never breaks the line: one event, one line.
  for (const char c : message) line += c == '\n' ? ' ' : c;
  for (const Field& field : fields) {
    line += ' ';
    line += field.name();
    line += '=';
    AppendValue(field, &line);
  }
  return line;
}

std::string RenderJson(std::string_view message, std::initializer_list<Field> fields) {
  JsonWriter json;
  json.BeginObject().Member("msg", message);
  for (const Field& field : fields) {
    switch (field.kind()) {
      case Field::Kind::kText:
        json.Member(field.name(), field.text());
        break;
      case Field::Kind::kSigned:
        json.Member(field.name(), field.signed_value());
        break;
      case Field::Kind::kUnsigned:
        json.Member(field.name(), field.unsigned_value());
        break;
      case Field::Kind::kReal:
        json.Member(field.name(), field.real_value());
        break;
      case Field::Kind::kFlag:
        json.Member(field.name(), field.unsigned_value() != 0);
        break;
    }
  }
  json.EndObject();
  const std::string object = std::move(json).Take();
  return object.substr(1, object.size() - 2);  // the pattern has the braces, time and level
}

bool LogSite::Admit(int64_t now_ns, int64_t interval_ns, uint64_t* held_back) {
  int64_t next_ns = next_ns_.load(std::memory_order_relaxed);
  if (now_ns < next_ns ||
      !next_ns_.compare_exchange_strong(next_ns, now_ns + interval_ns, std::memory_order_relaxed)) {
    held_back_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  *held_back = held_back_.exchange(0, std::memory_order_relaxed);
  return true;
}

int64_t LogNowNs() { return SystemClock().MonotonicNs(); }

}  // namespace hami::base
