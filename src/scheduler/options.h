// SPDX-License-Identifier: Apache-2.0
//
// The command line of hami-scheduler: every flag of HAMi's scheduler with its meaning (contract
// hami-control-plane.md 1.2), and ours. Flags of HAMi's that do nothing are accepted, with a
// warning.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "webhook/flags.h"

namespace hami::scheduler {

struct Options {
  std::string http_bind = "127.0.0.1:8080";
  std::string cert_file;
  std::string key_file;
  std::string scheduler_name;
  std::string node_scheduler_policy = "binpack";
  std::string gpu_scheduler_policy = "spread";
  std::string metrics_bind_address = ":9395";
  std::map<std::string, std::string> node_selector;  // labels; empty: all nodes
  int64_t node_lock_timeout_ms = 300'000;
  int64_t node_lock_retry_ms = 28'000;  // of PodGroups; 0: not tried again
  bool force_overwrite_default_scheduler = true;
  bool leader_elect = false;
  std::string lease_name;
  std::string lease_namespace;
  bool legacy_metrics = false;
  std::string device_config_file;
  bool enable_ascend = false;  // the families of chips that a device configuration only has then
  bool enable_iluvatar = false;

  // --- Ours ---
  std::string kubeconfig;
  std::string context;
  std::string node_choice = "extender";  // or "scheduler"
  std::string readyz = "synced";         // or "leader"
  bool nodes_mean_dry_run = false;
  bool preempt = true;
  bool print_managed_resources = false;  // and end
  std::string holder;  // the host name under which the kube-scheduler beside us takes the Lease
  int64_t reservation_ms = 30'000;
  int64_t bind_timeout_ms = 5'000;
  int64_t reconcile_ms = 600'000;
  std::string trace_endpoint;  // http://HOST:4318/v1/traces; empty: off
  std::string pod_name;
  std::string pod_namespace;
  webhook::WebhookFlags webhook;
  base::LogOptions log;

  std::vector<std::string> warnings;  // of flags that do nothing, for the log
};

// Prints help or version itself, or what is wrong; then `*exit_code` is set and there is no value.
Result<Options> ParseOptions(int argc, char** argv, int* exit_code);

// Go's time.Duration: "5m", "1h30m", "28s", "100ms", "0". kInvalidArgument: anything else, or
// less than 0.
Result<int64_t> ParseDurationMs(std::string_view text);

// "a=b,c=d". kInvalidArgument: anything else.
Result<std::map<std::string, std::string>> ParseLabels(std::string_view text);

// "[HOST]:PORT" as host and port; no host is "0.0.0.0".
struct Address {
  std::string host;
  uint16_t port = 0;
};
Result<Address> ParseAddress(std::string_view flag, const std::string& text);

}  // namespace hami::scheduler
