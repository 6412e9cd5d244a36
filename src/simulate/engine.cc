// SPDX-License-Identifier: Apache-2.0

#include "simulate/engine.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <queue>
#include <unordered_map>
#include <utility>

#include "simulate/measure.h"

namespace hami::simulate {
namespace {

constexpr size_t kProgressStep = 200;

// Of this thread on its core: what others do on the machine meanwhile does not count.
double CpuTimeUs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

// A pod of the list as it can be asked for: the same for all of its arrivals.
struct ReadyPod {
  std::optional<placement::Request> request;  // none: `fault` says why
  std::string fault;
  std::vector<domain::ContainerKind> kinds;
};

struct Departure {
  double at = 0;
  uint32_t arrival = 0;
  bool operator>(const Departure& other) const {
    return at != other.at ? at > other.at : arrival > other.arrival;
  }
};

class Engine {
 public:
  Engine(const vendor::Registry& registry, const Scenario& scenario,
         std::span<const Arrival> arrivals, const RunOptions& options)
      : scenario_(scenario),
        arrivals_(arrivals),
        options_(options),
        cluster_(registry),
        meter_(registry, scenario) {
    for (const placement::NodeFacts& node : scenario.nodes) cluster_.PutNode(node);
    for (const placement::QuotaFacts& quota : scenario.quotas) cluster_.PutQuota(quota);
    for (const placement::PodFacts& pod : scenario.running) {
      cluster_.PutPod(pod);
      meter_.Add(pod, 1);
    }
    for (const WantedPod& wanted : scenario.pods) ready_.push_back(Ready(registry, wanted));
    outcome_.pods.resize(arrivals.size());
  }

  Outcome Play() {
    for (uint32_t i = 0; i < arrivals_.size(); ++i) {
      while (!departures_.empty() && departures_.top().at <= arrivals_[i].arrives_s) LeaveNext();
      MoveTo(arrivals_[i].arrives_s);
      Arrive(i);
      if (options_.progress && i % kProgressStep == 0) options_.progress(i, arrivals_.size());
    }
    // Who waits may still be placed when others leave; means end with the last arrival.
    while (options_.retry && !waiting_.empty() && !departures_.empty()) LeaveNext();
    if (options_.progress) options_.progress(arrivals_.size(), arrivals_.size());
    return Finish();
  }

 private:
  ReadyPod Ready(const vendor::Registry& registry, const WantedPod& wanted) const {
    ReadyPod ready;
    for (const domain::PodContainer& container : wanted.pod.containers) {
      ready.kinds.push_back(container.kind);
    }
    Result<placement::Request> request =
        placement::MakeRequest(registry, wanted.pod, options_.policy);
    if (request) {
      ready.request = *std::move(request);
    } else {
      ready.fault = request.error().message;
    }
    return ready;
  }

  void Arrive(uint32_t number) {
    const Arrival& arrival = arrivals_[number];
    PodOutcome& outcome = outcome_.pods[number];
    outcome.pod = arrival.pod;
    const ReadyPod& ready = ready_[arrival.pod];
    if (!ready.request) {
      outcome.fate = Fate::kRefused;
      outcome.reason = ready.fault;
      return;
    }
    const double asked = meter_.Asked(*ready.request);
    asked_ += asked;
    if (arrival.arrives_s >= options_.warm_up_s) asked_warm_ += asked;
    if (!TryPlace(number)) {
      if (arrival.arrives_s >= options_.warm_up_s) lost_warm_ += asked;
      if (options_.retry) waiting_.push_back(number);
    }
    if (options_.points) TakePoints();
  }

  bool TryPlace(uint32_t number) {
    const ReadyPod& ready = ready_[arrivals_[number].pod];
    PodOutcome& outcome = outcome_.pods[number];
    placement::Request request = *ready.request;
    request.pod_uid = fmt::format("arrival-{}", number);
    const bool wants_devices = request.WantsDevices();
    request.check_native = true;
    std::optional<domain::Allocation> found;
    if (wants_devices || options_.native_by_policy) {
      found = Decide(request, &outcome);
    } else if (const std::string_view node = meter_.EmptiestWithRoom(request); !node.empty()) {
      found = domain::Allocation{.node = std::string(node), .slices = {}};
    } else {
      outcome.reason = "no node has CPU and memory for it";
    }
    if (!found) return false;
    Settle(number, request, *std::move(found));
    return true;
  }

  std::optional<domain::Allocation> Decide(const placement::Request& request, PodOutcome* outcome) {
    const double before_us = CpuTimeUs();
    placement::Decision decision = cluster_.Place(request, {});
    const double after_us = CpuTimeUs();
    std::vector<double>& times = decision.allocation ? times_us_ : refusal_times_us_;
    times.push_back(after_us - before_us);
    if (decision.allocation) return std::move(decision.allocation);
    outcome->reason = ReasonText(decision);
    outcome->nearest = decision.nearest ? decision.nearest->text : "";
    return std::nullopt;
  }

  void Settle(uint32_t number, const placement::Request& request, domain::Allocation allocation) {
    const Arrival& arrival = arrivals_[number];
    placement::PodFacts pod;
    pod.uid = request.pod_uid;
    pod.namespace_name = request.namespace_name;
    pod.name = scenario_.pods[arrival.pod].pod.name;
    pod.node = std::move(allocation.node);
    pod.kinds = ready_[arrival.pod].kinds;
    pod.slices = std::move(allocation.slices);
    // Who is there is past its init containers: the room that counts is that of the rest.
    pod.init_done = true;
    pod.traits = request.traits;
    pod.cpu_milli = request.cpu_milli;
    pod.memory_bytes = request.memory_bytes;
    cluster_.PutPod(pod);
    meter_.Add(pod, 1);
    PodOutcome& outcome = outcome_.pods[number];
    outcome.fate = Fate::kPlaced;
    outcome.node = pod.node;
    outcome.slices = pod.slices;
    outcome.reason.clear();
    outcome.nearest.clear();
    outcome.waited_s = now_ - arrival.arrives_s;
    if (arrival.leaves_s < std::numeric_limits<double>::infinity()) {
      departures_.push({arrival.leaves_s + outcome.waited_s, number});
      held_.emplace(number, std::move(pod));
    }
  }

  void LeaveNext() {
    const Departure departure = departures_.top();
    departures_.pop();
    MoveTo(departure.at);
    const auto held = held_.find(departure.arrival);
    cluster_.RemovePod(held->second.uid);
    meter_.Add(held->second, -1);
    held_.erase(held);
    // In the order in which they came; several leave at once before anybody is tried.
    const bool more = !departures_.empty() && departures_.top().at <= now_;
    if (options_.retry && !more) {
      std::erase_if(waiting_, [this](uint32_t number) { return TryPlace(number); });
    }
  }

  void MoveTo(double at) {
    const double from = std::max(now_, options_.warm_up_s);
    if (at > from) {
      allocated_over_time_ += meter_.allocated() * (at - from);
      time_ += at - from;
    }
    now_ = std::max(now_, at);
  }

  void TakePoints() {
    if (meter_.devices() <= 0) return;
    const auto percent = static_cast<size_t>(asked_ / meter_.devices() * 100 + 1e-9);
    if (percent <= last_percent_) return;
    last_percent_ = percent;
    outcome_.points.push_back({asked_, meter_.allocated(), meter_.Fragments()});
  }

  Outcome Finish() {
    for (const PodOutcome& pod : outcome_.pods) {
      outcome_.placed += pod.fate == Fate::kPlaced ? 1 : 0;
      outcome_.waiting += pod.fate == Fate::kWaiting ? 1 : 0;
      outcome_.refused += pod.fate == Fate::kRefused ? 1 : 0;
    }
    outcome_.end = {asked_, meter_.allocated(), meter_.Fragments()};
    outcome_.mean_allocated = time_ > 0 ? allocated_over_time_ / time_ : 0;
    outcome_.lost_devices_share = asked_warm_ > 0 ? lost_warm_ / asked_warm_ : 0;
    outcome_.latency = LatencyOf(std::move(times_us_));
    outcome_.refusals = LatencyOf(std::move(refusal_times_us_));
    outcome_.overcommitted = cluster_.Overcommitted();
    meter_.Report(&outcome_);
    return std::move(outcome_);
  }

  const Scenario& scenario_;
  const std::span<const Arrival> arrivals_;
  const RunOptions& options_;
  placement::Cluster cluster_;
  Meter meter_;
  std::vector<ReadyPod> ready_;
  std::priority_queue<Departure, std::vector<Departure>, std::greater<>> departures_;
  std::unordered_map<uint32_t, placement::PodFacts> held_;
  std::vector<uint32_t> waiting_;
  std::vector<double> times_us_;
  std::vector<double> refusal_times_us_;
  Outcome outcome_;
  double now_ = 0;
  double asked_ = 0;
  double asked_warm_ = 0;
  double lost_warm_ = 0;
  double allocated_over_time_ = 0;
  double time_ = 0;
  size_t last_percent_ = 0;
};

}  // namespace

Outcome Run(const vendor::Registry& registry, const Scenario& scenario,
            std::span<const Arrival> arrivals, const RunOptions& options) {
  return Engine(registry, scenario, arrivals, options).Play();
}

}  // namespace hami::simulate
