// SPDX-License-Identifier: Apache-2.0
//
// ./dev bench placement: decisions of src/placement without HTTP: which node and devices for a pod,
// all node names sent, on clusters of 100, 1000 and 5000 nodes of 8 GPUs with 0, 10000 and 100000
// placed pods. One thread, in CPU time of that thread. Every decision is followed by putting the
// pod and, so that the cluster stays as full as it was, by taking another away; at the end no card
// may be over-committed.
// Then, on 5000 nodes, what the order of the names costs.
// --rounds N, default 20000 decisions each; --order: the last part alone.

#include <fmt/format.h>
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/report.h"
#include "placement/cluster.h"
#include "vendor/registry.h"

namespace hami::bench {
namespace {

constexpr int kDevices = 8;
constexpr int kSlots = 10;
constexpr int32_t kMemoryMib = 81920;

int64_t AllocatedBytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<int64_t>(info.uordblks + info.hblkhd);
}

placement::NodeFacts MakeNode(int number) {
  placement::NodeFacts node;
  node.name = fmt::format("gpu-node-{:05}.cluster.example", number);
  node.cpu_milli = 128'000;
  node.memory_bytes = int64_t{1024} << 30;
  for (int i = 0; i < kDevices; ++i) {
    vendor::Device device;
    device.id = fmt::format("GPU-{:08x}-483b-b48f-d7e5-{:012x}", number, i);
    device.index = i;
    device.slots = kSlots;
    device.memory_mib = kMemoryMib;
    device.cores = 100;
    device.numa = i / 4;
    device.type = "NVIDIA A100-SXM4-80GB";
    device.mode = "hami-core";
    node.devices.push_back(std::move(device));
  }
  return node;
}

class Workload {
 public:
  explicit Workload(const vendor::Registry& registry, bool shares_only = false)
      : registry_(registry), shares_only_(shares_only) {}

  // Most pods ask for a share of one GPU, some for several, a few for whole ones.
  placement::Request Next() {
    placement::Request request;
    request.pod_uid = fmt::format("6b5a1f6e-0000-4000-8000-{:012}", ++number_);
    request.namespace_name = fmt::format("team-{}", number_ % 50);
    request.selectors.resize(registry_.size());
    request.cpu_milli = 2000;
    request.memory_bytes = int64_t{8} << 30;
    vendor::Request asked;
    asked.vendor = 0;
    asked.count = 1;
    const uint32_t dice = random_() % 100;
    asked.memory_mib = 1024 * static_cast<int32_t>(2 + random_() % 15);
    asked.cores = 5 * static_cast<int32_t>(random_() % 5);
    if (!shares_only_ && dice >= 85) asked.count = dice >= 95 ? 4 : 2;
    if (!shares_only_ && dice >= 99) {
      asked.memory_mib = 0;
      asked.memory_pct = 100;
      asked.cores = 100;
    }
    request.containers.resize(1);
    request.containers[0].requests.push_back(asked);
    return request;
  }

  uint32_t Random() { return random_(); }

 private:
  const vendor::Registry& registry_;
  bool shares_only_;
  uint64_t number_ = 0;
  std::minstd_rand random_{42};
};

placement::PodFacts FactsOf(const placement::Request& request, domain::Allocation allocation) {
  placement::PodFacts pod;
  pod.uid = request.pod_uid;
  pod.namespace_name = request.namespace_name;
  pod.name = "train-" + request.pod_uid.substr(24);
  pod.node = std::move(allocation.node);
  pod.slices = std::move(allocation.slices);
  pod.kinds.assign(request.containers.size(), domain::ContainerKind::kApp);
  pod.cpu_milli = request.cpu_milli;
  pod.memory_bytes = request.memory_bytes;
  return pod;
}

struct Scene {
  explicit Scene(const vendor::Registry& registry) : cluster(registry), workload(registry, true) {}

  placement::Cluster cluster;
  Workload workload;
  std::string body;                     // all names, one after the other as a request has them
  std::vector<std::string_view> views;  // into it
  std::vector<std::string> uids;        // of placed pods
  double bytes_per_pod = 0;
};

// Pods are spread, as a cluster looks after a while, on any node that has room.
bool Fill(int nodes, int pods, Scene* scene) {
  for (int i = 0; i < nodes; ++i) {
    const placement::NodeFacts node = MakeNode(i);
    scene->body += '"' + node.name + "\",";
    scene->cluster.PutNode(node);
  }
  for (size_t at = 1; at < scene->body.size();) {
    const size_t end = scene->body.find('"', at);
    scene->views.push_back(std::string_view(scene->body).substr(at, end - at));
    at = end + 3;
  }
  const int64_t before = AllocatedBytes();
  for (int i = 0; i < pods; ++i) {
    const placement::Request request = scene->workload.Next();
    placement::Decision decision;
    for (int attempt = 0; attempt < 20 && !decision.allocation; ++attempt) {
      const size_t node = scene->workload.Random() % scene->views.size();
      decision = scene->cluster.PlaceOn(request, scene->views[node]);
    }
    if (!decision.allocation) return false;
    scene->cluster.PutPod(FactsOf(request, std::move(*decision.allocation)));
    scene->uids.push_back(request.pod_uid);
  }
  const int64_t uids = static_cast<int64_t>(scene->uids.capacity() * sizeof(std::string)) +
                       static_cast<int64_t>(scene->uids.size()) * 48;
  if (pods > 0) {
    scene->bytes_per_pod = static_cast<double>(AllocatedBytes() - before - uids) / pods;
  }
  return true;
}

// Of this thread on its core: what others do on the machine meanwhile does not count.
struct CpuClock {
  static double NowUs() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
  }
};

void AddLatencies(const std::string& name, std::vector<double>* each_us, double target_us,
                  const std::string& peer, Report* report) {
  std::sort(each_us->begin(), each_us->end());
  const auto at = [each_us](double part) {
    return (*each_us)[static_cast<size_t>(part * static_cast<double>(each_us->size() - 1))];
  };
  report->Add({.name = name + ", p50", .value = at(0.5), .unit = "us"});
  Row p99{.name = name + ", p99", .value = at(0.99), .unit = "us", .peer = peer};
  if (target_us > 0) p99.target = target_us;
  report->Add(std::move(p99));
  report->Add({.name = name + ", max", .value = at(1), .unit = "us"});
}

void Measure(const vendor::Registry& registry, int nodes, int pods, int rounds, Report* report) {
  const std::string scene_name = fmt::format("{} nodes, {} pods", nodes, pods);
  Scene scene(registry);
  if (!Fill(nodes, pods, &scene)) {
    report->Add({.name = scene_name, .note = "not run: no room for the pods", .run = false});
    return;
  }
  Workload workload(registry);
  std::vector<double> each_us;
  size_t placed = 0;
  size_t oldest = 0;
  const double start_us = CpuClock::NowUs();
  for (int i = 0; i < rounds; ++i) {
    placement::Request request = workload.Next();
    request.pod_uid[0] = 'b';
    const double asked_us = CpuClock::NowUs();
    placement::Decision decision = scene.cluster.Place(request, scene.views);
    each_us.push_back(CpuClock::NowUs() - asked_us);
    if (!decision.allocation) continue;
    ++placed;
    scene.cluster.PutPod(FactsOf(request, std::move(*decision.allocation)));
    scene.uids.push_back(request.pod_uid);
    if (scene.uids.size() - oldest > static_cast<size_t>(pods)) {
      scene.cluster.RemovePod(scene.uids[oldest++]);
    }
  }
  const double total_s = (CpuClock::NowUs() - start_us) / 1e6;
  if (!scene.cluster.Overcommitted().empty()) {
    std::fprintf(stderr, "over-committed: %s\n", scene.cluster.Overcommitted()[0].c_str());
    std::exit(1);
  }
  const bool large = nodes == 5000 && pods == 100'000;
  Row rate{.name = scene_name + ": a decision and its upkeep",
           .value = total_s * 1e6 / rounds,
           .unit = "us"};
  rate.note = fmt::format("{:.0f} a second; {} of {} placed", rounds / total_s, placed, rounds);
  if (large) rate.target = 100;
  report->Add(std::move(rate));
  AddLatencies(scene_name, &each_us, large ? 1000 : 0, "", report);
  if (pods > 0) {
    Row memory{
        .name = scene_name + ": memory a pod", .value = scene.bytes_per_pod / 1024, .unit = "KB"};
    if (large) memory.target = 3;
    report->Add(std::move(memory));
  }

  placement::Request impossible = workload.Next();
  impossible.containers[0].requests[0].memory_mib = kMemoryMib + 1;
  impossible.pod_uid[0] = 'b';  // it holds nothing yet
  each_us.clear();
  const double first_us = CpuClock::NowUs();
  scene.cluster.Place(impossible, scene.views);
  report->Add({.name = scene_name + ", nothing fits, the first of its kind",
               .value = CpuClock::NowUs() - first_us,
               .unit = "us"});
  // Retries: between two of them as much changes as two hundred other decisions change.
  for (int i = 0; i < std::max(20, rounds / 100); ++i) {
    for (int k = 0; k < 200 && oldest < scene.uids.size(); ++k) {
      const std::optional<placement::PodFacts> pod = scene.cluster.FindPod(scene.uids[oldest]);
      if (pod) scene.cluster.PutPod(*pod);
      oldest = (oldest + 1) % scene.uids.size();
    }
    const double asked_us = CpuClock::NowUs();
    if (scene.cluster.Place(impossible, scene.views).misfits.size() != scene.views.size()) {
      std::abort();
    }
    each_us.push_back(CpuClock::NowUs() - asked_us);
  }
  AddLatencies(scene_name + ", nothing fits, tried again", &each_us, 0, "", report);
}

// kube-scheduler looks at nodes in parallel and names them as it comes: what it costs that names
// are in another order each time, by node policy.
void MeasureOrder(const vendor::Registry& registry, placement::NodePolicy policy,
                  const std::string& policy_name, int rounds, Report* report) {
  constexpr int kNodes = 5000;
  constexpr int kPods = 10'000;
  std::array<std::vector<double>, 2> each_us;  // in order, shuffled
  for (const bool is_shuffled : {false, true}) {
    Scene scene(registry);
    if (!Fill(kNodes, kPods, &scene)) return;
    Workload workload(registry);
    std::minstd_rand random(1);
    for (int i = 0; i < rounds; ++i) {
      placement::Request request = workload.Next();
      request.pod_uid[0] = 'b';
      request.policy.node = policy;
      if (is_shuffled) std::ranges::shuffle(scene.views, random);
      const double asked_us = CpuClock::NowUs();
      placement::Decision decision = scene.cluster.Place(request, scene.views);
      each_us[is_shuffled ? 1 : 0].push_back(CpuClock::NowUs() - asked_us);
      if (!decision.allocation) continue;
      scene.cluster.PutPod(FactsOf(request, std::move(*decision.allocation)));
      scene.uids.push_back(request.pod_uid);
      scene.cluster.RemovePod(scene.uids[static_cast<size_t>(i)]);
    }
  }
  const std::string scene_name = fmt::format("{} nodes, {} pods, {}", kNodes, kPods, policy_name);
  AddLatencies(scene_name + ", names in order", &each_us[0], 0, "", report);
  AddLatencies(scene_name + ", names shuffled", &each_us[1], 0, "", report);
}

int Run(int argc, char** argv) {
  std::string json_path;
  bool order_alone = false;
  int rounds = 20'000;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (AnswersCommon(argument, "placement",
                      "usage: placement [--json FILE] [--rounds N] [--order]\n")) {
      return 0;
    }
    if (argument == "--order") order_alone = true;
    if (argument == "--json" && i + 1 < argc) json_path = argv[++i];
    if (argument == "--rounds" && i + 1 < argc) rounds = std::max(1, std::atoi(argv[++i]));
  }
  const vendor::Registry registry = vendor::Registry::Default();
  Report report("Decisions of placement: CPU time of one thread, without HTTP",
                MachineConditions());
  for (const int nodes : {100, 1000, 5000}) {
    if (order_alone) break;
    for (const int pods : {0, 10'000, 100'000}) {
      // What HAMi was measured with on the small cluster: ten thousand find no room there.
      Measure(registry, nodes, nodes == 100 && pods == 10'000 ? 4000 : pods, rounds, &report);
    }
  }
  MeasureOrder(registry, placement::NodePolicy::kBinpack, "binpack", rounds, &report);
  MeasureOrder(registry, placement::NodePolicy::kFragmentation, "fragmentation", rounds, &report);
  return report.Finish(json_path) ? 0 : 1;
}

}  // namespace
}  // namespace hami::bench

int main(int argc, char** argv) { return hami::bench::Run(argc, argv); }
