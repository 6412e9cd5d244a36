// SPDX-License-Identifier: Apache-2.0

#include "domain/pod_devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace hami::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Containers = std::vector<ContainerDevices>;

PodDevice Nvidia(std::string id, int32_t memory_mib, int32_t cores) {
  return {std::move(id), "NVIDIA", memory_mib, cores};
}

// --- The contract's examples (2.3) ---

TEST(PodDevicesTest, TwoContainersOfOneCard) {
  const char* text = "GPU-0fc3eda5,NVIDIA,3000,0:;GPU-0fc3eda5,NVIDIA,5000,0:;";
  const auto containers = ParsePodDevices(text);
  ASSERT_TRUE(containers);
  EXPECT_THAT(*containers, ElementsAre(ElementsAre(Nvidia("GPU-0fc3eda5", 3000, 0)),
                                       ElementsAre(Nvidia("GPU-0fc3eda5", 5000, 0))));
  EXPECT_EQ(FormatPodDevices(*containers), text);
}

TEST(PodDevicesTest, OneContainerWithTwoCards) {
  const char* text = "GPU-a,NVIDIA,2000,30:GPU-b,NVIDIA,2000,30:;";
  const auto containers = ParsePodDevices(text);
  ASSERT_TRUE(containers);
  EXPECT_THAT(*containers,
              ElementsAre(ElementsAre(Nvidia("GPU-a", 2000, 30), Nvidia("GPU-b", 2000, 30))));
  EXPECT_EQ(FormatPodDevices(*containers), text);
}

TEST(PodDevicesTest, AContainerWithoutDevicesHasItsPlace) {
  const char* text = ";GPU-a,NVIDIA,2000,0:;";
  const auto containers = ParsePodDevices(text);
  ASSERT_TRUE(containers);
  EXPECT_THAT(*containers, ElementsAre(IsEmpty(), ElementsAre(Nvidia("GPU-a", 2000, 0))));
  EXPECT_EQ(FormatPodDevices(*containers), text);
  EXPECT_EQ(FormatPodDevices(Containers{{}, {Nvidia("GPU-a", 1, 2)}, {}}), ";GPU-a,NVIDIA,1,2:;;");
}

TEST(PodDevicesTest, WhatHamiLeavesAsItConsumes) {
  const auto first = ParsePodDevices(";GPU-0fc3eda5,NVIDIA,5000,0:;;");
  ASSERT_TRUE(first);
  EXPECT_THAT(*first, ElementsAre(IsEmpty(), ElementsAre(Nvidia("GPU-0fc3eda5", 5000, 0))));
  const auto second = ParsePodDevices(";;;;");
  ASSERT_TRUE(second);
  EXPECT_THAT(*second, IsEmpty());
}

// The rows of contract 9.3. HAMi counts one more container, behind the last separator.
TEST(PodDevicesTest, TheContractsRows) {
  const auto devices_of = [](const char* text) {
    std::vector<size_t> counts;
    const auto containers = ParsePodDevices(text);
    EXPECT_TRUE(containers) << text;
    for (const ContainerDevices& container : *containers) counts.push_back(container.size());
    return counts;
  };
  EXPECT_THAT(devices_of("GPU-a,NVIDIA,500,30:;"), ElementsAre(1));
  EXPECT_THAT(devices_of("GPU-a,NVIDIA,500,30:GPU-b,NVIDIA,500,30:;GPU-c,NVIDIA,1000,0:;"),
              ElementsAre(2, 1));
  EXPECT_THAT(devices_of(";"), IsEmpty());
  EXPECT_THAT(devices_of(""), IsEmpty());
  EXPECT_FALSE(ParsePodDevices("GPU-a,NVIDIA,500:;"));
}

// --- Reading ---

TEST(PodDevicesTest, ToleratesWhatHamiTolerates) {
  for (const char* text :
       {"GPU-a,NVIDIA,1,2", "GPU-a,NVIDIA,1,2:", "GPU-a,NVIDIA,1,2;", "GPU-a,NVIDIA,1,2:;;;;;",
        "GPU-a,NVIDIA,1,2,extra,more:;", "no comma:GPU-a,NVIDIA,1,2::;", "GPU-a,NVIDIA,+1,+2:;"}) {
    const auto containers = ParsePodDevices(text);
    ASSERT_TRUE(containers) << text;
    EXPECT_THAT(*containers, ElementsAre(ElementsAre(Nvidia("GPU-a", 1, 2)))) << text;
  }
  for (const char* text : {"", ";", ":", ";;:;", "GPU-a:;"}) {
    const auto containers = ParsePodDevices(text);
    ASSERT_TRUE(containers) << text;
    EXPECT_THAT(*containers, IsEmpty()) << text;
  }
}

TEST(PodDevicesTest, RefusesTheWholeTextForOneBadDevice) {
  for (const char* bad :
       {"GPU-a,NVIDIA,1", "GPU-a,NVIDIA", ",", "GPU-a,NVIDIA,x,0", "GPU-a,NVIDIA,1,", "GPU-a,,,",
        "GPU-a,NVIDIA,2147483648,0", "GPU-a,NVIDIA,0,99999999999999999999", "GPU-a,NVIDIA,-1,0",
        "GPU-a,NVIDIA,1,-5", "GPU-a,NVIDIA, 1,0", "GPU-a,NVIDIA,1.5,0", "GPU-a,NVIDIA,0x10,0",
        "GPU-a,NVIDIA,+-1,0", "GPU-a,NVIDIA,+,0"}) {
    const auto containers = ParsePodDevices(std::string("GPU-b,NVIDIA,1,1:") + bad + ":;");
    ASSERT_FALSE(containers) << bad;
    EXPECT_EQ(containers.error().code, Code::kInvalidArgument);
    EXPECT_THAT(containers.error().message, HasSubstr(bad));
  }
}

TEST(PodDevicesTest, TheLargestNumbersFit) {
  const auto containers = ParsePodDevices("GPU-a,NVIDIA,2147483647,2147483647:;");
  ASSERT_TRUE(containers);
  EXPECT_THAT(*containers, ElementsAre(ElementsAre(Nvidia("GPU-a", 2147483647, 2147483647))));
}

// --- Which entry belongs to which container ---

TEST(AssignTest, TheShortFormOfOlderVersions) {
  const ContainerDevices one = {Nvidia("GPU-a", 1, 0)};
  const ContainerDevices two = {Nvidia("GPU-b", 1, 0), Nvidia("GPU-c", 1, 0)};
  // [web (no GPU), train (GPU)] as an older HAMi writes it, and as it should be.
  EXPECT_EQ(AssignToContainers({one}, std::vector<int32_t>{0, 1}), (Containers{{}, one}));
  EXPECT_EQ(AssignToContainers({{}, one}, std::vector<int32_t>{0, 1}), (Containers{{}, one}));
  // An init container without devices; gaps in the middle.
  EXPECT_EQ(AssignToContainers({one, two}, std::vector<int32_t>{0, 1, 0, 2}),
            (Containers{{}, one, {}, two}));
  EXPECT_EQ(AssignToContainers({one, {}, two}, std::vector<int32_t>{0, 1, 0, 2}),
            (Containers{{}, one, {}, two}));
}

TEST(AssignTest, ConsumedTextsKeepTheirPlaces) {
  const ContainerDevices one = {Nvidia("GPU-a", 1, 0)};
  EXPECT_EQ(AssignToContainers({{}, one}, std::vector<int32_t>{1, 1}), (Containers{{}, one}));
  EXPECT_EQ(AssignToContainers({}, std::vector<int32_t>{1, 1}), (Containers{{}, {}}));
}

TEST(AssignTest, CountsThatTheVendorRounded) {
  const ContainerDevices pair = {Nvidia("a", 1, 0), Nvidia("b", 1, 0)};
  EXPECT_EQ(AssignToContainers({{}, pair}, std::vector<int32_t>{0, 1}), (Containers{{}, pair}));
  EXPECT_EQ(AssignToContainers({pair}, std::vector<int32_t>{0, 1}), (Containers{{}, pair}));
}

TEST(AssignTest, TextsAboutAnotherPod) {
  const ContainerDevices one = {Nvidia("GPU-a", 1, 0)};
  EXPECT_EQ(AssignToContainers({one}, std::vector<int32_t>{0, 0}), std::nullopt);
  EXPECT_EQ(AssignToContainers({one}, std::vector<int32_t>{}), std::nullopt);
  EXPECT_EQ(AssignToContainers({one, one, one}, std::vector<int32_t>{1, 1}), std::nullopt);
}

// HAMi 2.10 appends an entry where a container has devices; for one without it sets the entry of
// that number in the lists that exist.
Containers AsHamiWrites(const Containers& truth) {
  Containers text;
  for (size_t i = 0; i < truth.size(); ++i) {
    if (!truth[i].empty()) {
      text.push_back(truth[i]);
    } else if (!text.empty() && text.size() <= i) {
      text.emplace_back();
    }
  }
  return text;
}

TEST(AssignTest, EveryPodSurvivesBothForms) {
  std::mt19937 random(6);
  for (int round = 0; round < 20'000; ++round) {
    Containers truth(1 + random() % 6);
    std::vector<int32_t> counts;
    for (ContainerDevices& devices : truth) {
      const size_t count = random() % 3;
      for (size_t i = 0; i < count; ++i) {
        devices.push_back(Nvidia("GPU-" + std::to_string(random() % 8),
                                 static_cast<int32_t>(random() >> 1),
                                 static_cast<int32_t>(random() % 101)));
      }
      counts.push_back(static_cast<int32_t>(devices.size()));
    }
    for (const Containers& form : {truth, AsHamiWrites(truth)}) {
      const std::string text = FormatPodDevices(form);
      auto parsed = ParsePodDevices(text);
      ASSERT_TRUE(parsed) << text;
      EXPECT_EQ(AssignToContainers(std::move(*parsed), counts), truth) << text;
    }
  }
}

// --- Consuming ---

TEST(ConsumeTest, TheFirstContainerThatHasSome) {
  const std::string first =
      ConsumeFirst(";GPU-a,NVIDIA,1,0:GPU-b,NVIDIA,1,0:;GPU-a,NVIDIA,2,0:;").value_or("an error");
  EXPECT_EQ(first, ";;GPU-a,NVIDIA,2,0:;");
  const std::string second = ConsumeFirst(first).value_or("an error");
  EXPECT_EQ(second, ";;;");
  EXPECT_EQ(ConsumeFirst(second).value_or("an error"), second);
  EXPECT_FALSE(ConsumeFirst("GPU-a,NVIDIA,x,0:;"));
}

TEST(ConsumeTest, AllIsAllocatedWhenNoWordIsLeft) {
  const std::vector<std::string_view> words = {"NVIDIA", "DCU"};
  EXPECT_TRUE(IsAllAllocated("", words));
  EXPECT_TRUE(IsAllAllocated(";;;;", words));
  EXPECT_FALSE(IsAllAllocated(";;DCU-1,DCU,1,2:;", words));
  EXPECT_FALSE(IsAllAllocated("GPU-a,NVIDIA,1,0:;", words));
  EXPECT_TRUE(IsAllAllocated("x,MLU,1,0:;", words));
}

}  // namespace
}  // namespace hami::domain
