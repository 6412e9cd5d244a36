// SPDX-License-Identifier: Apache-2.0

#include "placement/quota_scope.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "json/value.h"
#include "placement/cluster.h"
#include "placement/fake_cluster.h"
#include "placement/quota.h"

namespace hami::placement {
namespace {

QuotaScope ScopeOf(const std::string& spec) {
  json::Document document;
  EXPECT_TRUE(document.Parse(spec));
  return ReadScope(document.root());
}

std::string Selector(const std::string& name, const std::string& op, const std::string& values) {
  return R"({"scopeSelector":{"matchExpressions":[{"scopeName":")" + name + R"(","operator":")" +
         op + R"(","values":[)" + values + "]}]}}";
}

ScopeTraits Class(const std::string& name) { return {.priority_class = name}; }

TEST(QuotaScopeTest, NoneIsEveryPod) {
  EXPECT_TRUE(ScopeOf("{}").empty());
  EXPECT_TRUE(Matches({}, Class("")));
  EXPECT_TRUE(Matches({}, {.has_deadline = true, .is_best_effort = true, .priority_class = "a"}));
}

TEST(QuotaScopeTest, ScopesAreWords) {
  const ScopeTraits ends = {.has_deadline = true};
  const ScopeTraits modest = {.is_best_effort = true};
  const auto matches = [](const char* word, const ScopeTraits& traits) {
    return Matches(ScopeOf(std::string(R"({"scopes":[")") + word + R"("]})"), traits);
  };
  EXPECT_TRUE(matches("Terminating", ends));
  EXPECT_FALSE(matches("Terminating", modest));
  EXPECT_FALSE(matches("NotTerminating", ends));
  EXPECT_TRUE(matches("NotTerminating", modest));
  EXPECT_TRUE(matches("BestEffort", modest));
  EXPECT_FALSE(matches("BestEffort", ends));
  EXPECT_FALSE(matches("NotBestEffort", modest));
  EXPECT_TRUE(matches("NotBestEffort", ends));
  EXPECT_TRUE(matches("PriorityClass", Class("batch")));
  EXPECT_FALSE(matches("PriorityClass", Class("")));
  // It is about namespaces of affinities: too many pods rather than too few.
  EXPECT_TRUE(matches("CrossNamespacePodAffinity", ends));
}

TEST(QuotaScopeTest, AllScopesMustHold) {
  const QuotaScope both = ScopeOf(R"({"scopes":["Terminating","BestEffort"]})");
  EXPECT_TRUE(Matches(both, {.has_deadline = true, .is_best_effort = true}));
  EXPECT_FALSE(Matches(both, {.has_deadline = true}));
}

TEST(QuotaScopeTest, PriorityClassesAreSelectedLikeLabels) {
  const auto matches = [](const char* op, const char* values, const char* name) {
    return Matches(ScopeOf(Selector("PriorityClass", op, values)), Class(name));
  };
  EXPECT_TRUE(matches("In", R"("a","b")", "b"));
  EXPECT_FALSE(matches("In", R"("a","b")", "c"));
  EXPECT_FALSE(matches("In", R"("a","b")", ""));
  EXPECT_FALSE(matches("NotIn", R"("a","b")", "b"));
  EXPECT_TRUE(matches("NotIn", R"("a","b")", "c"));
  EXPECT_TRUE(matches("NotIn", R"("a","b")", "")) << "without a class it is in none";
  EXPECT_TRUE(matches("Exists", "", "a"));
  EXPECT_FALSE(matches("Exists", "", ""));
  EXPECT_FALSE(matches("DoesNotExist", "", "a"));
  EXPECT_TRUE(matches("DoesNotExist", "", ""));
  EXPECT_TRUE(Matches(ScopeOf(Selector("NotTerminating", "Exists", "")), Class("")));
}

TEST(QuotaScopeTest, APodIsBestEffortWhereNobodyAsksForCpuOrMemory) {
  domain::Pod pod;
  domain::PodContainer& container = pod.containers.emplace_back();
  container.limits = {{"nvidia.com/gpu", "1"}, {"cpu", "0"}};
  EXPECT_TRUE(TraitsOf(pod).is_best_effort);
  container.requests = {{"memory", "1"}};
  EXPECT_FALSE(TraitsOf(pod).is_best_effort);
  container.requests = {{"cpu", "1m"}};
  EXPECT_FALSE(TraitsOf(pod).is_best_effort);
  pod.has_deadline = true;
  pod.priority_class = "batch";
  EXPECT_TRUE(TraitsOf(pod).has_deadline);
  EXPECT_EQ(TraitsOf(pod).priority_class, "batch");
}

// --- In placement (contract 1.11, 11.8) ---

class ScopedQuotaTest : public ::testing::Test {
 protected:
  ScopedQuotaTest() { cluster_.PutNode(TestNode("node", {{.id = "GPU-a"}, {.id = "GPU-b"}})); }

  void Limit(const char* name, int64_t gpumem, const char* of_class) {
    QuotaFacts quota{.namespace_name = "default",
                     .name = name,
                     .limits = {{"limits.nvidia.com/gpumem", gpumem}}};
    if (of_class[0] != '\0') {
      quota.scope = ScopeOf(Selector("PriorityClass", "In", '"' + std::string(of_class) + '"'));
    }
    cluster_.PutQuota(quota);
  }
  static Request Ask(int32_t memory_mib, const char* of_class) {
    Request request = TestRequest({{.memory_mib = memory_mib}});
    request.traits.priority_class = of_class;
    return request;
  }
  bool Fits(int32_t memory_mib, const char* of_class) {
    return cluster_.Place(Ask(memory_mib, of_class), {}).allocation.has_value();
  }
  void Hold(const char* uid, int32_t memory_mib, const char* of_class) {
    const Request request = Ask(memory_mib, of_class);
    const Decision decision = cluster_.Place(request, {});
    ASSERT_TRUE(decision.allocation);
    cluster_.PutPod(TestPod(uid, request, *decision.allocation));
  }

  Cluster cluster_{TestRegistry()};
};

TEST_F(ScopedQuotaTest, LimitsItsOwnPodsAlone) {
  Limit("q", 2000, "batch");
  Hold("other", 3000, "");
  Hold("mine", 1500, "batch");
  EXPECT_TRUE(Fits(500, "batch"));
  EXPECT_FALSE(Fits(501, "batch"));
  EXPECT_TRUE(Fits(3000, ""));
  EXPECT_TRUE(Fits(3000, "urgent"));
}

TEST_F(ScopedQuotaTest, CountsPodsThatWereThereBefore) {
  Hold("other", 3000, "");
  Hold("mine", 1500, "batch");
  Limit("q", 2000, "batch");
  EXPECT_FALSE(Fits(501, "batch"));
  cluster_.RemovePod("mine");
  EXPECT_TRUE(Fits(2000, "batch"));
  EXPECT_FALSE(Fits(2001, "batch"));
  cluster_.RemoveQuota("default", "q");
  EXPECT_TRUE(Fits(2001, "batch"));
}

TEST_F(ScopedQuotaTest, HoldsBesideOneForAll) {
  Limit("all", 4000, "");
  Limit("batch", 2000, "batch");
  Limit("also", 1000, "batch");
  EXPECT_FALSE(Fits(1001, "batch")) << "the smallest that is about it";
  EXPECT_TRUE(Fits(1000, "batch"));
  Hold("other", 3500, "");
  EXPECT_FALSE(Fits(501, "batch")) << "the one for all counts all";
  EXPECT_TRUE(Fits(500, "batch"));
}

TEST_F(ScopedQuotaTest, WhatThePodHoldsAlreadyDoesNotCount) {
  Limit("q", 2000, "batch");
  Hold("mine", 2000, "batch");
  Request again = Ask(2000, "batch");
  EXPECT_FALSE(cluster_.Place(again, {}).allocation);
  again.pod_uid = "mine";
  EXPECT_TRUE(cluster_.Place(again, {}).allocation);
}

TEST_F(ScopedQuotaTest, IsReadFromTheObject) {
  json::Document document;
  ASSERT_TRUE(document.Parse(
      R"({"metadata":{"namespace":"default","name":"q"},"spec":{"scopes":["BestEffort"],)"
      R"("hard":{"limits.nvidia.com/gpumem":"1000"}}})"));
  const auto quota = ReadQuota(TestRegistry(), document.root());
  ASSERT_TRUE(quota);
  cluster_.PutQuota(*quota);
  Request request = TestRequest({{.memory_mib = 1001}});
  EXPECT_TRUE(cluster_.Place(request, {}).allocation);
  request.traits.is_best_effort = true;
  EXPECT_FALSE(cluster_.Place(request, {}).allocation);
}

}  // namespace
}  // namespace hami::placement
