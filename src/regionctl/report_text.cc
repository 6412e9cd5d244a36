// SPDX-License-Identifier: Apache-2.0

#include "regionctl/report_text.h"

#include <fmt/format.h>

#include <string_view>

#include "base/bytes.h"

namespace hami::regionctl {
namespace {

using base::FormatBytesRounded;

std::string LimitText(uint64_t bytes) {
  return bytes == 0 ? "no limit" : FormatBytesRounded(bytes);
}

std::string CoresText(uint64_t percent) {
  return percent == 0 || percent >= 100 ? "no limit" : fmt::format("{} %", percent);
}

std::string_view StateText(const ProcessReport& process) {
  if (!process.alive) return "?";
  return *process.alive ? "alive" : "ended";
}

std::string LaunchText(const RegionReport& report, int64_t now_s) {
  if (report.recent_kernel < 0) return "held back";
  if (report.last_kernel_time == 0) return "none yet";
  const auto now = static_cast<uint64_t>(now_s);
  if (report.last_kernel_time > now) return "in the future";
  return fmt::format("last {} s ago", now - report.last_kernel_time);
}

std::string DeviceText(const DeviceReport& device, bool extended) {
  std::string text = fmt::format("  {:<44} {:>10} of {:>10}  cores {:>8}", device.uuid,
                                 FormatBytesRounded(device.used_bytes),
                                 LimitText(device.limit_bytes), CoresText(device.limit_cores_pct));
  if (extended) {
    text += fmt::format("  GPU time {:.1f} s, throttled {:.1f} s, refused {}",
                        static_cast<double>(device.gpu_ns) / 1e9,
                        static_cast<double>(device.throttled_ns) / 1e9, device.refused);
  }
  if (device.hidden_bytes != 0) {
    text += fmt::format(", {} seen by the agent alone", FormatBytesRounded(device.hidden_bytes));
  }
  if (device.disturbed != 0) text += fmt::format(", written over {} times", device.disturbed);
  return text + "\n";
}

std::string ProcessText(const ProcessReport& process) {
  std::string text = fmt::format("  {:>4} {:>8} {:>9}  {:<6}", process.slot, process.pid,
                                 process.host_pid == 0 ? "?" : std::to_string(process.host_pid),
                                 StateText(process));
  for (const uint64_t bytes : process.used_bytes) {
    text += fmt::format(" {:>10}", FormatBytesRounded(bytes));
  }
  return text + "\n";
}

}  // namespace

std::string TextOf(const RegionReport& report, int64_t now_s) {
  std::string text = fmt::format(
      "{}: {}\n  compute limits {}, launches {}, priority {}\n", report.path,
      report.extended ? "HAMi's region 1.2, extended" : "HAMi's region 1.2",
      report.utilization_switch != 0 ? "on" : "off", LaunchText(report, now_s), report.priority);
  for (const DeviceReport& device : report.devices) text += DeviceText(device, report.extended);
  if (report.devices.empty()) text += "  no devices yet: no program has used a GPU\n";
  if (!report.processes.empty()) {
    text += "  SLOT      PID  HOST PID  STATE  MEMORY OF EACH DEVICE\n";
    for (const ProcessReport& process : report.processes) text += ProcessText(process);
  }
  return text;
}

std::string ProblemsOf(const RegionReport& report) {
  std::string text;
  for (const Problem& problem : report.problems) {
    text += fmt::format("{}: {}{}\n", report.path, problem.text,
                        problem.repairable ? "" : " (cannot be repaired)");
  }
  return text;
}

void WriteJson(const RegionReport& report, base::JsonWriter* json) {
  json->BeginObject()
      .Member("path", report.path)
      .Member("file_bytes", report.file_bytes)
      .Member("extended", report.extended)
      .Member("utilization_switch", report.utilization_switch)
      .Member("recent_kernel", report.recent_kernel)
      .Member("priority", report.priority)
      .Member("last_kernel_time", report.last_kernel_time)
      .Key("devices")
      .BeginArray();
  for (const DeviceReport& device : report.devices) {
    json->BeginObject()
        .Member("uuid", device.uuid)
        .Member("limit_bytes", device.limit_bytes)
        .Member("limit_cores_pct", device.limit_cores_pct)
        .Member("used_bytes", device.used_bytes)
        .Member("hidden_bytes", device.hidden_bytes)
        .Member("gpu_ns", device.gpu_ns)
        .Member("throttled_ns", device.throttled_ns)
        .Member("refused", device.refused)
        .Member("disturbed", device.disturbed)
        .EndObject();
  }
  json->EndArray().Key("processes").BeginArray();
  for (const ProcessReport& process : report.processes) {
    json->BeginObject()
        .Member("slot", process.slot)
        .Member("pid", process.pid)
        .Member("host_pid", process.host_pid)
        .Key("alive");
    process.alive ? json->Value(*process.alive) : json->Null();
    json->Key("used_bytes").BeginArray();
    for (const uint64_t bytes : process.used_bytes) json->Value(bytes);
    json->EndArray().EndObject();
  }
  json->EndArray().Key("problems").BeginArray();
  for (const Problem& problem : report.problems) {
    json->BeginObject()
        .Member("text", problem.text)
        .Member("repairable", problem.repairable)
        .EndObject();
  }
  json->EndArray().EndObject();
}

}  // namespace hami::regionctl
