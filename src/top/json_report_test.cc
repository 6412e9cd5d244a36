// SPDX-License-Identifier: Apache-2.0

#include "top/json_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "top/fake_snapshot.h"

namespace hami::top {
namespace {

using nlohmann::json;

TEST(TopJsonTest, AllThatIsKnown) {
  const json report = json::parse(JsonOf(FakeSnapshot()));
  EXPECT_EQ(report["format_version"], 1);
  EXPECT_EQ(report["time_unix_ms"], 1'700'000'000'123);
  EXPECT_EQ(report["interval_ms"], 1000);
  EXPECT_EQ(report["devices"].size(), 2U);
  EXPECT_EQ(report["devices"][0]["granted_cores_pct"], 50);
  const json& train = report["slices"][0];
  EXPECT_EQ(train["kind"], "run");
  EXPECT_EQ(train["memory_limit_bytes"], uint64_t{10} << 30);
  EXPECT_EQ(train["throttled_ns"], 245'000'000'000);
  EXPECT_EQ(train["refused"], 3);
  EXPECT_EQ(train["compute_source"], "region");
  EXPECT_EQ(train["processes"][0]["host_pid"], 4711);
  EXPECT_EQ(train["processes"][1]["alive"], false);
  EXPECT_EQ(report["notes"][0], "broken: no region");
}

TEST(TopJsonTest, WhatIsNotKnownIsNull) {
  Snapshot snapshot = FakeSnapshot();
  snapshot.interval_ns.reset();
  const json report = json::parse(JsonOf(snapshot));
  EXPECT_TRUE(report["interval_ms"].is_null());
  EXPECT_TRUE(report["devices"][1]["index"].is_null());
  const json& broken = report["slices"][2];
  for (const char* const key : {"used_bytes", "compute_pct", "compute_source", "gpu_ns",
                                "throttled_ns", "refused", "cores_limit_pct"}) {
    ASSERT_TRUE(broken.contains(key)) << key;
    EXPECT_TRUE(broken[key].is_null()) << key;
  }
  EXPECT_TRUE(report["slices"][0]["processes"][1]["host_pid"].is_null());
}

TEST(TopJsonTest, AMachineWithNothing) {
  const json report = json::parse(JsonOf({}));
  EXPECT_TRUE(report["slices"].is_array() && report["slices"].empty());
}

}  // namespace
}  // namespace hami::top
