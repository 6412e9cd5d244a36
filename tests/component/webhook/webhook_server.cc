// SPDX-License-Identifier: Apache-2.0
//
// src/webhook as a program, for tests before a real API server. Prints "port N" when it listens and
// "ready" when it has a certificate; each line on standard input is answered with the metrics and a
// line "end"; the end of standard input ends it.

#include <signal.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>
#include <thread>

#include "base/log.h"
#include "kube/client.h"
#include "kube/config.h"
#include "metrics/metrics.h"
#include "vendor/registry.h"
#include "webhook/flags.h"
#include "webhook/webhook.h"

namespace hami::webhook {
namespace {

Status Run(const WebhookFlags& flags, const std::string& kubeconfig,
           const std::string& pod_namespace, const std::string& device_config) {
  std::vector<vendor::ConfigWarning> warnings;
  ASSIGN_OR_RETURN(const vendor::Registry registry,
                   device_config.empty()
                       ? Result<vendor::Registry>(vendor::Registry::Default())
                       : vendor::Registry::FromDeviceConfig(device_config, &warnings));
  ASSIGN_OR_RETURN(kube::ClusterConfig config, kube::LoadConfig(kubeconfig));
  kube::Client client(std::move(config), {.user_agent = "webhook-server"});
  metrics::Registry metrics;
  ASSIGN_OR_RETURN(WebhookOptions options, OptionsOf(flags, pod_namespace, "", ""));
  options.managed.poll_ms = 200;
  options.managed.times.overlap_s = 2;
  ASSIGN_OR_RETURN(const auto webhook, Webhook::Start(options, registry, &client, &metrics));
  std::printf("port %d\n", webhook->port());
  std::fflush(stdout);
  while (!webhook->NotReady().empty()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  std::printf("ready\n");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    std::printf("%send\n", metrics.Text().c_str());
    std::fflush(stdout);
  }
  webhook->Stop(1000);
  return {};
}

}  // namespace
}  // namespace hami::webhook

int main(int argc, char** argv) {
  CLI::App app;
  hami::webhook::WebhookFlags flags;
  std::string kubeconfig;
  std::string pod_namespace;
  std::string device_config;
  hami::webhook::AddWebhookFlags(&app, &flags);
  app.add_option("--kubeconfig", kubeconfig)->required();
  app.add_option("--pod-namespace", pod_namespace)->required();
  app.add_option("--device-config", device_config);
  CLI11_PARSE(app, argc, argv);
  signal(SIGPIPE, SIG_IGN);
  const hami::Status ran = hami::webhook::Run(flags, kubeconfig, pod_namespace, device_config);
  if (ran) return 0;
  LOG_ERROR("cannot work", hami::Field("error", ran.error()));
  return 1;
}
