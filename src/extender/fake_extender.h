// SPDX-License-Identifier: Apache-2.0
//
// For tests: an Extender before an API server's memory, led by nobody else.

#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "extender/extender.h"
#include "extender/fake_api.h"
#include "kube/client.h"

namespace hami::extender {

using Json = FakeApi::Json;

class SetLeader : public Leadership {
 public:
  int64_t LeftMs() const override { return left_ms; }
  std::string Describe() const override { return "another leads"; }
  std::atomic<int64_t> left_ms = 60'000;
};

class ExtenderTest : public ::testing::Test {
 protected:
  explicit ExtenderTest(ExtenderOptions options = {}) : options_(std::move(options)) {}

  void PutNode(const std::string& name, int gpus, int memory_mib, bool takes_binding = true) {
    PutNode(NodeJson(name, takes_binding, gpus, memory_mib));
  }
  void PutNode(const Json& node) {
    api_.Put("/api/v1/nodes/" + node["metadata"]["name"].get<std::string>(), node);
    json::Document document;
    EXPECT_TRUE(document.Parse(node.dump()));
    auto entry = ReadNodeEntry(registry_, document.root());
    ASSERT_TRUE(entry);
    state_.nodes().OnUpsert(std::make_shared<const NodeEntry>(std::move(*entry)));
  }
  // Into the API, not into the state: as long as the watch has not shown it.
  void PutPod(const Json& pod) {
    api_.Put("/api/v1/namespaces/default/pods/" + pod["metadata"]["name"].get<std::string>(), pod);
  }
  Json Pod(const std::string& name) const {
    return api_.Get("/api/v1/namespaces/default/pods/" + name);
  }
  Json Filter(const Json& pod, const std::vector<std::string>& nodes) {
    return Json::parse(
        extender_.Filter(Json({{"Pod", pod}, {"Nodes", nullptr}, {"NodeNames", nodes}}).dump()));
  }
  Json Bind(const std::string& name, const std::string& uid, const std::string& node) {
    return Json::parse(extender_.Bind(
        Json({{"PodName", name}, {"PodNamespace", "default"}, {"PodUID", uid}, {"Node", node}})
            .dump()));
  }
  Json Preempt(const Json& pod, const Json& meta_victims) {
    const Json body = {{"Pod", pod}, {"NodeNameToMetaVictims", meta_victims}};
    return Json::parse(extender_.Preempt(body.dump()))["NodeNameToMetaVictims"];
  }
  // As the watch shows it once it is bound: it holds these MiB of the node's first card.
  void PutHolder(const std::string& name, const std::string& uid, const std::string& node,
                 int memory_mib, int priority = 0) {
    Json pod = PodJson(name, uid, 1, memory_mib, 10);
    pod["spec"]["nodeName"] = node;
    pod["spec"]["priority"] = priority;
    pod["metadata"]["annotations"] = {
        {"hami.io/vgpu-node", node},
        {"hami.io/vgpu-devices-allocated",
         "GPU-" + node + "-0,NVIDIA," + std::to_string(memory_mib) + ",10:;"}};
    ShowPod(pod);
  }
  // As the watch shows it.
  void ShowPod(const Json& pod) {
    json::Document document;
    EXPECT_TRUE(document.Parse(pod.dump()));
    auto record = ReadPodRecord(registry_, document.root());
    ASSERT_TRUE(record);
    state_.pods().OnUpsert(std::make_shared<const PodRecord>(std::move(*record)));
  }
  int MemoryUsed(const std::string& node = "n1") const {
    int sum = 0;
    state_.Look([&](const placement::Cluster& cluster) {
      for (const placement::DeviceUse& use : cluster.UseOf(node)) sum += use.memory_mib;
    });
    return sum;
  }
  std::vector<std::string> Events() {
    EXPECT_TRUE(events_.Flush(5'000));
    return api_.EventReasons();
  }

  const ExtenderOptions options_;
  const vendor::Registry registry_ = vendor::Registry::Default();
  FakeApi api_;
  metrics::Registry metrics_registry_;
  ExtenderMetrics metrics_{metrics_registry_};
  kube::Client client_{api_.Config(), {.user_agent = "tester"}};
  kube::EventRecorder events_{client_, "hami-scheduler", "host"};
  ClusterState state_{registry_, base::SystemClock(), {}};
  SetLeader leader_;
  Binder binder_{client_};
  HamiProtocol hami_{{.lock_timeout_ms = 300'000, .group_retry_ms = 400},
                     registry_,
                     client_,
                     binder_,
                     base::SystemClock()};
  Extender extender_{
      options_, registry_, base::SystemClock(), state_, leader_, binder_, hami_, client_,
      events_,  metrics_};
};

}  // namespace hami::extender
