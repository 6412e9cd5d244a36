// SPDX-License-Identifier: Apache-2.0

#include "scheduler/options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <memory>
#include <utility>

#include "base/arguments.h"
#include "base/version.h"

namespace hami::scheduler {
namespace {

constexpr int kWrongUsage = 2;

// Of HAMi's scheduler, and without effect there or here.
struct IdleFlag {
  const char* name;
  const char* why;
};

// The device configuration says the names of resources, in HAMi too.
constexpr char kNamedByFile[] = "the device configuration file says it";
// HAMi's newest scheduler has an endpoint by which its device plugin corrects NUMA choices.
constexpr char kNoRefit[] = "there is no /refit endpoint: cards are chosen by NUMA here";
constexpr char kKlog[] = "this program has --log-level and --log-format";

constexpr auto kIdleValues = std::to_array<IdleFlag>({
    {"--kube-qps", "this client does not throttle itself; the API server's flow control does"},
    {"--kube-burst", "this client does not throttle itself; the API server's flow control does"},
    {"--kube-timeout", "each request has a deadline of its own"},
    {"--cambricon-mlu-name", kNamedByFile},
    {"--cambricon-mlu-memory", kNamedByFile},
    {"--cambricon-mlu-cores", kNamedByFile},
    {"--dcu-name", kNamedByFile},
    {"--dcu-memory", kNamedByFile},
    {"--dcu-cores", kNamedByFile},
    {"--mthreads-name", kNamedByFile},
    {"--mthreads-memory", kNamedByFile},
    {"--mthreads-cores", kNamedByFile},
    {"--metax-name", kNamedByFile},
    {"--metax-vcount", kNamedByFile},
    {"--metax-vcore", kNamedByFile},
    {"--metax-vmemory", kNamedByFile},
    {"--sgpu-topology-aware", kNamedByFile},
    {"--kunlun-name", kNamedByFile},
    {"--kunlun-vcount", kNamedByFile},
    {"--kunlun-vmemory", kNamedByFile},
    {"--enflame-gcu-resource-name", kNamedByFile},
    {"--enflame-drs-gcu-resource-name", kNamedByFile},
    {"--enflame-gcu-memory-resource-name", kNamedByFile},
    {"--enflame-gcu-core-resource-name", kNamedByFile},
    {"--enflame-vgcu-resource-name", kNamedByFile},
    {"--enflame-vgcu-percentage-resource-name", kNamedByFile},
    {"--iluvatar-name", kNamedByFile},
    {"--iluvatar-memory", kNamedByFile},
    {"--iluvatar-cores", kNamedByFile},
    {"--resource-name", kNamedByFile},
    {"--resource-mem", kNamedByFile},
    {"--resource-mem-percentage", kNamedByFile},
    {"--resource-cores", kNamedByFile},
    {"--resource-priority", kNamedByFile},
    {"--default-mem", kNamedByFile},
    {"--default-cores", kNamedByFile},
    {"--default-gpu", kNamedByFile},
    {"--ascend-name", kNamedByFile},
    {"--ascend-memory", kNamedByFile},
    {"--device-plugin-namespace", kNoRefit},
    {"--device-plugin-service-account", kNoRefit},
    {"--vmodule", kKlog},
    {"--log_dir", kKlog},
    {"--log_file", kKlog},
    {"--log_file_max_size", kKlog},
    {"--log_backtrace_at", kKlog},
    {"--stderrthreshold", kKlog},
});

constexpr auto kIdleFlags = std::to_array<IdleFlag>({
    {"--profiling", "there is no pprof in this program"},
    {"--overwrite-env", "the device configuration file says it"},
    {"--logtostderr", kKlog},
    {"--alsologtostderr", kKlog},
    {"--add_dir_header", kKlog},
    {"--one_output", kKlog},
    {"--skip_headers", kKlog},
    {"--skip_log_headers", kKlog},
    {"--legacy_stderr_threshold_behavior", kKlog},
});

struct RawOptions {
  std::string node_selector;
  std::string node_lock_timeout = "5m";
  std::string node_lock_retry = "28s";
  std::string reservation = "30s";
  std::string bind_timeout = "5s";
  std::string reconcile = "10m";
  std::string log_level;
  std::string log_format = "text";
  bool debug = false;
  int verbosity = 0;
  // Where values of flags go that do nothing.
  std::vector<std::unique_ptr<std::string>> idle_values;
  std::vector<std::unique_ptr<bool>> idle_flags;
};

void DeclareHami(CLI::App* app, RawOptions* raw, Options* options) {
  app->add_option("--http_bind", options->http_bind, "where kube-scheduler asks")
      ->capture_default_str();
  app->add_option("--cert_file", options->cert_file, "certificate to serve with, PEM");
  app->add_option("--key_file", options->key_file, "its key, PEM");
  app->add_option("--scheduler-name", options->scheduler_name,
                  "what the webhook writes to spec.schedulerName; the source of events");
  app->add_option("--node-scheduler-policy", options->node_scheduler_policy,
                  "binpack, spread or fragmentation")
      ->capture_default_str();
  app->add_option("--gpu-scheduler-policy", options->gpu_scheduler_policy,
                  "binpack, spread, mutex, topology-aware, numa, or a chain of them")
      ->capture_default_str();
  app->add_option("--metrics-bind-address", options->metrics_bind_address,
                  "where /metrics is; empty: nowhere")
      ->capture_default_str();
  app->add_option("--node-label-selector", raw->node_selector,
                  "only nodes with these labels: k=v,k2=v2");
  app->add_option("--node-lock-timeout", raw->node_lock_timeout,
                  "after which a node's lock is nobody's")
      ->envname("HAMI_NODELOCK_EXPIRE")
      ->capture_default_str();
  app->add_option("--node-lock-retry-timeout", raw->node_lock_retry,
                  "how long pods of a PodGroup wait for a node's lock; 0: not at all")
      ->capture_default_str();
  app->add_flag("--force-overwrite-default-scheduler,!--no-force-overwrite-default-scheduler",
                options->force_overwrite_default_scheduler,
                "the webhook takes pods of default-scheduler too")
      ->default_val(true);
  app->add_flag("--leader-elect", options->leader_elect,
                "decide only while the kube-scheduler beside this holds its Lease");
  app->add_option("--leader-elect-resource-name", options->lease_name,
                  "that Lease's name; default: --scheduler-name");
  app->add_option("--leader-elect-resource-namespace", options->lease_namespace,
                  "that Lease's namespace; default: this pod's");
  app->add_flag("--legacy-metrics", options->legacy_metrics,
                "export the names of metrics that HAMi had before 2.9, too");
  app->add_option("--device-config-file", options->device_config_file,
                  "HAMi's device-config.yaml; empty: as HAMi's chart has it");
  app->add_flag("--enable-ascend", options->enable_ascend,
                "place Ascend chips that the device configuration file has");
  app->add_flag("--enable-iluvatar", options->enable_iluvatar, "place Iluvatar chips that it has");
  app->add_flag("--debug", raw->debug, "like --log-level debug");
  app->add_option("-v,--v", raw->verbosity, "klog's number: from 4 on it is --log-level debug");
  for (const IdleFlag& flag : kIdleValues) {
    raw->idle_values.push_back(std::make_unique<std::string>());
    app->add_option(flag.name, *raw->idle_values.back(), "no effect")->group("");
  }
  for (const IdleFlag& flag : kIdleFlags) {
    raw->idle_flags.push_back(std::make_unique<bool>(false));
    app->add_flag(flag.name, *raw->idle_flags.back(), "no effect")->group("");
  }
}

void DeclareOurs(CLI::App* app, RawOptions* raw, Options* options) {
  app->add_option("--kubeconfig", options->kubeconfig,
                  "default: $KUBECONFIG, the pod's account, ~/.kube/config");
  app->add_option("--context", options->context, "of the kubeconfig");
  app->add_option("--node-choice", options->node_choice,
                  "extender: a filter answers the one node that is best; scheduler: it answers "
                  "all that fit, and kube-scheduler chooses")
      ->check(CLI::IsMember({"extender", "scheduler"}))
      ->capture_default_str();
  app->add_option("--readyz", options->readyz,
                  "synced: ready when everything is read; leader: and when this one leads")
      ->check(CLI::IsMember({"synced", "leader"}))
      ->capture_default_str();
  app->add_flag("--nodes-mean-dry-run", options->nodes_mean_dry_run,
                "a filter that carries whole Nodes is a simulation of empty nodes, as in HAMi, for "
                "a cluster-autoscaler that asks extenders");
  app->add_flag("--print-managed-resources", options->print_managed_resources,
                "print managedResources for kube-scheduler's configuration and end");
  app->add_flag("--preempt,!--no-preempt", options->preempt,
                "evict pods of lower priority for pods that fit nowhere")
      ->default_val(true);
  app->add_option("--holder", options->holder,
                  "the host name by which the kube-scheduler beside this takes the Lease; default: "
                  "this host's");
  app->add_option("--reservation-timeout", raw->reservation,
                  "how long a filter's choice is held for its bind")
      ->capture_default_str();
  app->add_option("--bind-timeout", raw->bind_timeout, "how long one bind may take")
      ->capture_default_str();
  app->add_option("--reconcile-interval", raw->reconcile,
                  "how often all pods are compared with what is held")
      ->capture_default_str();
  app->add_option("--otlp-traces-endpoint", options->trace_endpoint,
                  "where traces go by OTLP over HTTP: http://HOST:4318/v1/traces; empty: nowhere")
      ->envname("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
  webhook::AddWebhookFlags(app, &options->webhook);
  app->add_option("--pod-name", options->pod_name,
                  "this pod's name, for its label hami.io/scheduler-role; empty: no label")
      ->envname("POD_NAME");
  app->add_option("--pod-namespace", options->pod_namespace, "this pod's namespace")
      ->envname("POD_NAMESPACE");
  app->add_option("--log-level", raw->log_level, "debug, info, warn, error or off; default: info")
      ->envname("LOG_LEVEL");
  app->add_option("--log-format", raw->log_format, "text or json")
      ->envname("LOG_FORMAT")
      ->capture_default_str();
}

void WarnOfIdle(const CLI::App& app, Options* options) {
  const auto warn = [&](const IdleFlag& flag) {
    if (app.count(flag.name) == 0) return;
    options->warnings.push_back(fmt::format("{} does nothing: {}", flag.name, flag.why));
  };
  for (const IdleFlag& flag : kIdleValues) warn(flag);
  for (const IdleFlag& flag : kIdleFlags) warn(flag);
}

Result<int64_t> Duration(const char* flag, const std::string& text) {
  Result<int64_t> duration = ParseDurationMs(text);
  if (!duration) return Fail(Error(duration.error()).Wrap(flag));
  return duration;
}

Result<std::string> HostName() {
  std::array<char, 256> name = {};
  if (gethostname(name.data(), name.size() - 1) != 0) return FailErrno("read the host name");
  return std::string(name.data());
}

Status CheckLease(Options* options) {
  if (!options->leader_elect) return {};
  if (options->lease_name.empty()) options->lease_name = options->scheduler_name;
  if (options->lease_namespace.empty()) options->lease_namespace = options->pod_namespace;
  if (options->lease_name.empty() || options->lease_namespace.empty()) {
    return Fail(Code::kInvalidArgument,
                "--leader-elect needs --leader-elect-resource-name and "
                "--leader-elect-resource-namespace: those of the kube-scheduler beside this");
  }
  return {};
}

Status Check(const RawOptions& raw, Options* options) {
  ASSIGN_OR_RETURN(options->node_selector, ParseLabels(raw.node_selector));
  ASSIGN_OR_RETURN(options->node_lock_timeout_ms,
                   Duration("--node-lock-timeout", raw.node_lock_timeout));
  ASSIGN_OR_RETURN(options->node_lock_retry_ms,
                   Duration("--node-lock-retry-timeout", raw.node_lock_retry));
  ASSIGN_OR_RETURN(options->reservation_ms, Duration("--reservation-timeout", raw.reservation));
  ASSIGN_OR_RETURN(options->bind_timeout_ms, Duration("--bind-timeout", raw.bind_timeout));
  ASSIGN_OR_RETURN(options->reconcile_ms, Duration("--reconcile-interval", raw.reconcile));
  if (options->reservation_ms < 1000 || options->bind_timeout_ms < 500 ||
      options->reconcile_ms < 1000) {
    return Fail(Code::kInvalidArgument,
                "--reservation-timeout and --reconcile-interval are 1s at least, --bind-timeout "
                "500ms");
  }
  options->log.level =
      raw.debug || raw.verbosity >= 4 ? base::LogLevel::kDebug : base::LogLevel::kInfo;
  if (!raw.log_level.empty()) {
    ASSIGN_OR_RETURN(options->log.level, base::ParseLogLevel(raw.log_level));
  }
  ASSIGN_OR_RETURN(options->log.format, base::ParseLogFormat(raw.log_format));
  if (options->cert_file.empty() != options->key_file.empty()) {
    return Fail(Code::kInvalidArgument, "--cert_file and --key_file belong together");
  }
  RETURN_IF_ERROR(ParseAddress("--http_bind", options->http_bind));
  if (!options->metrics_bind_address.empty()) {
    RETURN_IF_ERROR(ParseAddress("--metrics-bind-address", options->metrics_bind_address));
  }
  if (options->holder.empty()) {
    ASSIGN_OR_RETURN(options->holder, HostName());
  }
  return CheckLease(options);
}

// klog's names stand behind one dash, too.
std::vector<std::string> WithTwoDashes(std::vector<std::string> arguments) {
  for (std::string& argument : arguments) {
    if (argument.size() > 2 && argument[0] == '-' && argument[1] != '-' && argument[1] != 'v') {
      argument.insert(0, 1, '-');
    }
    if (argument.starts_with("-v=")) argument.insert(0, 1, '-');
  }
  return arguments;
}

}  // namespace

Result<int64_t> ParseDurationMs(std::string_view text) {
  const auto fail = [text] {
    return Fail(Code::kInvalidArgument,
                "\"" + std::string(text) + "\" is no duration, such as 5m, 28s or 100ms");
  };
  if (text == "0") return 0;
  double sum_ms = 0;
  std::string_view rest = text;
  if (rest.empty()) return fail();
  while (!rest.empty()) {
    double number = 0;
    const auto [at, error] =
        std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (error != std::errc() || number < 0) return fail();
    rest.remove_prefix(static_cast<size_t>(at - rest.data()));
    static constexpr std::pair<std::string_view, double> kUnits[] = {
        {"ns", 1e-6}, {"us", 1e-3}, {"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}};
    const auto* const unit = std::ranges::find_if(
        kUnits, [rest](const auto& known) { return rest.starts_with(known.first); });
    if (unit == std::end(kUnits)) return fail();
    rest.remove_prefix(unit->first.size());
    sum_ms += number * unit->second;
  }
  if (sum_ms > 1e12) return fail();
  return static_cast<int64_t>(sum_ms);
}

Result<std::map<std::string, std::string>> ParseLabels(std::string_view text) {
  std::map<std::string, std::string> labels;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const size_t equal = part.find('=');
    if (equal == std::string_view::npos || equal == 0) {
      return Fail(Code::kInvalidArgument,
                  "--node-label-selector: \"" + std::string(part) + "\" is no label=value");
    }
    labels[std::string(part.substr(0, equal))] = std::string(part.substr(equal + 1));
  }
  return labels;
}

Result<Address> ParseAddress(std::string_view flag, const std::string& text) {
  Address address = {.host = "0.0.0.0"};
  const size_t colon = text.rfind(':');
  const char* const end = text.data() + text.size();
  if (colon != std::string::npos) {
    const auto [at, error] = std::from_chars(text.data() + colon + 1, end, address.port);
    if (error == std::errc() && at == end) {
      if (colon > 0) address.host = text.substr(0, colon);
      if (address.host.starts_with('[') && address.host.ends_with(']')) {
        address.host = address.host.substr(1, address.host.size() - 2);
      }
      return address;
    }
  }
  return Fail(Code::kInvalidArgument,
              std::string(flag) + " \"" + text + "\" is no [HOST]:PORT, such as :9395");
}

Result<Options> ParseOptions(int argc, char** argv, int* exit_code) {
  CLI::App app("Places pods on slices of devices, beside a kube-scheduler that asks it.",
               "hami-scheduler");
  app.set_version_flag("--version", base::VersionLine("hami-scheduler"));
  Options options;
  RawOptions raw;
  DeclareHami(&app, &raw, &options);
  DeclareOurs(&app, &raw, &options);
  bool print_version = false;
  app.add_subcommand("version", "print the version and end")->callback([&print_version] {
    print_version = true;
  });
  try {
    app.parse(base::ReverseArguments(WithTwoDashes(base::Arguments(argc, argv))));
  } catch (const CLI::ParseError& error) {
    *exit_code = app.exit(error) == 0 ? 0 : kWrongUsage;
    return Fail(Code::kCancelled, "");
  }
  if (print_version) {
    fmt::print("{}\n", base::VersionLine("hami-scheduler"));
    *exit_code = 0;
    return Fail(Code::kCancelled, "");
  }
  const Status checked = Check(raw, &options);
  if (checked) {
    WarnOfIdle(app, &options);
    return options;
  }
  fmt::print(stderr, "hami-scheduler: {}\n", checked.error().message);
  *exit_code = kWrongUsage;
  return Fail(Code::kCancelled, "");
}

}  // namespace hami::scheduler
