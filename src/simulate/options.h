// SPDX-License-Identifier: Apache-2.0
//
// The command line of `hami simulate`. Pure.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "placement/request.h"

namespace hami::simulate {

struct Options {
  bool help = false;
  std::vector<std::string> node_files;
  std::vector<std::string> pod_files;
  bool from_cluster = false;
  std::string kubeconfig;
  std::string context;
  std::string device_config;
  std::string policy_word = "fragmentation";
  placement::Policy policy;
  bool native_by_policy = true;
  std::optional<uint64_t> seed;
  double demand_pct = 0;    // 0: the pods as they are
  double turnover_pct = 0;  // 0: no random departures
  bool departures = false;
  bool retry = false;
  bool json = false;
  bool list = false;
  bool quiet = false;

  // Pods were drawn, so that some find no room by intention.
  bool draws() const { return demand_pct > 0 || turnover_pct > 0; }
};

std::string_view Help();

// Without the program's name. kInvalidArgument says what is wrong and what is allowed.
Result<Options> ParseOptions(const std::vector<std::string>& arguments);

}  // namespace hami::simulate
