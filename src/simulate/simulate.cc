// SPDX-License-Identifier: Apache-2.0

#include "simulate/simulate.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/log.h"
#include "kube/client.h"
#include "kube/config.h"
#include "simulate/draw.h"
#include "simulate/engine.h"
#include "simulate/json_report.h"
#include "simulate/live.h"
#include "simulate/measure.h"
#include "simulate/options.h"
#include "simulate/read_files.h"
#include "simulate/text.h"

namespace hami::simulate {
namespace {

constexpr int kWrongUsage = 2;
constexpr int kNoRoom = 4;
constexpr size_t kMostConfigBytes = size_t{16} << 20;
constexpr uint64_t kUsualSeed = 42;
constexpr double kTurnoverStays = 4;
constexpr double kWarmUpStays = 2;

void Notice(const std::string& sentence) { fmt::print(stderr, "hami: {}\n", sentence); }

Result<vendor::Registry> LoadRegistry(const Options& options, Scenario* scenario) {
  if (options.device_config.empty()) return vendor::Registry::Default();
  ASSIGN_OR_RETURN(const std::string yaml, base::ReadFile(options.device_config, kMostConfigBytes));
  std::vector<vendor::ConfigWarning> warnings;
  Result<vendor::Registry> registry = vendor::Registry::FromDeviceConfig(yaml, &warnings);
  if (!registry) return Fail(std::move(registry).error().Wrap(options.device_config));
  for (const vendor::ConfigWarning& warning : warnings) {
    scenario->notes.push_back(
        fmt::format("{}: {}: {}", options.device_config, warning.where, warning.message));
  }
  return registry;
}

Status ReadCluster(const Options& options, const vendor::Registry& registry, Scenario* scenario) {
  Result<kube::ClusterConfig> config = kube::LoadConfig(options.kubeconfig, options.context);
  if (!config) return Fail(std::move(config).error());
  const std::string server = config->server;
  kube::Client client(*std::move(config), {.user_agent = "hami-simulate"});
  Status read = AddCluster(registry, &client, options.pod_files.empty(), scenario);
  if (!read) return Fail(std::move(read).error().Wrap(server));
  return {};
}

Status ReadAll(const Options& options, const vendor::Registry& registry, Scenario* scenario) {
  if (options.from_cluster) RETURN_IF_ERROR(ReadCluster(options, registry, scenario));
  for (const std::string& file : options.node_files) {
    RETURN_IF_ERROR(AddFile(registry, file, scenario));
  }
  for (const std::string& file : options.pod_files) {
    RETURN_IF_ERROR(AddFile(registry, file, scenario));
  }
  if (scenario->nodes.empty()) return Fail(Code::kInvalidArgument, "there is no node");
  if (options.departures && !scenario->timed) {
    return Fail(Code::kInvalidArgument,
                "--departures: no file of pods has the columns creation_time and deletion_time");
  }
  return {};
}

std::vector<Arrival> ArrivalsOf(const Options& options, const vendor::Registry& registry,
                                const Scenario& scenario) {
  Random random(options.seed.value_or(kUsualSeed));
  const size_t count = scenario.pods.size();
  const bool draws = options.draws();
  const std::vector<double> asked =
      draws ? AskedDevices(registry, scenario) : std::vector<double>(count);
  const double devices = DeviceCountOf(scenario);
  if (options.turnover_pct > 0) {
    return Turnover(asked, devices * options.turnover_pct / 100, kTurnoverStays, &random);
  }
  std::vector<double> times(count, 0);
  if (options.departures) {
    for (size_t i = 0; i < count; ++i) times[i] = scenario.pods[i].arrives_s;
  }
  const bool shuffles = options.seed || options.demand_pct > 0;
  const std::vector<uint32_t> order = shuffles ? Shuffled(count, &random) : OrderByTime(times);
  std::vector<Arrival> arrivals =
      Inflate(order, asked, devices * options.demand_pct / 100, &random);
  if (!options.departures) return arrivals;
  for (Arrival& arrival : arrivals) {
    arrival.arrives_s = scenario.pods[arrival.pod].arrives_s;
    const std::optional<double> leaves = scenario.pods[arrival.pod].leaves_s;
    if (leaves) arrival.leaves_s = *leaves;
  }
  return arrivals;
}

// On a terminal, twice a second.
class Progress {
 public:
  explicit Progress(bool shows) : shows_(shows && isatty(STDERR_FILENO) == 1) {}
  ~Progress() {
    if (shown_) fmt::print(stderr, "\r\033[K");
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Show(size_t done, size_t all) {
    const auto now = std::chrono::steady_clock::now();
    if (!shows_ || now - last_ < std::chrono::milliseconds(500)) return;
    last_ = now;
    shown_ = true;
    fmt::print(stderr, "\r\033[Kplaced {} of {} pods", done, all);
    std::fflush(stderr);
  }

 private:
  const bool shows_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

int Simulate(const Options& options) {
  Scenario scenario;
  const Result<vendor::Registry> registry = LoadRegistry(options, &scenario);
  const Status read =
      registry ? ReadAll(options, *registry, &scenario) : Status(Fail(Error(registry.error())));
  if (!read) {
    Notice(read.error().message);
    return read.error().code == Code::kInvalidArgument ? kWrongUsage : 1;
  }
  const std::vector<Arrival> arrivals = ArrivalsOf(options, *registry, scenario);
  RunOptions run;
  run.policy = options.policy;
  run.native_by_policy = options.native_by_policy;
  run.retry = options.retry;
  if (options.turnover_pct > 0) run.warm_up_s = kWarmUpStays;
  run.points = !options.departures && options.turnover_pct == 0;
  Outcome outcome;
  {
    Progress progress(!options.quiet);
    run.progress = [&progress](size_t done, size_t all) { progress.Show(done, all); };
    outcome = Run(*registry, scenario, arrivals, run);
  }
  const std::string text = options.json ? RenderJson(options, scenario, outcome)
                                        : RenderText(options, scenario, outcome);
  if (const Status written = base::WriteAll(STDOUT_FILENO, text); !written) {
    Notice(written.error().message);
    return 1;
  }
  return outcome.placed == outcome.pods.size() || options.draws() ? 0 : kNoRoom;
}

}  // namespace

int SimulateMain(int argc, char** argv) {
  const Result<Options> options = ParseOptions(std::vector<std::string>(argv + 1, argv + argc));
  if (!options) {
    Notice(options.error().message + ". See hami simulate --help.");
    return kWrongUsage;
  }
  if (options->help) {
    fmt::print("{}", Help());
    return 0;
  }
  base::StartLog({.level = base::LogLevel::kError});
  return Simulate(*options);
}

}  // namespace hami::simulate
