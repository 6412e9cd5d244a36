// SPDX-License-Identifier: Apache-2.0

#include "scheduler/scheduler_main.h"

#include <poll.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "base/end_signals.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/version.h"
#include "kube/config.h"
#include "scheduler/managed_resources.h"
#include "scheduler/options.h"
#include "scheduler/scheduler.h"

namespace hami::scheduler {
namespace {

Status Run(const Options& options) {
  ASSIGN_OR_RETURN(const base::Fd signals, base::TakeEndSignals());
  ASSIGN_OR_RETURN(kube::ClusterConfig config,
                   kube::LoadConfig(options.kubeconfig, options.context));
  LOG_INFO("the API server", Field("url", config.server), Field("from", config.origin));
  ASSIGN_OR_RETURN(const std::unique_ptr<Scheduler> scheduler,
                   Scheduler::Make(options, std::move(config)));
  RETURN_IF_ERROR(scheduler->Start());
  LOG_INFO("listening", Field("extender", options.http_bind),
           Field("metrics", options.metrics_bind_address));
  pollfd ready = {signals.get(), POLLIN, 0};
  while (poll(&ready, 1, -1) < 0) {
  }
  LOG_INFO("ending");
  scheduler->Stop();
  return {};
}

Status PrintManagedResources(const Options& options) {
  ASSIGN_OR_RETURN(const vendor::Registry registry, ReadRegistry(options));
  const std::string text = ManagedResourcesText(registry);
  if (fwrite(text.data(), 1, text.size(), stdout) != text.size() || fflush(stdout) != 0) {
    return FailErrno("write to standard output");
  }
  return {};
}

}  // namespace

int SchedulerMain(int argc, char** argv) {
  int exit_code = 0;
  const Result<Options> options = ParseOptions(argc, argv, &exit_code);
  if (!options) return exit_code;
  base::StartLog(options->log);
  if (!options->print_managed_resources) LOG_INFO(base::VersionLine("hami-scheduler"));
  for (const std::string& warning : options->warnings) LOG_WARN(warning);
  const Status ran =
      options->print_managed_resources ? PrintManagedResources(*options) : Run(*options);
  if (ran) return 0;
  LOG_ERROR("cannot work", Field("error", ran.error()));
  return ran.error().code == Code::kInvalidArgument ? 2 : 1;
}

}  // namespace hami::scheduler
