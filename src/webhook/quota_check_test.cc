// SPDX-License-Identifier: Apache-2.0

#include "webhook/quota_check.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hami::webhook {
namespace {

using domain::ContainerKind;

class QuotaCheckTest : public ::testing::Test {
 protected:
  QuotaCheckTest() { pod_.namespace_name = "team-a"; }

  void Add(ContainerKind kind, int count, int memory_mib, int cores) {
    domain::PodContainer container;
    container.name = "c" + std::to_string(pod_.containers.size());
    container.kind = kind;
    container.limits = {{"nvidia.com/gpu", std::to_string(count)},
                        {"nvidia.com/gpumem", std::to_string(memory_mib)},
                        {"nvidia.com/gpucores", std::to_string(cores)}};
    pod_.containers.push_back(container);
  }

  // Of team-a and NVIDIA.
  std::string Check(int64_t used_mib, std::optional<int64_t> limit_mib, int64_t used_cores = 0,
                    std::optional<int64_t> cores_limit = {}) const {
    const std::vector<placement::QuotaUse> uses = {
        {"team-b", 0, 0, 0, 0, 0}, {"team-a", 0, used_mib, used_cores, limit_mib, cores_limit}};
    const Status checked = CheckQuota(registry_, pod_, uses);
    if (checked) return "";
    EXPECT_EQ(checked.error().code, Code::kResourceExhausted);
    return checked.error().message;
  }

  const vendor::Registry registry_ = vendor::Registry::Default();
  domain::Pod pod_;
};

TEST_F(QuotaCheckTest, WhatIsLeftMustBeEnough) {
  Add(ContainerKind::kApp, 2, 3000, 30);
  EXPECT_EQ(Check(4000, 10'000), "") << "exactly";
  EXPECT_EQ(Check(4001, 10'000),
            "the pod asks for 6000 MiB of nvidia.com/gpumem, of which namespace team-a has 5999 "
            "left of 10000");
  EXPECT_EQ(Check(20'000, 10'000),
            "the pod asks for 6000 MiB of nvidia.com/gpumem, of which namespace team-a has 0 left "
            "of 10000");
  EXPECT_EQ(Check(0, {}, 40, 100), "");
  EXPECT_NE(Check(0, {}, 41, 100), "");
  EXPECT_EQ(Check(1 << 30, {}), "") << "no limit";
  EXPECT_NE(Check(0, 0), "") << "0 blocks";
}

TEST_F(QuotaCheckTest, WhatDoesNotRunAtTheSameTimeDoesNotAddUp) {
  Add(ContainerKind::kInit, 1, 5000, 0);
  Add(ContainerKind::kSidecar, 1, 1000, 0);
  Add(ContainerKind::kInit, 1, 4500, 0);
  Add(ContainerKind::kApp, 1, 2000, 0);
  Add(ContainerKind::kApp, 1, 2000, 0);
  EXPECT_EQ(Check(0, 5500), "") << "the second init container beside the sidecar";
  EXPECT_NE(Check(0, 5499), "");
  Add(ContainerKind::kApp, 1, 1000, 0);
  EXPECT_NE(Check(0, 5999), "") << "three apps beside the sidecar";
  EXPECT_EQ(Check(0, 6000), "");
}

// Contract 9.3: 1000 of 2000 are used.
TEST_F(QuotaCheckTest, TheContractsExamples) {
  struct Row {
    ContainerKind kind;
    int count;
    int memory_mib;
  };
  const auto fits = [this](const std::vector<Row>& rows) {
    pod_.containers.clear();
    for (const Row& row : rows) Add(row.kind, row.count, row.memory_mib, 0);
    return Check(1000, 2000).empty();
  };
  EXPECT_TRUE(fits({{ContainerKind::kApp, 1, 100}}));
  EXPECT_FALSE(fits({{ContainerKind::kApp, 1, 1024}}));
  EXPECT_FALSE(fits({{ContainerKind::kApp, 2, 1024}}));
  EXPECT_TRUE(fits({{ContainerKind::kApp, 2, 400}}));
  EXPECT_TRUE(fits({{ContainerKind::kInit, 1, 800},
                    {ContainerKind::kInit, 1, 800},
                    {ContainerKind::kApp, 1, 500}}));
  EXPECT_FALSE(fits({{ContainerKind::kInit, 1, 1500}, {ContainerKind::kApp, 1, 100}}));
}

TEST_F(QuotaCheckTest, APercentageCountsNothingYet) {
  domain::PodContainer container;
  container.name = "main";
  container.limits = {{"nvidia.com/gpu", "1"}, {"nvidia.com/gpumem-percentage", "50"}};
  pod_.containers.push_back(container);
  EXPECT_EQ(Check(10'000, 10'000), "");
}

}  // namespace
}  // namespace hami::webhook
