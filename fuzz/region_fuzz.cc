// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a region that the host's programs read (`hami region`, `hami top`, agents). The
// input is hostile_region.h's. What must hold: no read outside, no hang, no overflow; no more
// devices and processes than there is room for; text that cannot move a terminal's cursor, JSON
// that can be read.

#include <stdint.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_writer.h"
#include "fuzz/hostile_region.h"
#include "json/value.h"
#include "regionctl/report.h"
#include "regionctl/report_text.h"
#include "share/region_file.h"
#include "share/share_usage.h"
#include "top/slices.h"

namespace {

using hami::fuzz::Require;

constexpr int64_t kNow = 1'800'000'000;

void RequirePlain(std::string_view text) {
  for (const char c : text) Require(c == '\n' || (c >= ' ' && c <= '~'));
}

void LookAsOperator(const std::string& path) {
  const auto report = hami::regionctl::LookAtRegion(path);
  if (!report) {
    RequirePlain(report.error().message);
    return;
  }
  Require(report->devices.size() <= hami::api::kMaxDevices);
  Require(report->processes.size() <= hami::api::kMaxProcesses);
  RequirePlain(hami::regionctl::TextOf(*report, kNow));
  RequirePlain(hami::regionctl::ProblemsOf(*report));
  hami::base::JsonWriter json;
  hami::regionctl::WriteJson(*report, &json);
  hami::json::Document document;
  Require(document.Parse(std::move(json).Take()).has_value());
}

void LookAsAgent(const std::string& path) {
  const auto file = hami::share::RegionFile::OpenToRead(path);
  Require(file.has_value());
  const auto slots = file->ReadSlots();
  for (int device = 0; device < hami::api::kMaxDevices; ++device) (void)file->ReadDevice(device);
  if (!slots) return;
  Require(slots->size() <= hami::api::kMaxProcesses);
  hami::share::DeviceSight sight;
  sight.granted_as = 0;
  sight.limit_bytes = 1 << 30;
  sight.processes.resize(2);
  for (hami::gpu::DeviceProcess& process : sight.processes) {
    process.pid = 100 + static_cast<int>(&process - sight.processes.data());
    process.used_bytes = uint64_t{1} << 40;
  }
  const auto usage = hami::share::MeasureShare({sight}, hami::share::LargerCharges(*slots, *slots),
                                               [](int pid) { return pid == 100; });
  // Whatever a region says, a stranger's process is not the share's.
  Require(usage.driver_bytes == uint64_t{1} << 40);
  Require(usage.escapes.size() == 1 && usage.escapes[0].pid == 100);
}

void LookAsTop(const std::string& path) {
  hami::top::Share share;
  share.name = "fuzz";
  share.folder = "/nonexistent";
  share.region = path;
  const auto slices = hami::top::ReadSlices(share, std::nullopt);
  Require(!slices.empty() && slices.size() <= hami::api::kMaxDevices);
  for (const hami::top::Slice& slice : slices) {
    RequirePlain(slice.device_uuid);
    RequirePlain(slice.problem);
    Require(slice.processes.size() <= hami::api::kMaxProcesses);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  static const hami::fuzz::HostileRegion region;
  region.MakeAnew();
  region.Scribble(data, bytes, true);
  LookAsOperator(region.path());
  LookAsAgent(region.path());
  LookAsTop(region.path());
  return 0;
}
