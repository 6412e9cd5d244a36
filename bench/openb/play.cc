// SPDX-License-Identifier: Apache-2.0

#include "bench/openb/play.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <queue>
#include <utility>

#include "domain/quantity.h"
#include "simulate/engine.h"
#include "simulate/measure.h"
#include "simulate/read_files.h"

namespace hami::bench {
namespace {

constexpr double kMostDemand = 1.3;
// Of mean stays: half to fill the empty cluster, half to measure.
constexpr double kStays = 4;
constexpr double kWarmUpStays = 2;
constexpr std::array<size_t, 4> kFragmentPercents = {50, 80, 90, 100};

std::vector<simulate::Arrival> ArrivalsOf(const Trace& trace, Course course, uint64_t seed) {
  simulate::Random random(seed);
  if (course == Course::kTurnover) {
    return simulate::Turnover(trace.asked, trace.gpus, kStays, &random);
  }
  const std::vector<uint32_t> order = simulate::Shuffled(trace.asked.size(), &random);
  return simulate::Inflate(order, trace.asked, kMostDemand * trace.gpus, &random);
}

Score PlayOurs(const vendor::Registry& registry, const Trace& trace, const Ours& ours,
               Course course, const std::vector<simulate::Arrival>& arrivals) {
  simulate::RunOptions options;
  options.policy = ours.policy;
  options.native_by_policy = ours.native_by_policy;
  options.points = course == Course::kArrivals;
  if (course == Course::kTurnover) options.warm_up_s = kWarmUpStays;
  const simulate::Outcome outcome = simulate::Run(registry, trace.scenario, arrivals, options);
  Score score;
  const double percent = 100 / trace.gpus;
  // The first point at or beyond.
  const auto at = [&](double share) {
    for (const simulate::Point& point : outcome.points) {
      if (point.asked >= share * trace.gpus - 1e-6) return point;
    }
    return outcome.end;
  };
  score.at_100 = at(1).allocated * percent;
  score.at_130 = outcome.end.allocated * percent;
  for (size_t i = 0; i < kFragmentPercents.size(); ++i) {
    score.fragments[i] = at(static_cast<double>(kFragmentPercents[i]) / 100).fragments * percent;
  }
  score.mean = outcome.mean_allocated * percent;
  score.lost = outcome.lost_devices_share * 100;
  score.decision_us = outcome.latency.mean_us;
  score.p99_us = outcome.latency.p99_us;
  return score;
}

struct Leaving {
  double at = 0;
  uint32_t arrival = 0;
  bool operator>(const Leaving& other) const { return at > other.at; }
};

Score PlayPeer(const Trace& trace, Peer peer, Course course,
               const std::vector<simulate::Arrival>& arrivals, uint64_t seed) {
  PeerCluster cluster(peer, trace.peer_nodes, trace.peer_pods, seed * 2 + 1);
  Score score;
  const double percent = 100 / trace.gpus;
  const auto allocated = [&] { return static_cast<double>(cluster.allocated_milli()) / 1000; };
  std::priority_queue<Leaving, std::vector<Leaving>, std::greater<>> leaving;
  std::vector<PeerPlace> places(arrivals.size());
  double now = 0;
  double area = 0;
  double time = 0;
  const auto move_to = [&](double at) {
    const double from = std::max(now, kWarmUpStays);
    if (course == Course::kTurnover && at > from) {
      area += allocated() * (at - from);
      time += at - from;
    }
    now = std::max(now, at);
  };
  double asked = 0;
  double asked_warm = 0;
  double lost = 0;
  size_t last_percent = 0;
  for (uint32_t i = 0; i < arrivals.size(); ++i) {
    while (!leaving.empty() && leaving.top().at <= arrivals[i].arrives_s) {
      const Leaving next = leaving.top();
      leaving.pop();
      move_to(next.at);
      cluster.Remove(arrivals[next.arrival].pod, places[next.arrival]);
    }
    move_to(arrivals[i].arrives_s);
    const uint32_t pod = arrivals[i].pod;
    places[i] = cluster.Place(pod);
    const bool has_room = places[i].node >= 0;
    if (has_room && std::isfinite(arrivals[i].leaves_s)) leaving.push({arrivals[i].leaves_s, i});
    asked += trace.asked[pod];
    if (course == Course::kTurnover && now >= kWarmUpStays) {
      asked_warm += trace.asked[pod];
      if (!has_room) lost += trace.asked[pod];
    }
    const auto reached = static_cast<size_t>(asked / trace.gpus * 100 + 1e-9);
    if (course == Course::kTurnover || reached <= last_percent) continue;
    for (size_t k = 0; k < kFragmentPercents.size(); ++k) {
      if (kFragmentPercents[k] > last_percent && kFragmentPercents[k] <= reached) {
        score.fragments[k] = cluster.FragmentMilli() / 1000 * percent;
      }
    }
    if (last_percent < 100 && reached >= 100) score.at_100 = allocated() * percent;
    last_percent = reached;
  }
  score.at_130 = allocated() * percent;
  score.mean = time > 0 ? area / time * percent : 0;
  score.lost = asked_warm > 0 ? lost / asked_warm * 100 : 0;
  return score;
}

std::vector<std::string> SplitModels(std::string_view text) {
  std::vector<std::string> models;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    models.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return models;
}

PeerPod PeerOf(const vendor::Spec& spec, const domain::Pod& pod) {
  const domain::PodContainer& container = pod.containers.front();
  PeerPod peer;
  const auto number = [&](const std::string& name) {
    const std::string* const text = container.Asked(name);
    return text == nullptr ? 0 : domain::ParseQuantity(*text).value_or(0);
  };
  peer.cpu_milli = domain::ParseMilliQuantity(*container.Asked("cpu")).value_or(0);
  peer.memory_bytes = number("memory");
  peer.gpus = static_cast<int32_t>(number(spec.resources.count));
  peer.gpu_milli = static_cast<int32_t>(number(spec.resources.memory) / 10);
  const auto models = pod.annotations.find(spec.selectors.use_types.front());
  if (models != pod.annotations.end()) peer.models = SplitModels(models->second);
  return peer;
}

}  // namespace

Result<Trace> LoadTrace(const vendor::Registry& registry, const std::string& folder,
                        const std::string& name) {
  Trace trace{.name = name};
  simulate::Scenario& scenario = trace.scenario;
  RETURN_IF_ERROR(simulate::AddFile(registry, folder + "/openb_node_list_gpu_node.csv", &scenario));
  RETURN_IF_ERROR(simulate::AddFile(registry, fmt::format("{}/openb_pod_list_{}.csv", folder, name),
                                    &scenario));
  std::ranges::sort(scenario.nodes, {}, &placement::NodeFacts::name);
  std::ranges::sort(scenario.pods, {}, [](const auto& it) { return it.pod.name; });
  trace.asked = simulate::AskedDevices(registry, scenario);
  trace.gpus = simulate::DeviceCountOf(scenario);
  for (const placement::NodeFacts& node : scenario.nodes) {
    trace.peer_nodes.push_back({.name = node.name,
                                .cpu_milli = node.cpu_milli,
                                .memory_bytes = node.memory_bytes,
                                .gpu_milli = std::vector<int32_t>(node.devices.size(), 1000),
                                .model = node.devices.empty() ? "" : node.devices.front().type});
  }
  const vendor::Spec& spec = *registry.Find("NVIDIA");
  for (const simulate::WantedPod& wanted : scenario.pods) {
    trace.peer_pods.push_back(PeerOf(spec, wanted.pod));
  }
  return trace;
}

Score Play(const vendor::Registry& registry, const Trace& trace, const Contender& contender,
           Course course, uint64_t seed) {
  const std::vector<simulate::Arrival> arrivals = ArrivalsOf(trace, course, seed);
  if (const Ours* const ours = std::get_if<Ours>(&contender.how)) {
    return PlayOurs(registry, trace, *ours, course, arrivals);
  }
  return PlayPeer(trace, std::get<Peer>(contender.how), course, arrivals, seed);
}

}  // namespace hami::bench
