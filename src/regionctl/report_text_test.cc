// SPDX-License-Identifier: Apache-2.0

#include "regionctl/report_text.h"

#include <gtest/gtest.h>

#include <utility>

namespace hami::regionctl {
namespace {

constexpr uint64_t kGib = uint64_t{1} << 30;

RegionReport MakeReport() {
  RegionReport report = {.path = "/s/region",
                         .file_bytes = 2543616,
                         .extended = true,
                         .utilization_switch = 1,
                         .recent_kernel = 2,
                         .priority = 1,
                         .last_kernel_time = 1000};
  report.devices.push_back({.uuid = "GPU-1",
                            .limit_bytes = 10 * kGib,
                            .limit_cores_pct = 50,
                            .used_bytes = 3 * kGib,
                            .hidden_bytes = kGib,
                            .gpu_ns = 1'500'000'000,
                            .throttled_ns = 250'000'000,
                            .refused = 2});
  report.processes.push_back(
      {.slot = 0, .pid = 12, .host_pid = 4711, .alive = true, .used_bytes = {2 * kGib}});
  report.processes.push_back({.slot = 1, .pid = 13, .alive = false, .used_bytes = {0}});
  report.problems.push_back({"slot 1: process 13 has ended", true});
  report.problems.push_back({"it says that it has 99 devices", false});
  return report;
}

TEST(RegionTextTest, ForPeople) {
  EXPECT_EQ(
      TextOf(MakeReport(), 1007),
      "/s/region: HAMi's region 1.2, extended\n"
      "  compute limits on, launches last 7 s ago, priority 1\n"
      "  GPU-1                                           3.0 GiB of   10.0 GiB  cores     50 %"
      "  GPU time 1.5 s, throttled 0.2 s, refused 2, 1.0 GiB seen by the agent alone\n"
      "  SLOT      PID  HOST PID  STATE  MEMORY OF EACH DEVICE\n"
      "     0       12      4711  alive     2.0 GiB\n"
      "     1       13         ?  ended         0 B\n");
}

TEST(RegionTextTest, OfOneThatWasWrittenOver) {
  RegionReport report = MakeReport();
  report.last_kernel_time = UINT64_MAX;
  report.devices[0].disturbed = 3;
  EXPECT_NE(TextOf(report, 1).find("launches in the future,"), std::string::npos);
  report.last_kernel_time = uint64_t{1} << 63;
  EXPECT_NE(TextOf(report, 1).find("launches in the future,"), std::string::npos);
  EXPECT_NE(TextOf(report, 1).find("seen by the agent alone, written over 3 times\n"),
            std::string::npos);
}

TEST(RegionTextTest, OfHamisOwnLibraryWithoutLimits) {
  RegionReport report = {.path = "/s/a.cache", .recent_kernel = -1};
  EXPECT_EQ(TextOf(report, 0),
            "/s/a.cache: HAMi's region 1.2\n"
            "  compute limits off, launches held back, priority 0\n"
            "  no devices yet: no program has used a GPU\n");
  report.devices.push_back({.uuid = "GPU-1"});
  report.last_kernel_time = 9;
  report.recent_kernel = 0;
  EXPECT_EQ(
      TextOf(report, 5),
      "/s/a.cache: HAMi's region 1.2\n"
      "  compute limits off, launches in the future, priority 0\n"
      "  GPU-1                                               0 B of   no limit  cores no limit"
      "\n");
}

TEST(RegionTextTest, Problems) {
  EXPECT_EQ(ProblemsOf(MakeReport()),
            "/s/region: slot 1: process 13 has ended\n"
            "/s/region: it says that it has 99 devices (cannot be repaired)\n");
  EXPECT_EQ(ProblemsOf({}), "");
}

TEST(RegionTextTest, ForPrograms) {
  RegionReport report = MakeReport();
  report.processes[1].alive.reset();
  base::JsonWriter json;
  WriteJson(report, &json);
  EXPECT_EQ(
      std::move(json).Take(),
      R"({"path":"/s/region","file_bytes":2543616,"extended":true,"utilization_switch":1,)"
      R"("recent_kernel":2,"priority":1,"last_kernel_time":1000,"devices":[{"uuid":"GPU-1",)"
      R"("limit_bytes":10737418240,"limit_cores_pct":50,"used_bytes":3221225472,)"
      R"("hidden_bytes":1073741824,"gpu_ns":1500000000,"throttled_ns":250000000,"refused":2,)"
      R"("disturbed":0}],)"
      R"("processes":[{"slot":0,"pid":12,"host_pid":4711,"alive":true,"used_bytes":[2147483648]},)"
      R"({"slot":1,"pid":13,"host_pid":0,"alive":null,"used_bytes":[0]}],)"
      R"("problems":[{"text":"slot 1: process 13 has ended","repairable":true},)"
      R"({"text":"it says that it has 99 devices","repairable":false}]})");
}

}  // namespace
}  // namespace hami::regionctl
