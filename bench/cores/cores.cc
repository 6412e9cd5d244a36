// SPDX-License-Identifier: Apache-2.0
//
// ./dev bench cores [--long]: the compute share that a tenant asked for against what it got, on a
// simulated GPU. Real programs (tests/tenant) run under `hami run`; what they got is the exact time
// in which the simulated driver ran their work, over the wall time, and not a figure of the program
// or of the library. Measured from a moment after the start, when costs are learnt.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bench/cores/simulation.h"
#include "bench/report.h"

namespace {

using hami::bench::Simulation;
using hami::bench::Tenant;
using std::chrono::milliseconds;

constexpr char kProfile[] = "a10-550";
// Not measured. Long kernels come seldom, and what is learnt of them takes longer to settle.
constexpr double kLongUs = 5000;
constexpr milliseconds kLearning{300};
constexpr milliseconds kLearningLong{2000};

enum class Beside { kNobody, kBusy, kComplement };

struct Case {
  std::string load;                  // for people
  std::vector<std::string> actions;  // of the tenant
  double launch_us = 0;              // GPU time of one launch
  Beside beside = Beside::kNobody;
  int asked_pct = 0;  // 0: no limit
};

struct Outcome {
  double achieved_pct = 0;
  std::optional<double> neighbour_pct;
};

const char* Name(Beside beside) {
  switch (beside) {
    case Beside::kNobody:
      return "alone";
    case Beside::kBusy:
      return "beside a busy tenant without limit";
    case Beside::kComplement:
      return "beside a busy tenant with the rest";
  }
  return "";
}

// The most that a tenant can have: contexts with work get equal slices of the time.
double Possible(const Case& test) {
  const double asked = test.asked_pct == 0 ? 100 : test.asked_pct;
  return test.beside == Beside::kBusy ? std::min(asked, 50.0) : asked;
}

std::string Microseconds(double us) {
  return us < 1000 ? fmt::format("{:g} us", us) : fmt::format("{:g} ms", us / 1000);
}

// More than any measurement takes; tenants are ended before.
constexpr char kSeconds[] = "600";

Case SpinCase(double us, Beside beside, int asked_pct) {
  return {Microseconds(us), {"spin", fmt::format("{:g}", us), kSeconds}, us, beside, asked_pct};
}

Case GraphCase(double us, int kernels, int asked_pct) {
  return {fmt::format("graph of {} x {}", kernels, Microseconds(us)),
          {"graph", fmt::format("{:g}", us), std::to_string(kernels), kSeconds},
          us * kernels,
          Beside::kNobody,
          asked_pct};
}

Case StreamsCase(double us, int streams, int asked_pct) {
  return {fmt::format("{} on {} streams", Microseconds(us), streams),
          {"streams", std::to_string(streams), "spin", fmt::format("{:g}", us), kSeconds},
          us,
          Beside::kNobody,
          asked_pct};
}

std::vector<Case> Cases(bool is_long) {
  std::vector<Case> cases;
  const std::vector<double> lengths_us = {10, 100, 1000, 20'000};
  for (const double us : lengths_us) {
    // What this machine's cores can launch at all.
    cases.push_back(SpinCase(us, Beside::kNobody, 0));
    for (const int asked : {10, 30, 50, 80}) cases.push_back(SpinCase(us, Beside::kNobody, asked));
  }
  const std::vector<int> some = is_long ? std::vector{10, 30, 50, 80} : std::vector{30, 80};
  for (const Beside beside : {Beside::kBusy, Beside::kComplement}) {
    for (const double us : lengths_us) {
      for (const int asked : some) cases.push_back(SpinCase(us, beside, asked));
    }
  }
  for (const int asked : some) cases.push_back(GraphCase(100, 20, asked));
  for (const int asked : some) cases.push_back(GraphCase(10, 50, asked));
  for (const int asked : some) cases.push_back(StreamsCase(100, 8, asked));
  for (const int asked : some) cases.push_back(StreamsCase(1000, 8, asked));
  return cases;
}

Outcome Measure(const Simulation& simulation, const Case& test, bool is_long) {
  const Tenant tenant(simulation, test.asked_pct, test.actions);
  std::optional<Tenant> neighbour;
  std::vector<Simulation::ClientId> clients = {tenant.client()};
  if (test.beside != Beside::kNobody) {
    const int pct = test.beside == Beside::kBusy ? 0 : 100 - test.asked_pct;
    neighbour.emplace(simulation, pct, std::vector<std::string>{"spin", "1000", kSeconds});
    clients.push_back(neighbour->client());
    neighbour->Go();
  }
  tenant.Go();
  // So many of the long ones that one more or less is less than a point.
  const bool is_seldom = test.launch_us > kLongUs;
  milliseconds window(is_seldom ? 2500 : 1000);
  if (is_long) window *= 4;
  std::this_thread::sleep_for(is_seldom ? kLearningLong : kLearning);
  const Simulation::Reading begin = simulation.Read(clients);
  std::this_thread::sleep_for(window);
  const Simulation::Reading end = simulation.Read(clients);
  const auto pct = [&](size_t i) {
    return 100.0 * static_cast<double>(end.busy_ns[i] - begin.busy_ns[i]) /
           static_cast<double>(end.now_ns - begin.now_ns);
  };
  Outcome outcome;
  outcome.achieved_pct = pct(0);
  if (clients.size() > 1) outcome.neighbour_pct = pct(1);
  return outcome;
}

std::string Note(const Case& test, const Outcome& outcome) {
  std::string note;
  if (outcome.neighbour_pct) note = fmt::format("neighbour {:.1f}", *outcome.neighbour_pct);
  if (test.asked_pct > 0 && Possible(test) < test.asked_pct) {
    note += fmt::format("; {:.0f} is possible, error from there", Possible(test));
  }
  return note;
}

}  // namespace

int main(int argc, char** argv) {
  std::string json_path;
  bool is_long = false;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--long") {
      is_long = true;
    } else if (argument == "--json" && i + 1 < argc) {
      json_path = argv[++i];
    } else {
      std::cerr << "usage: cores [--long] [--json FILE]\n";
      return 2;
    }
  }
  const Simulation simulation(kProfile);
  const std::string conditions =
      fmt::format("{}, GPU simulated ({})", hami::bench::MachineConditions(), kProfile);
  fmt::print("\nCompute share asked for and achieved, percent of the GPU's time; simulated\n{}\n\n",
             conditions);
  fmt::print("{:<22} {:<36} {:>6} {:>9} {:>7}  {}\n", "launches of", "", "asked", "achieved",
             "error", "notes (percent)");
  nlohmann::json records = nlohmann::json::array();
  double worst = 0;
  for (const Case& test : Cases(is_long)) {
    const Outcome outcome = Measure(simulation, test, is_long);
    const double error = outcome.achieved_pct - Possible(test);
    const std::string note = Note(test, outcome);
    const bool limited = test.asked_pct > 0;
    if (limited && std::abs(error) > std::abs(worst)) worst = error;
    fmt::print("{:<22} {:<36} {:>6} {:>9.1f} {:>7}  {}\n", test.load, Name(test.beside),
               limited ? std::to_string(test.asked_pct) : "none", outcome.achieved_pct,
               limited ? fmt::format("{:+.1f}", error) : "-", note);
    std::fflush(stdout);
    nlohmann::json record = {
        {"name", fmt::format("{}, {}, asked {}", test.load, Name(test.beside), test.asked_pct)},
        {"value", outcome.achieved_pct},
        {"unit", "%"},
        {"baseline", nullptr},
        {"conditions", conditions}};
    if (limited) {
      record["target"] = Possible(test);
      record["error_points"] = error;
    }
    if (!note.empty()) record["note"] = note;
    records.push_back(std::move(record));
  }
  fmt::print("\nlargest error: {:+.1f} points\n", worst);
  if (json_path.empty()) return 0;
  std::ofstream file(json_path);
  file << records.dump(2) << '\n';
  if (file.good()) return 0;
  std::cerr << "cannot write " << json_path << '\n';
  return 1;
}
