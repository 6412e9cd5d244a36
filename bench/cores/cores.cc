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
#include <exception>
#include <fstream>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bench/cores/groups.h"
#include "bench/report.h"
#include "bench/simulation/simulation.h"

namespace {

using hami::bench::Simulation;
using hami::bench::Tenant;
using std::chrono::milliseconds;

constexpr char kProfile[] = "a10-550";
// Not measured. Long kernels come seldom, and what is learnt of them takes longer to settle.
constexpr double kLongUs = 4000;
constexpr milliseconds kLearning{300};
constexpr milliseconds kLearningLong{4000};
constexpr int kSeconds = 3;
constexpr int kSecondsLong = 10;
constexpr int kSecondsOfLong = 6;  // a second has few of them

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
  std::vector<double> seconds_pct;  // each whole second of the measured time
  std::optional<double> neighbour_pct;
  int disturbed = 0;  // measurements before this one that do not count
};

struct Options {
  bool is_long = false;
  std::string only;  // of the name of a case
  std::string json_path;
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
constexpr char kForLong[] = "600";

struct Shape {
  double us;
  int blocks;
};

// The six of a published simulation of HAMi's limiter, and two more lengths.
constexpr Shape kSix[] = {{20, 64},      {200, 1056},       {1000, 16384},
                          {5000, 65536}, {50'000, 262'144}, {200, 1}};
constexpr Shape kMore[] = {{10, 1024}, {20'000, 1024}};

Case SpinCase(const Shape& shape, Beside beside, int asked_pct) {
  return {fmt::format("{} / {}", Microseconds(shape.us), shape.blocks),
          {"blocks", std::to_string(shape.blocks), "spin", fmt::format("{:g}", shape.us), kForLong},
          shape.us,
          beside,
          asked_pct};
}

Case GraphCase(double us, int kernels, Beside beside, int asked_pct) {
  return {fmt::format("graph of {} x {}", kernels, Microseconds(us)),
          {"graph", fmt::format("{:g}", us), std::to_string(kernels), kForLong},
          us * kernels,
          beside,
          asked_pct};
}

Case StreamsCase(double us, int streams, int asked_pct) {
  return {fmt::format("{} on {} streams", Microseconds(us), streams),
          {"streams", std::to_string(streams), "spin", fmt::format("{:g}", us), kForLong},
          us,
          Beside::kNobody,
          asked_pct};
}

std::vector<Case> Cases(bool is_long) {
  std::vector<Case> cases;
  const std::vector<int> all = {10, 25, 50, 75};
  const std::vector<int> some = is_long ? all : std::vector{25, 75};
  for (const Beside beside : {Beside::kNobody, Beside::kBusy, Beside::kComplement}) {
    for (const Shape& shape : kSix) {
      for (const int asked : all) cases.push_back(SpinCase(shape, beside, asked));
    }
  }
  for (const Beside beside : {Beside::kNobody, Beside::kBusy}) {
    for (const Shape& shape : kMore) {
      for (const int asked : all) cases.push_back(SpinCase(shape, beside, asked));
    }
    for (const int asked : some) cases.push_back(GraphCase(100, 20, beside, asked));
    for (const int asked : some) cases.push_back(GraphCase(10, 50, beside, asked));
  }
  for (const int asked : some) cases.push_back(StreamsCase(100, 8, asked));
  for (const int asked : some) cases.push_back(StreamsCase(1000, 8, asked));
  return cases;
}

// Percent of the time between two readings.
double Share(const Simulation::Reading& begin, const Simulation::Reading& end, size_t client) {
  return 100.0 * static_cast<double>(end.busy_ns[client] - begin.busy_ns[client]) /
         static_cast<double>(end.now_ns - begin.now_ns);
}

Outcome Measure(const Simulation& simulation, const Case& test, bool is_long) {
  const Tenant tenant(simulation, {.cores_pct = test.asked_pct, .actions = test.actions});
  std::optional<Tenant> neighbour;
  std::vector<Simulation::ClientId> clients = {tenant.client()};
  if (test.beside != Beside::kNobody) {
    const int pct = test.beside == Beside::kBusy ? 0 : 100 - test.asked_pct;
    neighbour.emplace(simulation, hami::bench::TenantSpec{.cores_pct = pct,
                                                          .actions = {"spin", "1000", kForLong}});
    clients.push_back(neighbour->client());
    neighbour->Go();
  }
  tenant.Go();
  std::this_thread::sleep_for(test.launch_us > kLongUs ? kLearningLong : kLearning);
  std::vector<Simulation::Reading> readings = {simulation.Read(clients)};
  const bool long_launches = test.launch_us > kLongUs;
  const int seconds = is_long ? kSecondsLong : long_launches ? kSecondsOfLong : kSeconds;
  for (int second = 0; second < seconds; ++second) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    readings.push_back(simulation.Read(clients));
  }
  Outcome outcome;
  outcome.achieved_pct = Share(readings.front(), readings.back(), 0);
  for (size_t i = 1; i < readings.size(); ++i) {
    outcome.seconds_pct.push_back(Share(readings[i - 1], readings[i], 0));
  }
  if (clients.size() > 1) outcome.neighbour_pct = Share(readings.front(), readings.back(), 1);
  return outcome;
}

// A neighbour without a limit leaves no time of the GPU unused, whatever the tenant's limit does.
// Where much is left the machine has fed neither of the two, and the row says nothing.
bool IsDisturbed(const Case& test, const Outcome& outcome) {
  constexpr double kLeastTogetherPct = 95;
  return test.beside == Beside::kBusy && outcome.neighbour_pct &&
         outcome.achieved_pct + *outcome.neighbour_pct < kLeastTogetherPct;
}

Outcome MeasureUndisturbed(const Simulation& simulation, const Case& test, bool is_long) {
  constexpr int kMostAgain = 2;
  Outcome outcome = Measure(simulation, test, is_long);
  for (int again = 1; again <= kMostAgain && IsDisturbed(test, outcome); ++again) {
    outcome = Measure(simulation, test, is_long);
    outcome.disturbed = again;
  }
  return outcome;
}

// The second that is farthest from what was possible, in points.
double WorstSecond(const Case& test, const Outcome& outcome) {
  double worst = 0;
  for (const double pct : outcome.seconds_pct) {
    const double error = pct - Possible(test);
    if (std::abs(error) > std::abs(worst)) worst = error;
  }
  return worst;
}

std::string NameOf(const Case& test) {
  return fmt::format("{}, {}, asked {}", test.load, Name(test.beside), test.asked_pct);
}

std::string Note(const Case& test, const Outcome& outcome) {
  std::string note;
  if (outcome.neighbour_pct) note = fmt::format("neighbour {:.1f}", *outcome.neighbour_pct);
  if (test.asked_pct > 0 && Possible(test) < test.asked_pct) {
    note += fmt::format("; {:.0f} is possible, error from there", Possible(test));
  }
  if (IsDisturbed(test, outcome)) note += "; disturbed: both were short of the host's time";
  if (outcome.disturbed > 0) {
    note += fmt::format("; measured again, {} disturbed", outcome.disturbed);
  }
  return note;
}

constexpr char kUsage[] =
    "usage: cores [--long] [--only PART_OF_A_NAME] [--json FILE]\n"
    "\n"
    "The compute share that a tenant asked for against what it got, on a simulated GPU.\n"
    "--long measures each row for ten seconds instead of three, and more graphs and streams.\n";

bool Parse(int argc, char** argv, Options* options) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (hami::bench::AnswersCommon(argument, "cores", kUsage)) std::exit(0);
    if (argument == "--long") {
      options->is_long = true;
    } else if (argument == "--only" && i + 1 < argc) {
      options->only = argv[++i];
    } else if (argument == "--json" && i + 1 < argc) {
      options->json_path = argv[++i];
    } else {
      std::cerr << kUsage;
      return false;
    }
  }
  return true;
}

nlohmann::json Record(const Case& test, const Outcome& outcome, const std::string& conditions) {
  nlohmann::json record = {
      {"name", NameOf(test)}, {"value", outcome.achieved_pct}, {"unit", "%"},
      {"baseline", nullptr},  {"conditions", conditions},      {"seconds", outcome.seconds_pct}};
  if (test.asked_pct > 0) {
    record["target"] = Possible(test);
    record["error_points"] = outcome.achieved_pct - Possible(test);
    record["worst_second_points"] = WorstSecond(test, outcome);
  }
  const std::string note = Note(test, outcome);
  if (!note.empty()) record["note"] = note;
  return record;
}

nlohmann::json Record(const hami::bench::Group& group, const hami::bench::GroupOutcome& outcome,
                      const std::string& conditions) {
  nlohmann::json record = {{"name", group.name},
                           {"value", outcome.had_pct},
                           {"unit", "%"},
                           {"baseline", nullptr},
                           {"conditions", conditions},
                           {"target", group.expected_pct},
                           {"error_points", outcome.worst_error}};
  if (!outcome.arrival_pct.empty()) record["arrival"] = outcome.arrival_pct;
  return record;
}

void PrintRow(const Case& test, const Outcome& outcome) {
  const bool limited = test.asked_pct > 0;
  fmt::print("{:<22} {:<36} {:>6} {:>9.1f} {:>7} {:>7}  {}\n", test.load, Name(test.beside),
             limited ? std::to_string(test.asked_pct) : "none", outcome.achieved_pct,
             limited ? fmt::format("{:+.1f}", outcome.achieved_pct - Possible(test)) : "-",
             limited ? fmt::format("{:+.1f}", WorstSecond(test, outcome)) : "-",
             Note(test, outcome));
  std::fflush(stdout);
}

// Of the rows with a limit, in points.
struct Summary {
  struct Row {
    std::string name;
    double error;
    double worst_second;
  };
  std::vector<Row> rows;
  double worst_second = 0;  // of those with at least twenty launches in a second

  void Add(const Case& test, const Outcome& outcome) {
    if (test.asked_pct == 0) return;
    const double second = WorstSecond(test, outcome);
    rows.push_back({NameOf(test), outcome.achieved_pct - Possible(test), second});
    constexpr double kLaunches = 20;
    if (Possible(test) / 100 * 1e6 / test.launch_us < kLaunches) return;
    worst_second = std::max(worst_second, std::abs(second));
  }

  void Print() {
    constexpr size_t kShown = 6;
    double sum = 0;
    for (const Row& row : rows) sum += std::abs(row.error);
    std::ranges::sort(rows, std::greater{}, [](const Row& row) { return std::abs(row.error); });
    fmt::print("\nworst rows:\n");
    for (size_t i = 0; i < rows.size() && i < kShown; ++i) {
      fmt::print("  {:+.1f} (worst second {:+.1f})  {}\n", rows[i].error, rows[i].worst_second,
                 rows[i].name);
    }
    fmt::print(
        "errors of {} rows: mean {:.1f} points, largest {:.1f}, of a single second with 20 "
        "launches {:.1f}\n",
        rows.size(), rows.empty() ? 0 : sum / static_cast<double>(rows.size()),
        rows.empty() ? 0 : std::abs(rows.front().error), worst_second);
  }
};

int Run(const Options& options) {
  const Simulation simulation(kProfile);
  const std::string conditions =
      fmt::format("{}, GPU simulated ({})", hami::bench::MachineConditions(), kProfile);
  fmt::print("\nCompute share asked for and achieved, percent of the GPU's time; simulated\n{}\n\n",
             conditions);
  fmt::print("{:<22} {:<36} {:>6} {:>9} {:>7} {:>7}  {}\n", "launches of", "", "asked", "achieved",
             "error", "worst s", "notes (percent)");
  nlohmann::json records = nlohmann::json::array();
  Summary summary;
  for (const Case& test : Cases(options.is_long)) {
    if (NameOf(test).find(options.only) == std::string::npos) continue;
    const Outcome outcome = MeasureUndisturbed(simulation, test, options.is_long);
    PrintRow(test, outcome);
    records.push_back(Record(test, outcome, conditions));
    summary.Add(test, outcome);
  }
  if (!summary.rows.empty()) summary.Print();
  for (const hami::bench::Group& group : hami::bench::Groups()) {
    if (group.name.find(options.only) == std::string::npos) continue;
    records.push_back(Record(group, hami::bench::MeasureGroup(simulation, group), conditions));
  }
  if (options.json_path.empty()) return 0;
  std::ofstream file(options.json_path);
  file << records.dump(2) << '\n';
  if (file.good()) return 0;
  std::cerr << "cannot write " << options.json_path << '\n';
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!Parse(argc, argv, &options)) return 2;
  try {
    return Run(options);
  } catch (const std::exception& error) {
    std::cerr << "cores: " << error.what() << '\n';
    return 1;
  }
}
