// SPDX-License-Identifier: Apache-2.0
//
// The command line of hami-dra-driver. Names and variables are those of HAMi's driver where it has
// the same thing, so that its DaemonSets keep working.

#pragma once

#include <string>

#include "api/share/agent.h"
#include "base/log.h"
#include "base/result.h"

namespace hami::dra {

struct Options {
  std::string command;  // "": the driver; "context-cost"
  std::string node_name;
  std::string kubeconfig;  // empty: in-cluster, else $KUBECONFIG
  std::string kubelet_folder = "/var/lib/kubelet";
  std::string cdi_root = "/var/run/cdi";
  std::string driver_root = "/";                       // on the node
  std::string container_driver_root = "/driver-root";  // where we see it
  std::string library_root = "/var/lib/hami/dra/lib";
  std::string share_root = api::kClaimsRoot;
  std::string cache_root = "/var/lib/hami/dra/cache";
  std::string metrics_address = ":9396";
  // Of the container runtime; by way of process 1, so that nothing of it has to be mounted.
  std::string runtime_socket = "/proc/1/root/run/containerd/containerd.sock";
  int sweep_s = 30;
  int poll_ms = 5'000;
  base::LogOptions log;

  std::string uuid;  // of context-cost
};

// Prints help or version itself, or what is wrong; then `*exit_code` is set and there is no value.
Result<Options> ParseOptions(int argc, char** argv, int* exit_code);

}  // namespace hami::dra
