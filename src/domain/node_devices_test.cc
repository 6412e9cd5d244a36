// SPDX-License-Identifier: Apache-2.0

#include "domain/node_devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace hami::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

// --- The contract's examples (2.2) ---

constexpr char kA100[] =
    R"([{"id":"GPU-8dcd427f-483b-b48f-d7e5-75fb19a52b76","count":10,"devmem":81559,"devcore":100,)"
    R"("type":"NVIDIA A100-SXM4-80GB","mode":"hami-core","health":true},)"
    R"({"id":"GPU-ebe7c3f7","index":1,"count":10,"devmem":81559,"devcore":100,)"
    R"("type":"NVIDIA A100-SXM4-80GB","numa":1,"mode":"hami-core","health":true}])";

TEST(NodeDevicesTest, TwoA100AsHamisPluginWritesThem) {
  const auto devices = ParseNodeDevicesJson(kA100);
  ASSERT_TRUE(devices) << devices.error().message;
  const NodeDevice first{.id = "GPU-8dcd427f-483b-b48f-d7e5-75fb19a52b76",
                         .count = 10,
                         .memory_mib = 81559,
                         .cores = 100,
                         .type = "NVIDIA A100-SXM4-80GB",
                         .mode = "hami-core",
                         .health = true};
  NodeDevice second = first;
  second.id = "GPU-ebe7c3f7";
  second.index = 1;
  second.numa = 1;
  EXPECT_THAT(*devices, ElementsAre(first, second));
  EXPECT_EQ(FormatNodeDevicesJson(*devices), kA100);
}

constexpr char kMig[] =
    R"([{"id":"GPU-a","count":7,"devmem":40960,"devcore":100,"type":"NVIDIA A100-SXM4-40GB",)"
    R"("mode":"mig","migProfiles":[{"name":"1g.5gb","memoryMB":4864,"core":15,"sliceCount":1,)"
    R"("placements":[{"start":0,"size":1},{"start":1,"size":1}]}],"health":true}])";

TEST(NodeDevicesTest, AMigCard) {
  const auto devices = ParseNodeDevicesJson(kMig);
  ASSERT_TRUE(devices) << devices.error().message;
  ASSERT_EQ(devices->size(), 1U);
  EXPECT_EQ(devices->front().mode, "mig");
  EXPECT_THAT(devices->front().mig_profiles,
              ElementsAre(NodeMigProfile{"1g.5gb", 4864, 15, 1, {{0, 1}, {1, 1}}}));
  EXPECT_EQ(FormatNodeDevicesJson(*devices), kMig);
}

TEST(NodeDevicesTest, ADcuAsText) {
  const char* text = "DCU-1,4,32768,100,DCU-Z100L,0,true,0,hami-core:";
  const auto devices = ParseNodeDevicesText(text);
  ASSERT_TRUE(devices) << devices.error().message;
  EXPECT_THAT(*devices, ElementsAre(NodeDevice{.id = "DCU-1",
                                               .count = 4,
                                               .memory_mib = 32768,
                                               .cores = 100,
                                               .type = "DCU-Z100L",
                                               .mode = "hami-core",
                                               .health = true}));
  EXPECT_EQ(FormatNodeDevicesText(*devices), text);
}

// --- JSON ---

TEST(NodeDevicesJsonTest, WhatVendorsAddIsKept) {
  const char* text = R"([{"id":"a","custominfo":{"NetworkID":7,"ok":true,"AIC":"aic-1"},)"
                     R"("devicevendor":"Ascend"}])";
  const auto devices = ParseNodeDevicesJson(text);
  ASSERT_TRUE(devices) << devices.error().message;
  EXPECT_EQ(devices->front().vendor, "Ascend");
  EXPECT_THAT(devices->front().custom_texts, ElementsAre(Pair("AIC", "aic-1")));
  EXPECT_THAT(devices->front().custom_json,
              ElementsAre(Pair("NetworkID", "7"), Pair("ok", "true")));
  const auto again = ParseNodeDevicesJson(FormatNodeDevicesJson(*devices));
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, *devices);
}

TEST(NodeDevicesJsonTest, NamesInAnyCaseAndNamesOfTomorrow) {
  const auto devices = ParseNodeDevicesJson(
      R"([{"ID":"a","DevMem":5,"tomorrow":{"x":[1]},"migtemplate":null,"numa":null}])");
  ASSERT_TRUE(devices) << devices.error().message;
  EXPECT_THAT(*devices, ElementsAre(NodeDevice{.id = "a", .memory_mib = 5}));
}

TEST(NodeDevicesJsonTest, AnEmptyListIsOne) {
  const auto devices = ParseNodeDevicesJson("[]");
  ASSERT_TRUE(devices);
  EXPECT_THAT(*devices, IsEmpty());
}

TEST(NodeDevicesJsonTest, RefusesTheWholeListForOneBadDevice) {
  for (const char* bad :
       {R"({"id":5})", R"({"count":"10"})", R"({"devmem":2147483648})", R"({"devmem":1.5})",
        R"({"devcore":-2147483649})", R"({"index":-1})", R"({"health":"true"})", R"({"health":1})",
        R"({"migProfiles":{}})", R"({"migProfiles":[5]})", R"({"migProfiles":[{"placements":1}]})",
        R"({"migProfiles":[{"placements":[null]}]})", R"({"custominfo":[]})", "null", "5", "[]",
        R"("a")"}) {
    const auto devices = ParseNodeDevicesJson(std::string(R"([{"id":"a"},)") + bad + "]");
    ASSERT_FALSE(devices) << bad;
    EXPECT_EQ(devices.error().code, Code::kInvalidArgument);
    EXPECT_THAT(devices.error().message, HasSubstr("device 2"));
  }
  for (const char* bad : {"", "{}", "null", "[", "[{}",
                          "DCU-1,4,32768,100,DCU-Z100L,0,true:", "[{\"id\":\"\xff\"}]"}) {
    EXPECT_FALSE(ParseNodeDevicesJson(bad)) << bad;
  }
}

// --- Text ---

TEST(NodeDevicesTextTest, SevenFieldsAreTheOldForm) {
  const auto devices = ParseNodeDevicesText("a,10,7680,100,Tesla P4,1,f:b,1,2,3,x,0,1,3,mig");
  ASSERT_TRUE(devices) << devices.error().message;
  ASSERT_EQ(devices->size(), 2U);
  EXPECT_EQ((*devices)[0].index, 0);
  EXPECT_EQ((*devices)[0].mode, "hami-core");
  EXPECT_FALSE((*devices)[0].health);
  EXPECT_EQ((*devices)[0].numa, 1);
  EXPECT_EQ((*devices)[1].index, 3);
  EXPECT_EQ((*devices)[1].mode, "mig");
  EXPECT_TRUE((*devices)[1].health);
}

TEST(NodeDevicesTextTest, TheContractsRows) {
  const auto seven = ParseNodeDevicesText("GPU-a,10,32768,100,NVIDIA-Tesla V100-PCIE-32GB,0,true:");
  ASSERT_TRUE(seven);
  const NodeDevice old = {.id = "GPU-a",
                          .index = 0,
                          .count = 10,
                          .memory_mib = 32768,
                          .cores = 100,
                          .type = "NVIDIA-Tesla V100-PCIE-32GB",
                          .numa = 0,
                          .mode = "hami-core",
                          .health = true};
  EXPECT_THAT(*seven, ElementsAre(old));
  const auto nine = ParseNodeDevicesText("GPU-a,10,32768,100,NVIDIA-V100,1,true,3,mig:");
  ASSERT_TRUE(nine);
  NodeDevice now = old;
  now.type = "NVIDIA-V100";
  now.numa = 1;
  now.index = 3;
  now.mode = "mig";
  EXPECT_THAT(*nine, ElementsAre(now));
}

TEST(NodeDevicesTextTest, EmptyPiecesAreSkipped) {
  for (const char* text : {":", "::::"}) {
    const auto devices = ParseNodeDevicesText(text);
    ASSERT_TRUE(devices) << text;
    EXPECT_THAT(*devices, IsEmpty());
  }
  EXPECT_EQ(ParseNodeDevicesText("::a,1,1,1,x,0,true::")->size(), 1U);
}

TEST(NodeDevicesTextTest, RefusesTheWholeListForOneBadDevice) {
  for (const char* bad :
       {"a,1,1,1,x,0", "a,1,1,1,x,0,true,0", "a,1,1,1,x,0,true,0,m,more", "a,,1,1,x,0,true",
        "a,1,y,1,x,0,true", "a,1,1,2147483648,x,0,true", "a,1,1,1,x,0,yes", "a,1,1,1,x,0, true",
        "a,1,1,1,x,,true", "a,1,1,1,x,0,true,-1,m", "a,1,1,1,x,0,true,,m", "a"}) {
    const auto devices = ParseNodeDevicesText(std::string("b,1,1,1,x,0,true:") + bad + ":");
    ASSERT_FALSE(devices) << bad;
    EXPECT_EQ(devices.error().code, Code::kInvalidArgument);
  }
  for (const char* text : {"", "a,1,1,1,x,0,true"}) {
    EXPECT_FALSE(ParseNodeDevicesText(text)) << text;  // no ":" at all
  }
}

// --- There and back ---

TEST(NodeDevicesTest, WhatIsWrittenIsRead) {
  std::mt19937 random(6);
  const auto number = [&random] {
    switch (random() % 4) {
      case 0:
        return int32_t{0};
      case 1:
        return std::numeric_limits<int32_t>::max();
      default:
        return static_cast<int32_t>(random() % 100'000);
    }
  };
  for (int round = 0; round < 5'000; ++round) {
    std::vector<NodeDevice> devices(random() % 9);
    for (NodeDevice& device : devices) {
      device = {.id = "GPU-" + std::to_string(random()),
                .index = number(),
                .count = number(),
                .memory_mib = number(),
                .cores = number(),
                .type = random() % 2 == 0 ? "" : "NVIDIA \"x\"\n",
                .numa = number(),
                .mode = random() % 2 == 0 ? "mig" : "hami-core",
                .health = random() % 2 == 0};
    }
    if (!devices.empty()) {
      const auto text = ParseNodeDevicesText(FormatNodeDevicesText(devices));
      ASSERT_TRUE(text);
      EXPECT_EQ(*text, devices);
      devices[0].mig_profiles = {{"1g", number(), number(), number(), {{number(), number()}}}};
      devices[0].custom_json = {{"n", std::to_string(number())}};
      devices[0].custom_texts = {{"t", "[1,"}};
    }
    const auto json = ParseNodeDevicesJson(FormatNodeDevicesJson(devices));
    ASSERT_TRUE(json);
    EXPECT_EQ(*json, devices);
  }
}

}  // namespace
}  // namespace hami::domain
