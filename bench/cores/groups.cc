// SPDX-License-Identifier: Apache-2.0

#include "bench/cores/groups.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <thread>

namespace hami::bench {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLearning{6000};
constexpr milliseconds kMeasured{4000};
constexpr milliseconds kArrival{100};
constexpr char kForLong[] = "600";

TenantSpec Spin(int cores_pct, const char* us, const char* policy = "force") {
  return {.cores_pct = cores_pct, .actions = {"spin", us, kForLong}, .policy = policy};
}

Group Sixteen() {
  Group group = {.name = "sixteen tenants at unequal shares", .tenants = {}, .expected_pct = {}};
  // 97 percent together; short and long kernels.
  constexpr int kShares[] = {2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 10, 10};
  constexpr const char* kLengths[] = {"1000", "500", "2000", "1000"};
  for (size_t i = 0; i < std::size(kShares); ++i) {
    group.tenants.push_back(Spin(kShares[i], kLengths[i % std::size(kLengths)]));
    group.expected_pct.push_back(kShares[i]);
  }
  return group;
}

using Readings = std::pair<Simulation::Reading, Simulation::Reading>;

Readings Observe(const Simulation& simulation, const std::vector<Simulation::ClientId>& clients,
                 milliseconds time) {
  Readings readings;
  readings.first = simulation.Read(clients);
  std::this_thread::sleep_for(time);
  readings.second = simulation.Read(clients);
  return readings;
}

std::vector<double> Shares(const Readings& readings) {
  std::vector<double> shares;
  for (size_t i = 0; i < readings.first.busy_ns.size(); ++i) {
    shares.push_back(100.0 *
                     static_cast<double>(readings.second.busy_ns[i] - readings.first.busy_ns[i]) /
                     static_cast<double>(readings.second.now_ns - readings.first.now_ns));
  }
  return shares;
}

void PrintShares(const Group& group, const char* when, const std::vector<double>& shares) {
  fmt::print("  {}:", when);
  double sum = 0;
  for (size_t i = 0; i < shares.size(); ++i) {
    const int asked = group.tenants[i].cores_pct;
    fmt::print(" {}:{:.1f}", asked == 0 ? "none" : std::to_string(asked), shares[i]);
    sum += shares[i];
  }
  fmt::print("  together {:.1f}", sum);
}

double WorstError(const std::vector<double>& shares, const std::vector<double>& expected) {
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double error = shares[i] - expected[i];
    if (std::abs(error) > std::abs(worst)) worst = error;
  }
  return worst;
}

}  // namespace

std::vector<Group> Groups() {
  return {
      {.name = "native time slicing, two tenants",
       .tenants = {Spin(0, "1000"), Spin(0, "1000")},
       .expected_pct = {50, 50}},
      {.name = "10:90, the second one idle",
       .tenants = {Spin(10, "1000"), {.cores_pct = 90, .actions = {"wait"}, .policy = "force"}},
       .expected_pct = {10, 0}},
      {.name = "10:90", .tenants = {Spin(10, "1000"), Spin(90, "1000")}, .expected_pct = {10, 90}},
      {.name = "10:90, huge kernels and tiny ones",
       .tenants = {Spin(10, "50000"), Spin(90, "20")},
       .expected_pct = {10, 90}},
      {.name = "90:10, huge kernels and tiny ones",
       .tenants = {Spin(90, "50000"), Spin(10, "20")},
       .expected_pct = {90, 10}},
      {.name = "one with half beside one without a limit",
       .tenants = {Spin(50, "1000"), Spin(0, "1000")},
       .expected_pct = {50, 50}},
      Sixteen(),
      {.name = "burst, alone", .tenants = {Spin(25, "200", "burst")}, .expected_pct = {100}},
      {.name = "burst beside a busy one",
       .tenants = {Spin(25, "200", "burst"), Spin(75, "1000")},
       .expected_pct = {25, 75}},
      {.name = "burst, and a neighbour comes",
       .tenants = {Spin(25, "200", "burst"), Spin(75, "1000")},
       .expected_pct = {25, 75},
       .last_comes_late = true},
  };
}

GroupOutcome MeasureGroup(const Simulation& simulation, const Group& group) {
  std::vector<std::unique_ptr<Tenant>> tenants;
  std::vector<Simulation::ClientId> clients;
  for (const TenantSpec& spec : group.tenants) {
    tenants.push_back(std::make_unique<Tenant>(simulation, spec));
    clients.push_back(tenants.back()->client());
  }
  fmt::print("\n{}\n", group.name);
  for (const auto& tenant : tenants) {
    if (!group.last_comes_late || tenant != tenants.back()) tenant->Go();
  }
  std::this_thread::sleep_for(kLearning);
  GroupOutcome outcome;
  if (group.last_comes_late) {
    tenants.back()->Go();
    outcome.arrival_pct = Shares(Observe(simulation, clients, kArrival));
    PrintShares(group, "its first 100 ms", outcome.arrival_pct);
    fmt::print("\n");
  }
  outcome.had_pct = Shares(Observe(simulation, clients, kMeasured));
  PrintShares(group, "had", outcome.had_pct);
  outcome.worst_error = WorstError(outcome.had_pct, group.expected_pct);
  fmt::print("  largest error {:+.1f}\n", outcome.worst_error);
  std::fflush(stdout);
  return outcome;
}

}  // namespace hami::bench
