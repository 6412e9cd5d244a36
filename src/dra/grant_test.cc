// SPDX-License-Identifier: Apache-2.0

#include "dra/grant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "dra/fake_claims.h"
#include "json/value.h"

namespace hami::dra {
namespace {

using domain::OpaqueConfig;
using domain::ResourceClaim;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

// The claim of the published guide, as the API server shows it.
constexpr char kGuideClaim[] = R"({
  "metadata": {"name": "gpu-half-claim", "namespace": "default", "uid": "a3f1"},
  "spec": {"devices": {"requests": [{"name": "gpu", "exactly": {
    "deviceClassName": "hami-core-gpu.project-hami.io", "allocationMode": "ExactCount", "count": 1,
    "capacity": {"requests": {"cores": "50", "memory": "10Gi"}}}}]}},
  "status": {"allocation": {"devices": {"results": [{
    "consumedCapacity": {"cores": "50", "memory": "10Gi"}, "device": "hami-gpu-0",
    "driver": "hami-core-gpu.project-hami.io", "pool": "ecs-a10-sh", "request": "gpu",
    "shareID": "5e0e1f0c-6b1d-4f2c-9d8e-6f1f7f0a6c11"}]},
    "nodeSelector": {"nodeSelectorTerms": [{"matchFields": [
      {"key": "metadata.name", "operator": "In", "values": ["ecs-a10-sh"]}]}]}}}})";

Result<ClaimGrant> Plan(const ResourceClaim& claim, const NodeGpus& gpus = MakeGpus(2)) {
  return PlanGrant(claim, gpus, kGuideNode);
}

GrantedSlice OnlySlice(const ResourceClaim& claim, const NodeGpus& gpus = MakeGpus(2)) {
  const Result<ClaimGrant> grant = Plan(claim, gpus);
  EXPECT_TRUE(grant) << grant.error().message;
  if (!grant) return {};
  EXPECT_THAT(grant->slices, SizeIs(1));
  return grant->slices.at(0);
}

Error ErrorOf(const ResourceClaim& claim, const NodeGpus& gpus = MakeGpus(2)) {
  const Result<ClaimGrant> grant = Plan(claim, gpus);
  EXPECT_FALSE(grant);
  return grant ? Error(Code::kOk, "") : grant.error();
}

TEST(GrantTest, TheGuidesClaim) {
  json::Document document;
  ASSERT_TRUE(document.Parse(kGuideClaim));
  const Result<ResourceClaim> claim = domain::ReadResourceClaim(document.root());
  ASSERT_TRUE(claim) << claim.error().message;
  NodeGpus gpus = MakeGpus(1);
  gpus.context_bytes["hami-gpu-0"] = 268'435'456;

  const Result<ClaimGrant> grant = Plan(*claim, gpus);
  ASSERT_TRUE(grant) << grant.error().message;
  EXPECT_EQ(*grant, (ClaimGrant{.namespace_name = "default",
                                .name = "gpu-half-claim",
                                .uid = "a3f1",
                                .slices = {{.request = "gpu",
                                            .pool = "ecs-a10-sh",
                                            .device = "hami-gpu-0",
                                            .share_id = "5e0e1f0c-6b1d-4f2c-9d8e-6f1f7f0a6c11",
                                            .uuid = "GPU-f1c7d08c-ae21-13e7-0de0-9eb14ff71eaf",
                                            .minor = 0,
                                            .pci_bus_id = "0000:65:01.0",
                                            .memory_bytes = 10'737'418'240,
                                            .context_bytes = 268'435'456,
                                            .cores_pct = 50,
                                            .policy = "default"}}}));
}

TEST(GrantTest, CapacitiesMayBeQualifiedByOurName) {
  ResourceClaim claim = MakeClaim("a");
  claim.results[0].consumed = {{"hami-core-gpu.project-hami.io/memory", 1 << 30},
                               {"hami-core-gpu.project-hami.io/cores", 30}};
  const GrantedSlice slice = OnlySlice(claim);
  EXPECT_EQ(slice.memory_bytes, 1U << 30);
  EXPECT_EQ(slice.cores_pct, 30);

  claim.results[0].consumed = {{"other.example/memory", 1 << 30}, {"other.example/cores", 30}};
  EXPECT_TRUE(OnlySlice(claim).whole) << "another driver's capacities are none of ours";
}

// Contract section 4, fault 2: two shares of one GPU must not become one.
TEST(GrantTest, TwoRequestsOnOneGpuAreTwoSlices) {
  const Result<ClaimGrant> grant =
      Plan(MakeClaim("a", {{.memory_mib = 1024, .cores_pct = 10, .request = "one"},
                           {.memory_mib = 2048, .cores_pct = 20, .request = "two"},
                           {.device = "hami-gpu-1", .request = "three"}}));
  ASSERT_TRUE(grant) << grant.error().message;
  ASSERT_THAT(grant->slices, SizeIs(3));
  EXPECT_EQ(grant->slices[0].request, "one");
  EXPECT_EQ(grant->slices[0].share_id, "share-a-0");
  EXPECT_EQ(grant->slices[0].memory_bytes, 1024 * base::kMib);
  EXPECT_EQ(grant->slices[0].cores_pct, 10);
  EXPECT_EQ(grant->slices[1].request, "two");
  EXPECT_EQ(grant->slices[1].share_id, "share-a-1");
  EXPECT_EQ(grant->slices[1].memory_bytes, 2048 * base::kMib);
  EXPECT_EQ(grant->slices[1].cores_pct, 20);
  EXPECT_EQ(grant->slices[1].uuid, grant->slices[0].uuid);
  EXPECT_EQ(grant->slices[2].minor, 1);
  EXPECT_NE(grant->slices[2].uuid, grant->slices[0].uuid);
}

// Contract section 4, fault 4: without an entry for cores there is no limit, rather than a made-up
// one.
TEST(GrantTest, WithoutConsumedCapacityTheDeviceIsWhole) {
  const GrantedSlice slice =
      OnlySlice(MakeClaim("a", {{.memory_mib = std::nullopt, .cores_pct = std::nullopt}}));
  EXPECT_TRUE(slice.whole);
  EXPECT_EQ(slice.memory_bytes, kA10Bytes);
  EXPECT_EQ(slice.cores_pct, 100);
  EXPECT_EQ(slice.share_id, "");

  const GrantedSlice no_cores = OnlySlice(MakeClaim("a", {{.cores_pct = std::nullopt}}));
  EXPECT_FALSE(no_cores.whole);
  EXPECT_EQ(no_cores.cores_pct, 100);
}

TEST(GrantTest, WholeIsAllThatIsPublishedAndNoComputeLimit) {
  const auto slice = [](int64_t memory_mib, int64_t cores_pct) {
    return OnlySlice(MakeClaim("a", {{.memory_mib = memory_mib, .cores_pct = cores_pct}}));
  };
  EXPECT_TRUE(slice(kA10Mib, 0).whole);
  EXPECT_TRUE(slice(kA10Mib, 100).whole);
  EXPECT_EQ(slice(kA10Mib, 0).memory_bytes, kA10Bytes) << "also what publishing rounded off";
  EXPECT_FALSE(slice(kA10Mib, 99).whole);
  EXPECT_FALSE(slice(kA10Mib, 1).whole);
  EXPECT_FALSE(slice(kA10Mib - 1, 100).whole);
  EXPECT_EQ(slice(kA10Mib - 1, 100).memory_bytes, (kA10Mib - 1) * base::kMib);
}

TEST(GrantTest, AdminAccessIsToldOn) {
  ResourceClaim claim = MakeClaim("a");
  EXPECT_FALSE(OnlySlice(claim).admin_access);
  claim.results[0].admin_access = true;
  EXPECT_TRUE(OnlySlice(claim).admin_access);
}

TEST(GrantTest, WhatCannotBeGivenIsRefused) {
  const auto error = [](int64_t memory_mib, int64_t cores_pct) {
    return ErrorOf(MakeClaim("a", {{.memory_mib = memory_mib, .cores_pct = cores_pct}}));
  };
  EXPECT_EQ(error(0, 50).code, Code::kInvalidArgument);
  EXPECT_EQ(error(-1, 50).code, Code::kInvalidArgument);
  EXPECT_EQ(error(1, 101).code, Code::kInvalidArgument);
  EXPECT_EQ(error(1, -1).code, Code::kInvalidArgument);
  EXPECT_THAT(error(1, 101).message, HasSubstr("101 cores of hami-gpu-0"));
}

// The name has passed to a smaller GPU since the claim was allocated.
TEST(GrantTest, MoreThanTheGpuHasIsRefusedWholeOrNot) {
  for (const int64_t cores_pct : {0, 50, 100}) {
    const Error error =
        ErrorOf(MakeClaim("a", {{.memory_mib = kA10Mib + 1, .cores_pct = cores_pct}}));
    EXPECT_EQ(error.code, Code::kFailedPrecondition) << cores_pct;
    EXPECT_THAT(error.message, HasSubstr("hami-gpu-0")) << cores_pct;
  }
}

TEST(GrantTest, AGpuThatIsGoneIsNamed) {
  const Error error = ErrorOf(MakeClaim("a", {{.device = "hami-gpu-7"}}));
  EXPECT_EQ(error.code, Code::kNotFound);
  EXPECT_THAT(error.message, HasSubstr("hami-gpu-7 is gone"));
}

TEST(GrantTest, AnotherNodesPoolIsRefused) {
  ResourceClaim claim = MakeClaim("a");
  claim.results[0].pool = "other-node";
  const Error error = ErrorOf(claim);
  EXPECT_EQ(error.code, Code::kFailedPrecondition);
  EXPECT_THAT(error.message, HasSubstr("other-node"));
  EXPECT_THAT(error.message, HasSubstr(kGuideNode));
}

TEST(GrantTest, OtherDriversDevicesAreNotOurs) {
  ResourceClaim claim = MakeClaim("a", {{.request = "nic"}, {.request = "gpu"}});
  claim.results[0].driver = "nic.example";
  claim.results[0].pool = "fabric";
  EXPECT_EQ(OnlySlice(claim).request, "gpu");

  claim.results[1].driver = "nic.example";
  const Error error = ErrorOf(claim);
  EXPECT_EQ(error.code, Code::kFailedPrecondition);
  EXPECT_THAT(error.message, HasSubstr("default/a has no device of driver hami-core-gpu"));
}

TEST(GrantTest, AClaimWithoutAllocationIsRefused) {
  ResourceClaim claim = MakeClaim("a");
  claim.allocated = false;
  claim.results.clear();
  const Error error = ErrorOf(claim);
  EXPECT_EQ(error.code, Code::kFailedPrecondition);
  EXPECT_THAT(error.message, HasSubstr("default/a is not allocated"));
}

OpaqueConfig Config(const std::string& policy, std::vector<std::string> requests = {},
                    bool from_class = false) {
  return {.from_class = from_class,
          .requests = std::move(requests),
          .driver = kDriverName,
          .parameters =
              R"({"apiVersion":"hami.io/v1","kind":"SliceConfig","corePolicy":")" + policy + "\"}"};
}

TEST(GrantTest, TheLastConfigThatAppliesCounts) {
  ResourceClaim claim = MakeClaim("a", {{.request = "one"}, {.request = "any/big"}});
  const auto policies = [&](std::vector<OpaqueConfig> configs) {
    claim.configs = std::move(configs);
    const Result<ClaimGrant> grant = Plan(claim);
    EXPECT_TRUE(grant) << grant.error().message;
    return grant->slices.at(0).policy + " " + grant->slices.at(1).policy;
  };
  EXPECT_EQ(policies({}), "default default");
  EXPECT_EQ(policies({Config("force", {}, true)}), "force force");
  EXPECT_EQ(policies({Config("force", {}, true), Config("disable")}), "disable disable");
  EXPECT_EQ(policies({Config("force"), Config("disable"), Config("force")}), "force force");
  EXPECT_EQ(policies({Config("force", {}, true), Config("disable", {"one"})}), "disable force");
  EXPECT_EQ(policies({Config("disable", {"any"})}), "default disable");
  EXPECT_EQ(policies({Config("force", {}, true), Config("burst", {"one"})}), "burst force");
  EXPECT_EQ(policies({Config("disable", {"any/big"})}), "default disable");
  EXPECT_EQ(policies({Config("disable", {"any/small"})}), "default default");
}

TEST(GrantTest, OnlyOurDriversConfigIsRead) {
  ResourceClaim claim = MakeClaim("a");
  claim.configs = {Config("force"), {.driver = "gpu.nvidia.com", .parameters = "{\"kind\":\"x\"}"}};
  EXPECT_EQ(OnlySlice(claim).policy, "force");
}

TEST(GrantTest, AConfigThatIsNotUnderstoodIsRefusedWithItsPlace) {
  ResourceClaim claim = MakeClaim("a");
  claim.configs = {Config("often", {}, true), Config("force")};
  EXPECT_EQ(ErrorOf(claim).code, Code::kInvalidArgument);
  EXPECT_THAT(ErrorOf(claim).message, HasSubstr("config of the DeviceClass: corePolicy"));
  claim.configs = {Config("often")};
  EXPECT_THAT(ErrorOf(claim).message, HasSubstr("config of the claim: corePolicy"));
  claim.configs = {Config("often", {"another-request"})};
  EXPECT_TRUE(Plan(claim));
}

// --- CheckRoom ----------------------------------------------------------------------------------

class CheckRoomTest : public ::testing::Test {
 protected:
  static ClaimGrant Grant(const std::string& name, const std::vector<FakeShare>& shares,
                          bool admin_access = false) {
    ResourceClaim claim = MakeClaim(name, shares);
    for (domain::DeviceResult& result : claim.results) result.admin_access = admin_access;
    const Result<ClaimGrant> grant = Plan(claim);
    EXPECT_TRUE(grant) << grant.error().message;
    return *grant;
  }

  static Status Check(const ClaimGrant& wanted, const std::vector<ClaimGrant>& others) {
    std::vector<const ClaimGrant*> pointers;
    for (const ClaimGrant& other : others) pointers.push_back(&other);
    return CheckRoom(wanted, pointers, MakeGpus(2));
  }
};

TEST_F(CheckRoomTest, MemoryFitsToTheLastMebibyte) {
  const ClaimGrant a = Grant("a", {{.memory_mib = 10240, .cores_pct = 0}});
  EXPECT_TRUE(Check(Grant("b", {{.memory_mib = kA10Mib - 10240, .cores_pct = 0}}), {a}));

  const Status over = Check(Grant("b", {{.memory_mib = kA10Mib - 10239, .cores_pct = 0}}), {a});
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, Code::kResourceExhausted);
  EXPECT_THAT(over.error().message, HasSubstr("GPU hami-gpu-0 "));
  EXPECT_THAT(over.error().message, HasSubstr("default/a"));
  EXPECT_THAT(over.error().message, Not(HasSubstr("default/b"))) << "who asks holds nothing";
}

TEST_F(CheckRoomTest, CoresFitToTheLastPercent) {
  const ClaimGrant a = Grant("a", {{.memory_mib = 1, .cores_pct = 60}});
  EXPECT_TRUE(Check(Grant("b", {{.memory_mib = 1, .cores_pct = 40}}), {a}));
  EXPECT_TRUE(Check(Grant("b", {{.memory_mib = 1, .cores_pct = 0}}), {a}));
  EXPECT_EQ(Check(Grant("b", {{.memory_mib = 1, .cores_pct = 41}}), {a}).error().code,
            Code::kResourceExhausted);
  EXPECT_FALSE(Check(Grant("b", {{.memory_mib = 1, .cores_pct = 100}}), {a}));
}

TEST_F(CheckRoomTest, AWholeGpuFitsAloneOnly) {
  const ClaimGrant whole = Grant("a", {{.memory_mib = kA10Mib, .cores_pct = 0}});
  ASSERT_TRUE(whole.slices[0].whole);
  EXPECT_TRUE(Check(whole, {}));
  EXPECT_FALSE(Check(whole, {Grant("b", {{.memory_mib = 1, .cores_pct = 0}})}));
  EXPECT_FALSE(Check(Grant("b", {{.memory_mib = 1, .cores_pct = 0}}), {whole}));
}

TEST_F(CheckRoomTest, GpusAreCountedApart) {
  const ClaimGrant full = Grant("a", {{.memory_mib = kA10Mib, .cores_pct = 100}});
  EXPECT_TRUE(Check(Grant("b", {{.device = "hami-gpu-1"}}), {full}));
  const Status over = Check(Grant("b", {{.device = "hami-gpu-1"}, {}}), {full});
  ASSERT_FALSE(over);
  EXPECT_THAT(over.error().message, HasSubstr("GPU hami-gpu-0 "));
}

TEST_F(CheckRoomTest, SlicesOfOneClaimAddUp) {
  EXPECT_TRUE(Check(Grant("a", {{.cores_pct = 50}, {.cores_pct = 50}}), {}));
  EXPECT_FALSE(Check(Grant("a", {{.cores_pct = 50}, {.cores_pct = 51}}), {}));
  const FakeShare half = {.memory_mib = kA10Mib / 2, .cores_pct = 0};
  EXPECT_TRUE(Check(Grant("a", {half, half}), {}));
  EXPECT_FALSE(Check(Grant("a", {half, half, half}), {}));
}

TEST_F(CheckRoomTest, AClaimIsNotInItsOwnWay) {
  const ClaimGrant full = Grant("a", {{.memory_mib = kA10Mib, .cores_pct = 100}});
  EXPECT_TRUE(Check(full, {full}));
  EXPECT_TRUE(Check(Grant("a", {{.memory_mib = 1, .cores_pct = 100}}), {full})) << "smaller now";
}

TEST_F(CheckRoomTest, AdminAccessTakesNothing) {
  const std::vector<FakeShare> all = {{.memory_mib = kA10Mib, .cores_pct = 100}};
  const ClaimGrant full = Grant("a", all);
  const ClaimGrant monitor = Grant("m", all, true);
  EXPECT_TRUE(Check(monitor, {full}));
  EXPECT_TRUE(Check(full, {monitor, Grant("n", all, true)}));
}

}  // namespace
}  // namespace hami::dra
