// SPDX-License-Identifier: Apache-2.0
//
// AWS Neuron: cores as masks, runs of neighbours, devices of 2 and of 4 cores.

#include <gtest/gtest.h>

#include <vector>

#include "placement/rules/fake_rules.h"
#include "placement/rules/rules.h"

namespace hami::placement {
namespace {

domain::Node NeuronNode(const char* type, int devices, int cores_each = 2,
                        const char* name = "aws") {
  domain::Node node;
  node.name = name;
  node.capacity = {{"aws.amazon.com/neuron", std::to_string(devices)},
                   {"aws.amazon.com/neuroncore", std::to_string(cores_each * devices)}};
  node.labels["node.kubernetes.io/instance-type"] = type;
  return node;
}

TEST_F(RulesTest, NeuronCoresAreMasks) {
  AddNode(NeuronNode("inf2.xlarge", 1));
  const Texts core = {{"aws.amazon.com/neuroncore", "1"}};
  ASSERT_FALSE(Put(PodOf({core})).empty()) << why_;
  EXPECT_EQ(slices_[0].cores, 1);
  EXPECT_TRUE(Put(PodOf({{{"aws.amazon.com/neuroncore", "2"}}})).empty());
  EXPECT_TRUE(Says("CardInsufficientCore")) << why_;
  EXPECT_TRUE(Put(PodOf({{{"aws.amazon.com/neuron", "1"}}})).empty());
  ASSERT_FALSE(Put(PodOf({core})).empty()) << why_;
  EXPECT_EQ(slices_[0].cores, 2);
  EXPECT_TRUE(Put(PodOf({core})).empty());
}

TEST_F(RulesTest, NeuronWholeDevicesHaveAllCores) {
  AddNode(NeuronNode("inf2.24xlarge", 6));
  ASSERT_EQ(Put(PodOf({{{"aws.amazon.com/neuron", "1"}}})).size(), 1U) << why_;
  EXPECT_EQ(slices_[0].cores, 3);
}

TEST_F(RulesTest, NeuronDevicesAreARun) {
  AddNode(NeuronNode("inf2.24xlarge", 6));
  ASSERT_FALSE(Put(PodOf({{{"aws.amazon.com/neuron", "2"}}})).empty()) << why_;
  EXPECT_EQ(slices_[0].device, "aws-AWSNeuron-0");
  EXPECT_EQ(slices_[1].device, "aws-AWSNeuron-1");
  ASSERT_FALSE(Put(PodOf({{{"aws.amazon.com/neuroncore", "6"}}})).empty()) << why_;
  EXPECT_EQ(slices_[0].device, "aws-AWSNeuron-2");
  EXPECT_EQ(slices_[2].device, "aws-AWSNeuron-4");
  EXPECT_TRUE(Put(PodOf({{{"aws.amazon.com/neuron", "2"}}})).empty());
}

TEST_F(RulesTest, NeuronRunsOfTrainiumAreAligned) {
  domain::Node node = NeuronNode("trn1.32xlarge", 16);
  node.annotations["hami.io/device-cordon"] = "aws-AWSNeuron-1";
  AddNode(node);
  EXPECT_TRUE(Put(PodOf({{{"aws.amazon.com/neuron", "2"}}})).empty());
  EXPECT_TRUE(Says("NumaNotFit")) << why_;
  ASSERT_EQ(Put(PodOf({{{"aws.amazon.com/neuron", "4"}}})).size(), 4U) << why_;
  EXPECT_EQ(slices_[0].device, "aws-AWSNeuron-4");
  EXPECT_TRUE(Put(PodOf({{{"aws.amazon.com/neuron", "16"}}})).empty());
}

TEST_F(RulesTest, NeuronRunsStepByTheirLengthWithoutAnInstanceType) {
  domain::Node node = NeuronNode("trn1.32xlarge", 16);
  node.labels.clear();
  node.annotations["hami.io/device-cordon"] = "aws-AWSNeuron-8";
  AddNode(node);
  ASSERT_EQ(Put(PodOf({{{"aws.amazon.com/neuron", "8"}}})).size(), 8U) << why_;
  EXPECT_EQ(slices_[0].device, "aws-AWSNeuron-0");
  EXPECT_TRUE(Put(PodOf({{{"aws.amazon.com/neuron", "8"}}})).empty());
  ASSERT_EQ(Put(PodOf({{{"aws.amazon.com/neuroncore", "8"}}})).size(), 4U) << why_;
  EXPECT_EQ(slices_[0].device, "aws-AWSNeuron-12");
  EXPECT_EQ(slices_[0].cores, 3) << "both, as a mask";
}

// Contract 11.10: how many cores a device has is the node's own word.

domain::Pod CoresPod(int cores) {
  return PodOf({{{"aws.amazon.com/neuroncore", std::to_string(cores)}}});
}

TEST_F(RulesTest, NeuronDevicesOfFourCoresAreGivenCoreByCore) {
  AddNode(NeuronNode("inf1.xlarge", 1, 4));
  ASSERT_FALSE(Put(CoresPod(1)).empty()) << why_;
  EXPECT_EQ(slices_[0].cores, 0b0001);
  ASSERT_FALSE(Put(CoresPod(2)).empty()) << why_;
  EXPECT_EQ(slices_[0].cores, 0b0110);
  EXPECT_TRUE(Put(CoresPod(2)).empty());
  EXPECT_TRUE(Says("1/1 CardInsufficientCore")) << why_;
  ASSERT_FALSE(Put(CoresPod(1)).empty()) << why_;
  EXPECT_EQ(slices_[0].cores, 0b1000);
  EXPECT_EQ(cluster_.UseOf("aws")[0].cores, 4);
  EXPECT_TRUE(Put(CoresPod(1)).empty());
}

TEST_F(RulesTest, NeuronFourCoresAreOneDeviceOfFour) {
  AddNode(NeuronNode("inf1.6xlarge", 4, 4));
  ASSERT_EQ(Put(CoresPod(4)).size(), 1U) << why_;
  EXPECT_EQ(slices_[0].cores, 0b1111);
  ASSERT_EQ(Put(CoresPod(8)).size(), 2U) << why_;
  EXPECT_EQ(slices_[0].cores, 0b1111);
  EXPECT_EQ(slices_[1].cores, 0b1111);
  EXPECT_TRUE(Put(CoresPod(8)).empty()) << "only one is idle";
  ASSERT_EQ(Put(PodOf({{{"aws.amazon.com/neuron", "1"}}})).size(), 1U) << why_;
  EXPECT_EQ(slices_[0].cores, 0b1111) << "a whole one has all four";
}

TEST_F(RulesTest, NeuronCoresOfSeveralDevicesAreARunOfIdleOnes) {
  domain::Node node = NeuronNode("inf1.6xlarge", 4, 4);
  node.annotations["hami.io/device-cordon"] = "aws-AWSNeuron-1";
  AddNode(node);
  EXPECT_EQ(Put(CoresPod(8)), (Names{"aws-AWSNeuron-2", "aws-AWSNeuron-3"})) << why_;
  EXPECT_TRUE(Put(CoresPod(16)).empty());
}

// Six are one and a half devices of four: no run of them has six.
TEST_F(RulesTest, NeuronCoresThatFillNoDevicesGoWhereTheyDo) {
  AddNode(NeuronNode("inf1.6xlarge", 4, 4, "inf1"));
  EXPECT_TRUE(Put(CoresPod(6)).empty());
  EXPECT_TRUE(Says("4/4 CardInsufficientCore")) << why_;
  AddNode(NeuronNode("inf2.24xlarge", 6, 2, "inf2"));
  EXPECT_EQ(Put(CoresPod(6)).size(), 3U) << why_;
  EXPECT_EQ(node_, "inf2");
}

// Whichever node is known first: the same pod is one device here and two there.
TEST_F(RulesTest, NeuronNodesOfTwoAndOfFourCoresStandSideBySide) {
  const auto request = MakeRequest(TestRegistry(), CoresPod(4), {});
  ASSERT_TRUE(request);
  for (const bool four_first : {true, false}) {
    Cluster cluster(TestRegistry());
    for (const bool four : {four_first, !four_first}) {
      cluster.PutNode(FactsOf(four ? NeuronNode("inf1.xlarge", 1, 4, "inf1")
                                   : NeuronNode("inf2.24xlarge", 6, 2, "inf2")));
    }
    const auto slices_on = [&](const char* node) {
      const Decision decision = cluster.PlaceOn(*request, node);
      return decision.allocation ? decision.allocation->slices : std::vector<domain::Slice>();
    };
    const std::vector<domain::Slice> four = slices_on("inf1");
    ASSERT_EQ(four.size(), 1U);
    EXPECT_EQ(four[0].cores, 0b1111);
    const std::vector<domain::Slice> two = slices_on("inf2");
    ASSERT_EQ(two.size(), 2U);
    EXPECT_EQ(two[0].cores, 0b11);
    EXPECT_EQ(two[1].cores, 0b11);
  }
}

// By contract 1.7 a score is 0 where a device has no memory that is known: nodes and devices of
// Neuron are equals whatever their cores, and are filled one after the other.
TEST_F(RulesTest, NeuronDevicesAreEqualsToEveryPolicy) {
  AddNode(NeuronNode("inf1.2xlarge", 2, 4, "a"));
  AddNode(NeuronNode("inf2.24xlarge", 6, 2, "b"));
  for (const NodePolicy policy : {NodePolicy::kBinpack, NodePolicy::kSpread}) {
    for (const DeviceKey key : {DeviceKey::kBinpack, DeviceKey::kSpread}) {
      Policy both{.node = policy};
      both.device.keys = {key};
      EXPECT_EQ(Put(CoresPod(1), both), Names{"a-AWSNeuron-1"}) << why_;
    }
  }
  EXPECT_EQ(Put(CoresPod(1)), Names{"a-AWSNeuron-0"}) << "the other one is full";
}

// Limits count cores, however many devices they are on.
TEST_F(RulesTest, NeuronQuotasCountCores) {
  AddNode(NeuronNode("inf1.6xlarge", 4, 4));
  cluster_.PutQuota({.namespace_name = "default",
                     .name = "q",
                     .limits = {{"limits.aws.amazon.com/neuroncore", 8}}});
  EXPECT_TRUE(Put(CoresPod(12)).empty());
  EXPECT_TRUE(Says("ResourceQuotaNotFit")) << why_;
  ASSERT_EQ(Put(CoresPod(8)).size(), 2U) << why_;
  EXPECT_TRUE(Put(CoresPod(1)).empty());
}

TEST_F(RulesTest, NeuronNearestMissCountsTheNodesDevices) {
  AddNode(NeuronNode("inf1.2xlarge", 2, 4));
  ASSERT_FALSE(Put(CoresPod(1)).empty()) << why_;
  const auto request = MakeRequest(TestRegistry(), CoresPod(8), {});
  ASSERT_TRUE(request);
  const Decision decision = cluster_.Place(*request, {});
  ASSERT_TRUE(decision.nearest);
  EXPECT_EQ(decision.nearest->text,
            "aws: 1 of 2 AWSNeuron cards fits; aws-AWSNeuron-1 has 3 of its cores free of 4 asked");
}

}  // namespace
}  // namespace hami::placement
