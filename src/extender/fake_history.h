// SPDX-License-Identifier: Apache-2.0
//
// For tests: bad weather in one process. Two replicas of hami-scheduler (fake_replica.h) beside
// kube-schedulers (fake_kube_scheduler.h), an API server's memory, a clock that is moved by hand,
// and a seed by which everything else happens: users, watches that lag or are cut, refusals, lost
// and late writes, deaths at any request, changes of the leader, HAMi's plugin on one node. The
// same seed gives the same history.
//
// What happens while a request is under way happens inside it: the API's hook takes further steps,
// before the write or between the write and its answer. A write lands no later than its sender may
// wait for it, as the network may delay it and nothing else.
//
// After each step it is looked at the API alone: no card holds more than it has, every pod on a
// node holds what it asked for, and no two replicas may write at once.

#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "extender/fake_api.h"
#include "extender/fake_kube_scheduler.h"
#include "extender/fake_replica.h"
#include "kube/client.h"
#include "vendor/registry.h"

namespace hami::extender {

class FakeHistory {
 public:
  FakeHistory(const vendor::Registry& registry, uint64_t seed);
  ~FakeHistory();

  // Steps in bad weather, then calm: everything runs, what was written has landed, and whoever is
  // wanted is placed. Stops at the first problem.
  void Run(int steps);

  // "" as long as all is well.
  const std::string& problem() const { return problem_; }
  // The last things that happened, for people.
  std::string Story() const;
  // How often each thing happened.
  const std::map<std::string, int>& counts() const { return counts_; }

 private:
  using Json = FakeApi::Json;
  // Moved by one thread at a time, but by several: a request's steps are taken by the server's.
  class Clock : public base::Clock {
   public:
    int64_t MonotonicNs() const override { return now_ns_; }
    int64_t WallNs() const override { return now_ns_; }
    void Advance(int64_t ns) { now_ns_ += ns; }

   private:
    std::atomic<int64_t> now_ns_ = 1'000'000'000'000;
  };
  struct Process {
    std::string host;
    int starts = 0;
    std::unique_ptr<FakeReplica> replica;  // null: it does not run
    std::unique_ptr<FakeKubeScheduler> scheduler;
    bool doomed = false;  // killed while it was at work: nothing that it says is heard
    int calls = 0;        // of it that are under way
  };
  struct LateWrite {
    net::FakeRequest request;
    int64_t deadline_ns = 0;
  };
  struct Answer {
    int code = 0;
    std::string body;
  };
  struct WantedPod {
    std::string uid;
    int gpus = 0;
    int memory_mib = 0;
  };

  // --- Steps ---
  void Step();
  void CreatePod();
  void DeletePod();
  void FinishPod();
  void ForgePod();
  void ToggleNode();
  void RunPlugin();
  void Filter(Process& process, bool any_pod);
  void Bind(Process& process);
  void Advance(int64_t ms);
  void LandOne();
  void Elect(Process& process);
  void Kill(Process& process);
  void Start(Process& process);
  void CheckDrift(Process& process);

  // --- The network ---
  bool OnRequest(const net::FakeRequest& request, net::FakeConnection& connection);
  void Suffer(Process& process, const net::FakeRequest& request, net::FakeConnection& connection);
  void StepsWithin(int64_t deadline_ns);
  Answer Execute(const net::FakeRequest& request);

  // --- Looking ---
  void Check();
  void CheckPod(const Json& pod, std::map<std::string, std::array<int, 3>>* used);
  void CheckBooks(const std::string& when);
  void Calm();
  bool CalmRound(int round);
  std::vector<Json> Unbound() const;
  void Problem(const std::string& text);
  void Tell(const std::string& kind, const std::string& text = "");

  int Draw(int below) { return static_cast<int>(random_() % static_cast<uint64_t>(below)); }
  bool Chance(int percent) { return Draw(100) < percent; }
  Process& AnyProcess() { return processes_[Draw(static_cast<int>(processes_.size()))]; }

  const vendor::Registry& registry_;
  std::mt19937_64 random_;
  Clock clock_;
  FakeApi api_;
  kube::Client network_;  // by which writes land that a connection does not bring any more
  std::array<Process, 2> processes_;
  std::map<std::string, WantedPod> wanted_;  // by name
  std::deque<Json> remembered_;              // pods that are gone, and that queues still have
  std::vector<LateWrite> late_;
  std::map<std::string, std::array<int, 3>> capacity_;  // by card: slots, MiB, cores
  std::atomic<int64_t> latest_ns_;                      // no step may move the clock beyond
  bool calm_ = false;
  int depth_ = 0;
  int next_uid_ = 1;
  std::string problem_;
  std::deque<std::string> story_;
  std::map<std::string, int> counts_;
};

}  // namespace hami::extender
