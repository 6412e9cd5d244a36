// SPDX-License-Identifier: Apache-2.0

#include "simulate/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <utility>

#include "base/arguments.h"

namespace hami::simulate {
namespace {

constexpr std::string_view kHelp =
    R"(usage: hami simulate [options] --nodes FILE --pods FILE
       hami simulate [options] --from-cluster [--pods FILE]

Places pods on nodes with the scheduler's own code, without a cluster or beside
one, and says where each goes, why not, and how full and how fragmented the
devices are afterwards. It changes nothing.

what:
  --nodes FILE         Node objects in YAML or JSON, or a node list in CSV
  --pods FILE          Pods, Deployments, Jobs and the like in YAML or JSON, or
                       a trace in CSV. Both may be repeated; "-" is standard input
  --from-cluster       the nodes of a live cluster, and what its pods hold;
                       without --pods, its pending pods are placed
  --kubeconfig FILE    default: $KUBECONFIG, a pod's own account, ~/.kube/config
  --context NAME       of the kubeconfig; default: its current one
  --device-config FILE HAMi's device-config.yaml; default: that of its chart

how:
  --policy P           fragmentation (default), binpack or spread
  --device-policy W    which device of a node: binpack, spread, numa, mutex,
                       topology-aware, or several with commas; default: binpack.
                       hami-scheduler's own defaults are binpack and spread
  --cpu-pods WHO       pods without devices go where the policy puts them
                       (policy, default) or where kube-scheduler's defaults do
                       (kube-scheduler)

when:
  --seed N             in a random order; default: as they stand in the files
  --demand PCT         pods are drawn again until they ask for PCT % of all
                       devices
  --departures         pods come and go at the times of the trace
  --turnover PCT       pods are drawn, come, and go after a random time, so that
                       PCT % of all devices are asked for at any time
  --retry              who finds no room waits for others to leave

  --json               for programs; docs/reference/simulate.md lists the keys
  --list               every pod, not only the first
  --quiet              no progress on standard error
  -h, --help

examples:
  hami simulate --from-cluster --pods new-training.yaml
  hami simulate --nodes nodes.csv --pods trace.csv --seed 42 --demand 130
  kubectl get nodes -o yaml | hami simulate --nodes - --pods jobs.yaml --policy spread

exit codes:
  0  simulated, and every pod has a place (or pods were drawn)
  1  a file or the API server cannot be read
  2  wrong usage, or a fault in a file
  4  simulated, and not every pod has a place
)";

Status ReadPolicy(const std::string& device_words, const std::string& cpu_pods, Options* options) {
  const auto node = placement::ParseNodePolicy(options->policy_word);
  if (!node) {
    return Fail(Code::kInvalidArgument,
                fmt::format("--policy {}: there are fragmentation, binpack and spread",
                            options->policy_word));
  }
  options->policy.node = *node;
  options->policy.device = placement::ParseDevicePolicy(device_words);
  if (cpu_pods != "policy" && cpu_pods != "kube-scheduler") {
    return Fail(Code::kInvalidArgument,
                fmt::format("--cpu-pods {}: there are policy and kube-scheduler", cpu_pods));
  }
  options->native_by_policy = cpu_pods == "policy";
  return {};
}

Status Check(const Options& options) {
  const auto wrong = [](std::string what) { return Fail(Code::kInvalidArgument, std::move(what)); };
  if (options.from_cluster != options.node_files.empty()) {
    return wrong("nodes come from --nodes or from --from-cluster, one of them");
  }
  if (!options.from_cluster && options.pod_files.empty()) return wrong("--pods is missing");
  const bool odd = !std::isfinite(options.demand_pct) || !std::isfinite(options.turnover_pct);
  if (odd || options.demand_pct < 0 || options.turnover_pct < 0 || options.demand_pct > 1000 ||
      options.turnover_pct > 1000) {
    return wrong("--demand and --turnover are percents, from 0 to 1000");
  }
  if (options.turnover_pct > 0 && (options.demand_pct > 0 || options.departures)) {
    return wrong("--turnover says when pods go: neither --demand nor --departures beside it");
  }
  if (options.departures && (options.seed || options.demand_pct > 0)) {
    return wrong("--departures follows the trace: neither --seed nor --demand beside it");
  }
  if (options.retry && !options.departures && options.turnover_pct == 0) {
    return wrong("--retry waits for pods that leave: --departures or --turnover is missing");
  }
  const auto inputs =
      std::ranges::count(options.node_files, "-") + std::ranges::count(options.pod_files, "-");
  if (inputs > 1) return wrong("standard input can be one file only");
  return {};
}

}  // namespace

std::string_view Help() { return kHelp; }

Result<Options> ParseOptions(const std::vector<std::string>& arguments) {
  Options options;
  std::string device_words = "binpack";
  std::string cpu_pods = "policy";
  CLI::App app;
  try {
    app.set_help_flag();
    app.add_flag("-h,--help", options.help);
    app.add_option("--nodes", options.node_files)->allow_extra_args(false);
    app.add_option("--pods", options.pod_files)->allow_extra_args(false);
    app.add_flag("--from-cluster", options.from_cluster);
    app.add_option("--kubeconfig", options.kubeconfig);
    app.add_option("--context", options.context);
    app.add_option("--device-config", options.device_config);
    app.add_option("--policy", options.policy_word);
    app.add_option("--device-policy", device_words);
    app.add_option("--cpu-pods", cpu_pods);
    app.add_option("--seed", options.seed);
    app.add_option("--demand", options.demand_pct);
    app.add_option("--turnover", options.turnover_pct);
    app.add_flag("--departures", options.departures);
    app.add_flag("--retry", options.retry);
    app.add_flag("--json", options.json);
    app.add_flag("--list", options.list);
    app.add_flag("--quiet", options.quiet);
    app.parse(base::ReverseArguments(arguments));
  } catch (const CLI::Error& error) {
    return Fail(Code::kInvalidArgument, error.what());
  }
  if (options.help) return options;
  RETURN_IF_ERROR(ReadPolicy(device_words, cpu_pods, &options));
  RETURN_IF_ERROR(Check(options));
  return options;
}

}  // namespace hami::simulate
