// SPDX-License-Identifier: Apache-2.0
//
// Examples of Kubernetes' documentation: "Assign Pods to Nodes", "Taints and Tolerations".

#include "domain/node_needs.h"

#include <gtest/gtest.h>

#include <string>

#include "json/value.h"

namespace hami::domain {
namespace {

using Labels = std::map<std::string, std::string>;

NodeNeeds Needs(const std::string& spec) {
  json::Document document;
  EXPECT_TRUE(document.Parse("{\"spec\":" + spec + "}")) << spec;
  return ReadNodeNeeds(document.root());
}

// With one term of one expression.
NodeNeeds Affine(const std::string& expression) {
  return Needs(R"({"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":)"
               R"({"nodeSelectorTerms":[{"matchExpressions":[)" +
               expression + "]}]}}}}");
}

TEST(NodeNeedsTest, WithoutDemandsEveryNodeWithoutTaintsWillDo) {
  const NodeNeeds needs = Needs("{}");
  EXPECT_TRUE(needs.TakesAnyLabels());
  EXPECT_TRUE(needs.MetBy("n1", {}));
  EXPECT_TRUE(needs.Tolerates({}));
  EXPECT_FALSE(needs.Tolerates({{"dedicated", "x", "NoSchedule"}}));
}

TEST(NodeNeedsTest, AllOfTheSelectorHasToBeThere) {
  const NodeNeeds needs = Needs(R"({"nodeSelector":{"disktype":"ssd","zone":"a"}})");
  EXPECT_FALSE(needs.TakesAnyLabels());
  EXPECT_TRUE(needs.MetBy("n1", {{"disktype", "ssd"}, {"zone", "a"}, {"more", ""}}));
  EXPECT_FALSE(needs.MetBy("n1", {{"disktype", "ssd"}}));
  EXPECT_FALSE(needs.MetBy("n1", {{"disktype", "ssd"}, {"zone", "b"}}));
}

TEST(NodeNeedsTest, EachOperator) {
  const Labels labels = {{"zone", "a"}, {"gen", "7"}, {"word", "x"}};
  const auto met = [&](const std::string& expression) {
    return Affine(expression).MetBy("n1", labels);
  };
  EXPECT_TRUE(met(R"({"key":"zone","operator":"In","values":["b","a"]})"));
  EXPECT_FALSE(met(R"({"key":"zone","operator":"In","values":["b"]})"));
  EXPECT_FALSE(met(R"({"key":"none","operator":"In","values":["a"]})"));
  EXPECT_FALSE(met(R"({"key":"zone","operator":"NotIn","values":["a"]})"));
  EXPECT_TRUE(met(R"({"key":"none","operator":"NotIn","values":["a"]})"));
  EXPECT_TRUE(met(R"({"key":"zone","operator":"Exists"})"));
  EXPECT_FALSE(met(R"({"key":"none","operator":"Exists"})"));
  EXPECT_FALSE(met(R"({"key":"zone","operator":"DoesNotExist"})"));
  EXPECT_TRUE(met(R"({"key":"none","operator":"DoesNotExist"})"));
  EXPECT_TRUE(met(R"({"key":"gen","operator":"Gt","values":["6"]})"));
  EXPECT_FALSE(met(R"({"key":"gen","operator":"Gt","values":["7"]})"));
  EXPECT_TRUE(met(R"({"key":"gen","operator":"Lt","values":["10"]})"));
  EXPECT_FALSE(met(R"({"key":"gen","operator":"Lt","values":["7"]})"));
  EXPECT_FALSE(met(R"({"key":"word","operator":"Lt","values":["7"]})"));
  EXPECT_FALSE(met(R"({"key":"none","operator":"Gt","values":["7"]})"));
  EXPECT_FALSE(met(R"({"key":"gen","operator":"Gt","values":[]})"));
  EXPECT_TRUE(met(R"({"key":"gen","operator":"OfALaterVersion","values":["7"]})"));
}

TEST(NodeNeedsTest, OneTermAndAllInIt) {
  const NodeNeeds needs = Needs(R"({"affinity":{"nodeAffinity":{
    "requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[
      {"matchExpressions":[{"key":"zone","operator":"In","values":["a"]},
                           {"key":"gen","operator":"Exists"}]},
      {"matchFields":[{"key":"metadata.name","operator":"In","values":["n7"]}]},
      {}]}}}})");
  EXPECT_FALSE(needs.TakesAnyLabels());
  EXPECT_TRUE(needs.MetBy("n1", {{"zone", "a"}, {"gen", ""}}));
  EXPECT_FALSE(needs.MetBy("n1", {{"zone", "a"}}));
  EXPECT_TRUE(needs.MetBy("n7", {}));
  EXPECT_FALSE(needs.MetBy("n8", {}));  // an empty term holds for no node
}

TEST(NodeNeedsTest, AnAffinityWithoutTermsIsMetByNoNode) {
  EXPECT_FALSE(Needs(R"({"affinity":{"nodeAffinity":{
    "requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[]}}}})")
                   .MetBy("n1", {{"zone", "a"}}));
  // What is only preferred demands nothing.
  EXPECT_TRUE(Needs(R"({"affinity":{"nodeAffinity":{
    "preferredDuringSchedulingIgnoredDuringExecution":[{"weight":1}]}}})")
                  .TakesAnyLabels());
}

TEST(NodeNeedsTest, TolerationsCoverTaints) {
  const Taint taint = {"key1", "value1", "NoSchedule"};
  const auto tolerates = [&](const std::string& toleration) {
    return Needs("{\"tolerations\":[" + toleration + "]}").Tolerates({taint});
  };
  EXPECT_TRUE(tolerates(R"({"key":"key1","operator":"Equal","value":"value1"})"));
  EXPECT_TRUE(tolerates(R"({"key":"key1","value":"value1","effect":"NoSchedule"})"));
  EXPECT_FALSE(tolerates(R"({"key":"key1","value":"value1","effect":"NoExecute"})"));
  EXPECT_FALSE(tolerates(R"({"key":"key1","value":"other"})"));
  EXPECT_FALSE(tolerates(R"({"key":"key2","operator":"Exists"})"));
  EXPECT_TRUE(tolerates(R"({"key":"key1","operator":"Exists"})"));
  EXPECT_TRUE(tolerates(R"({"operator":"Exists"})"));
  EXPECT_FALSE(tolerates(R"({"value":"value1"})"));  // an empty key needs Exists
  const NodeNeeds one = Needs(R"({"tolerations":[{"key":"key1","operator":"Exists"}]})");
  EXPECT_FALSE(one.Tolerates({taint, {"key2", "", "NoExecute"}}));
}

TEST(BarringTaintsTest, ThoseThatKeepNewPodsAway) {
  Node node;
  node.taints = {{"a", "", "NoSchedule"}, {"b", "", "PreferNoSchedule"}, {"c", "x", "NoExecute"}};
  EXPECT_EQ(BarringTaints(node),
            (std::vector<Taint>{{"a", "", "NoSchedule"}, {"c", "x", "NoExecute"}}));
  node.unschedulable = true;
  ASSERT_EQ(BarringTaints(node).size(), 3U);
  EXPECT_EQ(BarringTaints(node)[2].key, "node.kubernetes.io/unschedulable");
  // As the node controller writes it: once.
  node.taints = {{"node.kubernetes.io/unschedulable", "", "NoSchedule"}};
  EXPECT_EQ(BarringTaints(node).size(), 1U);
}

}  // namespace
}  // namespace hami::domain
