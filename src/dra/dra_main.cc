// SPDX-License-Identifier: Apache-2.0

#include "dra/dra_main.h"

#include <poll.h>

#include <utility>

#include "base/end_signals.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/version.h"
#include "dra/driver.h"
#include "dra/driver_watch.h"
#include "dra/options.h"
#include "kube/config.h"

namespace hami::dra {
namespace {

Status Run(const Options& options) {
  ASSIGN_OR_RETURN(const base::Fd signals, base::TakeEndSignals());
  ASSIGN_OR_RETURN(kube::ClusterConfig config, kube::LoadConfig(options.kubeconfig));
  Driver driver(options, std::move(config));
  RETURN_IF_ERROR(driver.Start());
  for (;;) {
    pollfd ready = {signals.get(), POLLIN, 0};
    const int count = poll(&ready, 1, options.sweep_s * 1000);
    if (count > 0) break;
    if (count == 0) driver.SweepNow();
  }
  LOG_INFO("ending");
  driver.Stop();
  return {};
}

}  // namespace

int DraDriverMain(int argc, char** argv) {
  int exit_code = 0;
  const Result<Options> options = ParseOptions(argc, argv, &exit_code);
  if (!options) return exit_code;
  if (options->command == "context-cost") {
    return ContextCostMain(options->container_driver_root, options->uuid, options->cache_root);
  }
  base::StartLog(options->log);
  LOG_INFO(base::VersionLine("hami-dra-driver"), Field("node", options->node_name));
  const Status ran = Run(*options);
  if (ran) return 0;
  LOG_ERROR("cannot work", Field("error", ran.error()));
  return 1;
}

}  // namespace hami::dra
