// SPDX-License-Identifier: Apache-2.0
//
// Random clusters, requests and histories against a model that is slow and plain: it recounts every
// pod on every question and tries every set of devices. The model shares no code with src/placement
// but the data types. HAMI_SOAK_SECONDS: three times as many worlds.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "placement/cluster.h"
#include "placement/fake_cluster.h"

namespace hami::placement {
namespace {

using domain::ContainerKind;
using ::testing::IsEmpty;

class Dice {
 public:
  explicit Dice(uint32_t seed) : engine_(seed) {}
  // From `low` to `high`, both possible.
  int32_t Roll(int32_t low, int32_t high) {
    return low + static_cast<int32_t>(engine_() % static_cast<uint32_t>(high - low + 1));
  }
  bool OneIn(int32_t n) { return Roll(1, n) == 1; }

 private:
  std::mt19937 engine_;
};

// What there is, as the model keeps it.
struct Model {
  std::vector<NodeFacts> nodes;  // in the order in which they were put first
  std::map<std::string, PodFacts> pods;
  std::vector<QuotaFacts> quotas;
};

const vendor::Device* FindDevice(const NodeFacts& node, const std::string& id) {
  for (const vendor::Device& device : node.devices) {
    if (device.id == id) return &device;
  }
  return nullptr;
}

// What a pod holds of a device at its worst moment, by going through its life step by step.
DeviceUse WorstMoment(const PodFacts& pod, const std::string& device, bool mig) {
  const auto of_container = [&](size_t container) {
    DeviceUse sum;
    for (const domain::Slice& slice : pod.slices) {
      if (slice.container != container || slice.device != device) continue;
      ++sum.slots;
      sum.memory_mib += slice.memory_mib;
      sum.cores += slice.cores;
    }
    return sum;
  };
  const auto add = [](DeviceUse* to, const DeviceUse& what) {
    to->slots += what.slots;
    to->memory_mib += what.memory_mib;
    to->cores += what.cores;
  };
  const auto raise = [](DeviceUse* to, const DeviceUse& what) {
    to->slots = std::max(to->slots, what.slots);
    to->memory_mib = std::max(to->memory_mib, what.memory_mib);
    to->cores = std::max(to->cores, what.cores);
  };
  DeviceUse all;
  for (size_t i = 0; i < pod.kinds.size(); ++i) add(&all, of_container(i));
  if (mig) return all;
  DeviceUse at_end;
  for (size_t i = 0; i < pod.kinds.size(); ++i) {
    if (pod.kinds[i] != ContainerKind::kInit) add(&at_end, of_container(i));
  }
  DeviceUse worst = at_end;
  if (pod.init_done) return worst;
  for (size_t now = 0; now < pod.kinds.size(); ++now) {
    if (pod.kinds[now] == ContainerKind::kApp) continue;
    DeviceUse moment = of_container(now);
    for (size_t before = 0; before < now; ++before) {
      if (pod.kinds[before] == ContainerKind::kSidecar) add(&moment, of_container(before));
    }
    raise(&worst, moment);
  }
  return worst;
}

DeviceUse UsedOf(const Model& model, const NodeFacts& node, const vendor::Device& device,
                 const std::string& but_uid) {
  DeviceUse used;
  for (const auto& [uid, pod] : model.pods) {
    if (pod.node != node.name || uid == but_uid) continue;
    const DeviceUse of_pod = WorstMoment(pod, device.id, device.mode == "mig");
    used.slots += of_pod.slots;
    used.memory_mib += of_pod.memory_mib;
    used.cores += of_pod.cores;
  }
  return used;
}

bool IsFaulty(const Model& model, const NodeFacts& node, const vendor::Device& device,
              const std::string& but_uid) {
  for (const auto& [uid, pod] : model.pods) {
    if (pod.node != node.name || uid == but_uid) continue;
    for (const domain::Slice& slice : pod.slices) {
      if (slice.device == device.id && slice.mig.has_value() != (device.mode == "mig")) return true;
      if (slice.mig && FindDevice(node, slice.device) == nullptr && device.mode == "mig") {
        return true;
      }
    }
  }
  return false;
}

std::set<int32_t> TakenSlices(const Model& model, const NodeFacts& node,
                              const vendor::Device& device, const std::string& but_uid) {
  std::set<int32_t> taken;
  for (const auto& [uid, pod] : model.pods) {
    if (pod.node != node.name || uid == but_uid) continue;
    for (const domain::Slice& slice : pod.slices) {
      if (slice.device != device.id || !slice.mig) continue;
      for (int32_t i = 0; i < slice.mig->size; ++i) taken.insert(slice.mig->start + i);
    }
  }
  return taken;
}

struct Tried {
  std::vector<DeviceUse> used;  // by device of the node
  std::vector<std::set<int32_t>> mig;
  int64_t quota_memory = 0;  // of what runs of the pod now
  int64_t quota_cores = 0;
};

// Tries every distribution of a pod over one node.
class BruteForce {
 public:
  BruteForce(const Model& model, const NodeFacts& node, const Request& request)
      : node_(node), request_(request) {
    for (const vendor::Device& device : node.devices) {
      start_.used.push_back(UsedOf(model, node, device, request.pod_uid));
      start_.mig.push_back(TakenSlices(model, node, device, request.pod_uid));
      faulty_.push_back(IsFaulty(model, node, device, request.pod_uid));
    }
    for (const QuotaFacts& quota : model.quotas) {
      if (quota.namespace_name != request.namespace_name) continue;
      for (const auto& [key, limit] : quota.limits) {
        int64_t& left = key == "limits.nvidia.com/gpumem" ? memory_left_ : cores_left_;
        left = std::min(left, limit);
      }
    }
    int64_t memory = 0;
    int64_t cores = 0;
    for (const auto& [uid, pod] : model.pods) {
      if (pod.namespace_name != request.namespace_name || uid == request.pod_uid) continue;
      const DeviceUse held = WorstMoment(Merged(pod), "all", false);
      memory += held.memory_mib;
      cores += held.cores;
    }
    if (memory_left_ != kNoLimit) memory_left_ -= memory;
    if (cores_left_ != kNoLimit) cores_left_ -= cores;
  }

  bool Fits() {
    if (request_.check_native && node_.cpu_milli > 0 && request_.cpu_milli > node_.cpu_milli) {
      return false;
    }
    return Container(0, start_);
  }

 private:
  static constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

  // The pod as if all its slices were of one device.
  static PodFacts Merged(PodFacts pod) {
    for (domain::Slice& slice : pod.slices) slice.device = "all";
    return pod;
  }

  bool Container(size_t number, const Tried& tried) {
    if (number == request_.containers.size()) return true;
    const ContainerAsk& container = request_.containers[number];
    if (container.requests.empty()) return Container(number + 1, tried);
    return Devices(number, 0, container.requests[0].count, -1, tried, tried);
  }

  bool Devices(size_t number, size_t from, int32_t missing, int32_t numa, const Tried& tried,
               const Tried& before) {
    const vendor::Request& ask = request_.containers[number].requests[0];
    if (missing == 0) {
      Tried next = tried;
      if (request_.containers[number].kind == ContainerKind::kInit) {
        next = before;
        for (size_t i = 0; i < node_.devices.size(); ++i) {
          if (node_.devices[i].mode != "mig") continue;  // instances stay
          next.mig[i] = tried.mig[i];
          next.used[i] = tried.used[i];
        }
        if (AnyMig()) {
          next.quota_memory = before.quota_memory + MigDelta(tried, before, true);
          next.quota_cores = before.quota_cores + MigDelta(tried, before, false);
        }
      }
      return Container(number + 1, next);
    }
    for (size_t i = from; i < node_.devices.size(); ++i) {
      const vendor::Device& device = node_.devices[i];
      if (request_.policy.numa_bind && numa >= 0 && device.numa != numa) continue;
      if (!Allowed(device, i, ask, tried)) continue;
      const int32_t memory =
          ask.memory_mib > 0
              ? ask.memory_mib
              : static_cast<int32_t>(int64_t{device.memory_mib} * ask.memory_pct / 100);
      if (device.memory_mib - tried.used[i].memory_mib < memory) continue;
      if (device.mode != "mig" && !CoresAllowed(device, ask, tried.used[i])) continue;
      if (device.mode != "mig") {
        Tried next = tried;
        if (!Add(i, memory, ask.cores, &next)) continue;
        if (Devices(number, i + 1, missing - 1, device.numa, next, before)) return true;
        continue;
      }
      if (!QuotaAllows(tried, memory, ask.cores)) continue;
      for (const vendor::MigProfile& profile : device.mig_profiles) {
        if (profile.cores < ask.cores || profile.memory_mib < Wanted(device, ask, memory)) continue;
        for (const vendor::MigProfile::Place& place : profile.places) {
          Tried next = tried;
          bool free = true;
          for (int32_t k = 0; k < place.size; ++k) {
            free = free && next.mig[i].insert(place.start + k).second;
          }
          if (!free || !Add(i, profile.memory_mib, profile.cores, &next)) continue;
          if (Devices(number, i, missing - 1, device.numa, next, before)) return true;
        }
      }
    }
    return false;
  }

  bool AnyMig() const {
    return std::any_of(node_.devices.begin(), node_.devices.end(),
                       [](const vendor::Device& device) { return device.mode == "mig"; });
  }

  int64_t MigDelta(const Tried& after, const Tried& before, bool memory) const {
    int64_t delta = 0;
    for (size_t i = 0; i < node_.devices.size(); ++i) {
      if (node_.devices[i].mode != "mig") continue;
      delta += memory ? after.used[i].memory_mib - before.used[i].memory_mib
                      : after.used[i].cores - before.used[i].cores;
    }
    return delta;
  }

  // All of a GPU is what its largest profile gives.
  static int32_t Wanted(const vendor::Device& device, const vendor::Request& ask, int32_t memory) {
    if (ask.memory_mib > 0 || ask.memory_pct < 100) return memory;
    int32_t largest = 0;
    for (const vendor::MigProfile& profile : device.mig_profiles) {
      largest = std::max(largest, profile.memory_mib);
    }
    return std::min(largest, memory);
  }

  bool Allowed(const vendor::Device& device, size_t number, const vendor::Request& /*ask*/,
               const Tried& tried) const {
    if (!device.healthy || device.cordoned || faulty_[number]) return false;
    const vendor::Selectors& selectors = request_.selectors[0];
    const auto has = [](const std::vector<std::string>& list, const std::string& what) {
      return std::find(list.begin(), list.end(), what) != list.end();
    };
    if (!selectors.use_ids.empty() && !has(selectors.use_ids, device.id)) return false;
    if (has(selectors.avoid_ids, device.id)) return false;
    const auto part_of = [&device](const std::vector<std::string>& list) {
      return std::any_of(list.begin(), list.end(), [&device](const std::string& part) {
        return device.type.find(part) != std::string::npos;
      });
    };
    if (!selectors.use_types.empty() && !part_of(selectors.use_types)) return false;
    if (part_of(selectors.avoid_types)) return false;
    if (tried.used[number].slots >= device.slots) return false;
    return !request_.policy.device.only_idle || tried.used[number].slots == 0;
  }

  static bool CoresAllowed(const vendor::Device& device, const vendor::Request& ask,
                           const DeviceUse& used) {
    if (device.cores - used.cores < ask.cores) return false;
    if (device.cores == 100 && ask.cores == 100 && used.slots > 0) return false;
    return device.cores == 0 || used.cores != device.cores || ask.cores != 0;
  }

  bool QuotaAllows(const Tried& tried, int64_t memory, int64_t cores) const {
    return (memory_left_ == kNoLimit || tried.quota_memory + memory <= memory_left_) &&
           (cores_left_ == kNoLimit || tried.quota_cores + cores <= cores_left_);
  }

  bool Add(size_t number, int32_t memory, int32_t cores, Tried* tried) const {
    if (!QuotaAllows(*tried, memory, cores)) return false;
    ++tried->used[number].slots;
    tried->used[number].memory_mib += memory;
    tried->used[number].cores += cores;
    tried->quota_memory += memory;
    tried->quota_cores += cores;
    return true;
  }

  const NodeFacts& node_;
  const Request& request_;
  Tried start_;
  std::vector<bool> faulty_;
  int64_t memory_left_ = kNoLimit;
  int64_t cores_left_ = kNoLimit;
};

double ScoreOf(const Model& model, const NodeFacts& node) {
  double slots[2] = {};
  double memory[2] = {};
  double cores[2] = {};
  for (const vendor::Device& device : node.devices) {
    const DeviceUse used = UsedOf(model, node, device, "");
    slots[0] += used.slots;
    memory[0] += used.memory_mib;
    cores[0] += used.cores;
    slots[1] += device.slots;
    memory[1] += device.memory_mib;
    cores[1] += device.cores;
  }
  if (slots[1] == 0 || memory[1] == 0 || cores[1] == 0) return 0;
  return 10 * (slots[0] / slots[1] + memory[0] / memory[1] + cores[0] / cores[1]);
}

// --- Random worlds ---

NodeFacts RandomNode(Dice* dice, int32_t number, bool with_mig) {
  NodeFacts node;
  node.name = "node-" + std::to_string(number);
  const int32_t count = dice->Roll(0, 4);
  for (int32_t i = 0; i < count; ++i) {
    TestDevice test{.id = "GPU-" + std::to_string(number) + "-" + std::to_string(i)};
    test.memory_mib = 1000 * dice->Roll(2, 6);
    test.slots = dice->Roll(1, 4);
    test.cores = dice->OneIn(6) ? 150 : 100;
    test.numa = dice->Roll(0, 1);
    test.type = dice->OneIn(2) ? "NVIDIA A10" : "NVIDIA T4";
    vendor::Device device = ToDevice(test, i);
    if (with_mig && dice->OneIn(2)) {
      device = TestMigDevice(test.id);
      device.index = i;
      device.numa = test.numa;
    }
    device.healthy = !dice->OneIn(12);
    device.cordoned = dice->OneIn(12);
    node.devices.push_back(std::move(device));
  }
  return node;
}

Request RandomRequest(Dice* dice, int32_t number, bool with_mig) {
  std::vector<TestAsk> asks;
  const int32_t inits = dice->Roll(0, 2);
  const int32_t apps = dice->Roll(1, 2);
  for (int32_t i = 0; i < inits + apps; ++i) {
    TestAsk ask;
    ask.kind = i >= inits       ? ContainerKind::kApp
               : dice->OneIn(2) ? ContainerKind::kInit
                                : ContainerKind::kSidecar;
    ask.count = dice->OneIn(4) ? 0 : dice->Roll(1, 3);
    if (dice->OneIn(3)) {
      ask.memory_pct = dice->OneIn(2) ? 100 : 10 * dice->Roll(1, 9);
    } else {
      ask.memory_mib = (with_mig ? 2500 : 500) * dice->Roll(1, 8);
    }
    ask.cores = dice->OneIn(5) ? 100 : dice->OneIn(3) ? 0 : 10 * dice->Roll(1, 6);
    asks.push_back(ask);
  }
  Request request = TestRequest(asks);
  request.pod_uid = "pod-" + std::to_string(number);
  request.namespace_name = dice->OneIn(2) ? "red" : "blue";
  request.policy.node = dice->OneIn(2) ? NodePolicy::kBinpack : NodePolicy::kSpread;
  request.policy.device.keys = {dice->OneIn(2) ? DeviceKey::kBinpack : DeviceKey::kSpread};
  request.policy.device.only_idle = dice->OneIn(8);
  request.policy.device.topology_aware = dice->OneIn(8);
  request.policy.numa_bind = dice->OneIn(6);
  vendor::Selectors& selectors = request.selectors[0];
  if (dice->OneIn(8)) selectors.use_types = {"T4"};
  if (dice->OneIn(8)) selectors.avoid_types = {"T4"};
  if (dice->OneIn(10)) selectors.avoid_ids = {"GPU-0-0", "GPU-1-1"};
  if (dice->OneIn(15)) selectors.use_ids = {"GPU-0-0", "GPU-1-1", "GPU-1-0", "GPU-2-0"};
  return request;
}

class World {
 public:
  World(uint32_t seed, bool with_mig) : dice_(seed), with_mig_(with_mig), cluster_(TestRegistry()) {
    const int32_t nodes = dice_.Roll(1, 4);
    for (int32_t i = 0; i < nodes; ++i) PutNode(i);
    for (const char* space : {"red", "blue"}) {
      for (int32_t i = dice_.Roll(0, 2); i-- > 0;) {
        QuotaFacts quota{.namespace_name = space, .name = "quota-" + std::to_string(i)};
        quota.limits["limits.nvidia.com/gpumem"] = (with_mig ? 5000 : 1000) * dice_.Roll(2, 12);
        if (dice_.OneIn(2)) quota.limits["limits.nvidia.com/gpucores"] = 20 * dice_.Roll(1, 20);
        model_.quotas.push_back(quota);
        cluster_.PutQuota(quota);
      }
    }
  }

  void Step(int32_t number) {
    if (dice_.OneIn(10)) PutNode(dice_.Roll(0, static_cast<int32_t>(model_.nodes.size()) - 1));
    if (dice_.OneIn(4) && !model_.pods.empty()) EndOne();
    if (dice_.OneIn(5) && !model_.pods.empty()) FinishInit();
    PlaceOne(RandomRequest(&dice_, number, with_mig_));
    ExpectSameUse();
  }

 private:
  void PutNode(int32_t number) {
    NodeFacts node = RandomNode(&dice_, number, with_mig_);
    const auto found =
        std::find_if(model_.nodes.begin(), model_.nodes.end(),
                     [&node](const NodeFacts& known) { return known.name == node.name; });
    if (found == model_.nodes.end()) {
      model_.nodes.push_back(node);
    } else {
      // Devices of a node that is in use change health only: what else would change is broken.
      node = *found;
      for (vendor::Device& device : node.devices) device.healthy = !dice_.OneIn(6);
      *found = node;
    }
    cluster_.PutNode(node);
  }

  std::string AnyPod() {
    auto pod = model_.pods.begin();
    std::advance(pod, dice_.Roll(0, static_cast<int32_t>(model_.pods.size()) - 1));
    return pod->first;
  }

  void EndOne() {
    const std::string uid = AnyPod();
    model_.pods.erase(uid);
    cluster_.RemovePod(uid);
  }

  void FinishInit() {
    PodFacts& pod = model_.pods[AnyPod()];
    pod.init_done = true;
    cluster_.PutPod(pod);
  }

  void PlaceOne(const Request& request) {
    const Decision decision = cluster_.Place(request, {});
    const bool wants = request.WantsDevices();
    double best = -std::numeric_limits<double>::infinity();
    bool possible = false;
    for (const NodeFacts& node : model_.nodes) {
      if ((wants && node.devices.empty()) || !BruteForce(model_, node, request).Fits()) continue;
      possible = true;
      const double score = ScoreOf(model_, node);
      best = std::max(best, request.policy.node == NodePolicy::kSpread ? -score : score);
    }
    ASSERT_EQ(decision.allocation.has_value(), possible)
        << (decision.nearest ? decision.nearest->text : "");
    if (!possible) {
      EXPECT_EQ(decision.misfits.size(), model_.nodes.size());
      for (const Misfit& misfit : decision.misfits) EXPECT_FALSE(misfit.text.empty());
      return;
    }
    if (wants) {
      EXPECT_NEAR(decision.score, best, 1e-9);
      ExpectAnswers(request, *decision.allocation);
    }
    PodFacts pod = TestPod(request.pod_uid, request, *decision.allocation);
    model_.pods[pod.uid] = pod;
    cluster_.PutPod(pod);
    ExpectWithinQuotas(request.namespace_name);
  }

  // Each container has as many slices as it asked for, of devices of that node, of distinct ones
  // unless they are instances.
  void ExpectAnswers(const Request& request, const domain::Allocation& allocation) {
    const NodeFacts* node = cluster_.FindNode(allocation.node);
    ASSERT_NE(node, nullptr);
    for (size_t i = 0; i < request.containers.size(); ++i) {
      std::set<std::string> devices;
      std::set<int32_t> numa;
      int32_t count = 0;
      for (const domain::Slice& slice : allocation.slices) {
        if (slice.container != i) continue;
        ++count;
        const vendor::Device* device = FindDevice(*node, slice.device);
        ASSERT_NE(device, nullptr);
        numa.insert(device->numa);
        EXPECT_EQ(slice.mig.has_value(), device->mode == "mig");
        EXPECT_TRUE(devices.insert(slice.device).second || slice.mig);
      }
      const auto& asked = request.containers[i].requests;
      EXPECT_EQ(count, asked.empty() ? 0 : asked[0].count);
      EXPECT_TRUE(!request.policy.numa_bind || numa.size() < 2);
    }
  }

  void ExpectWithinQuotas(const std::string& space) {
    for (const QuotaUse& use : cluster_.QuotaUses()) {
      if (use.namespace_name != space) continue;
      EXPECT_LE(use.memory_mib, use.memory_limit_mib.value_or(use.memory_mib));
      EXPECT_LE(use.cores, use.cores_limit.value_or(use.cores));
    }
  }

  void ExpectSameUse() {
    EXPECT_THAT(cluster_.Overcommitted(), IsEmpty());
    EXPECT_EQ(cluster_.pod_count(), model_.pods.size());
    for (const NodeFacts& node : model_.nodes) {
      const std::vector<DeviceUse> use = cluster_.UseOf(node.name);
      ASSERT_EQ(use.size(), node.devices.size());
      for (size_t i = 0; i < use.size(); ++i) {
        EXPECT_EQ(use[i], UsedOf(model_, node, node.devices[i], ""));
      }
    }
  }

  Dice dice_;
  bool with_mig_;
  Model model_;
  Cluster cluster_;
};

class PropertyTest : public ::testing::TestWithParam<bool> {};

TEST_P(PropertyTest, PlacesAsTheModelDoes) {
  const uint32_t seeds = std::getenv("HAMI_SOAK_SECONDS") != nullptr ? 3'000 : 1'000;
  for (uint32_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed, GetParam());
    for (int32_t i = 0; i < 12; ++i) {
      world.Step(i);
      if (HasFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Worlds, PropertyTest, ::testing::Bool(),
                         [](const auto& one) { return one.param ? "WithMig" : "Shared"; });

}  // namespace
}  // namespace hami::placement
