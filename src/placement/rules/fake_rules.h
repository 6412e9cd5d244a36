// SPDX-License-Identifier: Apache-2.0
//
// For tests of the rules of single vendors, through placement: nodes and pods as they are read from
// the API.

#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "placement/cluster.h"
#include "placement/fake_cluster.h"
#include "placement/request.h"
#include "placement/rules/rules.h"

namespace hami::placement {

using Texts = std::map<std::string, std::string>;
using Names = std::vector<std::string>;

inline domain::Pod PodOf(std::vector<Texts> containers, Texts annotations = {}) {
  static int number = 0;
  domain::Pod pod;
  pod.namespace_name = "default";
  pod.name = pod.uid = "pod-" + std::to_string(++number);
  pod.annotations = std::move(annotations);
  for (Texts& limits : containers) {
    domain::PodContainer& container = pod.containers.emplace_back();
    container.name = "c" + std::to_string(pod.containers.size() - 1);
    container.limits = std::move(limits);
  }
  return pod;
}

inline Names Sorted(Names names) {
  std::sort(names.begin(), names.end());
  return names;
}

// What is known of a node, as the scheduler reads it.
inline NodeFacts FactsOf(const domain::Node& node,
                         const vendor::Registry& registry = TestRegistry()) {
  NodeFacts facts;
  facts.name = node.name;
  facts.devices = registry.DevicesOf(node, nullptr);
  facts.labels = node.labels;
  facts.annotations = node.annotations;
  return facts;
}

// A node of which one annotation says what it has.
inline domain::Node Announced(std::string name, const std::string& key, std::string text) {
  domain::Node node;
  node.name = std::move(name);
  node.annotations[key] = std::move(text);
  return node;
}

// Likewise, with so many devices in a JSON list; `device_of(i)` is one of them.
template <typename DeviceOf>
domain::Node Announced(std::string name, const std::string& key, size_t count, DeviceOf device_of) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += (i > 0 ? "," : "") + std::string(device_of(i));
  return Announced(std::move(name), key, "[" + text + "]");
}

class RulesTest : public testing::Test {
 protected:
  void AddNode(const domain::Node& node) {
    const NodeFacts facts = FactsOf(node);
    ASSERT_FALSE(facts.devices.empty());
    cluster_.PutNode(facts);
  }

  // Places the pod and keeps it; what it holds is read back from what is written on it.
  // "" and the reasons where it does not fit.
  Names Put(const domain::Pod& pod, const Policy& policy = {}) {
    why_.clear();
    node_.clear();
    slices_.clear();
    const auto request = MakeRequest(TestRegistry(), pod, policy);
    if (!request) {
      why_ = request.error().message;
      return {};
    }
    const Decision decision = cluster_.Place(*request, {});
    if (!decision.allocation) {
      for (const Misfit& misfit : decision.misfits) why_ += misfit.text + "\n";
      return {};
    }
    node_ = decision.allocation->node;
    const NodeFacts* facts = cluster_.FindNode(node_);
    domain::Pod written = pod;
    for (auto& [key, value] :
         TestRegistry().WriteAllocation(pod, *decision.allocation, facts->devices, 0)) {
      written.annotations[key] = value;
    }
    const auto read = TestRegistry().ReadAllocation(written);
    EXPECT_TRUE(read) << read.error().message;
    if (!read) return {};
    EXPECT_EQ(read->slices, decision.allocation->slices);
    slices_ = read->slices;
    cluster_.PutPod(TestPod(pod.uid, *request, *read));
    Names names;
    for (const domain::Slice& slice : slices_) names.push_back(slice.device);
    return names;
  }

  bool Says(std::string_view word) const { return why_.find(word) != std::string::npos; }

  Cluster cluster_{TestRegistry()};
  std::string why_;   // of the last Put that did not fit
  std::string node_;  // of the last that did
  std::vector<domain::Slice> slices_;
};

// The devices of one node for a rule that is asked directly; nobody is on them but this pod.
class IdleView : public NodeView {
 public:
  explicit IdleView(const domain::Node& node, std::vector<uint16_t> taken)
      : facts_(FactsOf(node)), taken_(std::move(taken)) {}
  const NodeFacts& facts() const override { return facts_; }
  size_t size() const override { return facts_.devices.size(); }
  const vendor::Device& device(size_t number) const override { return facts_.devices[number]; }
  DeviceUse use(size_t number) const override {
    return {.slots = static_cast<int32_t>(Tenants(number).size())};
  }
  std::vector<Tenant> Tenants(size_t number) const override {
    const bool taken = std::find(taken_.begin(), taken_.end(), number) != taken_.end();
    return taken ? std::vector<Tenant>{{.same_pod = true}} : std::vector<Tenant>();
  }
  double ScoreBy(const Rule& rule, const domain::Pod& pod) const {
    const auto request = MakeRequest(TestRegistry(), pod, {});
    EXPECT_TRUE(request);
    const vendor::Request& asked = request->containers.at(0).requests.at(0);
    return rule.ScoreNode(
        {.spec = TestRegistry().at(asked.vendor), .request = asked, .pod = *request}, *this,
        taken_);
  }

 private:
  NodeFacts facts_;
  std::vector<uint16_t> taken_;
};

}  // namespace hami::placement
