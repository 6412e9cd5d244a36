// SPDX-License-Identifier: Apache-2.0

#include "ctl/run_record.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace hami::ctl {
namespace {

TEST(RunRecordTest, SaysWhatWasGrantedAndWhatBecameOfIt) {
  RunRecord record;
  record.booking.name = "web";
  record.booking.memory_bytes = 1 << 30;
  record.booking.simulation = "/run/hami/sim/default";
  record.booking.command = {"a", "b c"};
  record.exit_code = 137;
  record.memory_high_water_bytes = 5;
  const nlohmann::json json = nlohmann::json::parse(WriteRunRecord(record));
  EXPECT_EQ(json["name"], "web");
  EXPECT_EQ(json["memory_limit_bytes"], 1 << 30);
  EXPECT_EQ(json["simulated"], true);
  EXPECT_EQ(json["exit_code"], 137);
  EXPECT_EQ(json["memory_high_water_bytes"], 5);
  EXPECT_EQ(json["command"], nlohmann::json({"a", "b c"}));
}

TEST(RunRecordTest, WhatIsNotKnownIsNullNotZero) {
  const nlohmann::json json = nlohmann::json::parse(WriteRunRecord({}));
  for (const char* const key : {"memory_high_water_bytes", "throttled_ns", "refused_allocations",
                                "escapes", "unlimited_processes"}) {
    EXPECT_TRUE(json[key].is_null()) << key;
  }
  EXPECT_EQ(json["simulated"], false);
}

}  // namespace
}  // namespace hami::ctl
