// SPDX-License-Identifier: Apache-2.0

#include "dra/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "base/arguments.h"
#include "base/version.h"

namespace hami::dra {
namespace {

constexpr int kWrongUsage = 2;

struct RawOptions {
  std::string log_level = "info";
  std::string log_format = "text";
};

void Declare(CLI::App* app, RawOptions* raw, Options* options) {
  app->add_option("--node-name", options->node_name, "this node's name; required")
      ->envname("NODE_NAME");
  app->add_option("--kubeconfig", options->kubeconfig,
                  "for a run outside the cluster; default: the pod's service account");
  app->add_option("--kubelet-root", options->kubelet_folder, "the kubelet's --root-dir")
      ->envname("KUBELET_ROOT")
      ->capture_default_str();
  app->add_option("--cdi-root", options->cdi_root, "folder of CDI documents that runtimes watch")
      ->envname("CDI_ROOT")
      ->capture_default_str();
  app->add_option("--nvidia-driver-root", options->driver_root,
                  "the driver's root on the node: / or /run/nvidia/driver")
      ->envname("NVIDIA_DRIVER_ROOT")
      ->capture_default_str();
  app->add_option("--container-driver-root", options->container_driver_root,
                  "the same, where this process sees it")
      ->envname("DRIVER_ROOT_CTR_PATH")
      ->capture_default_str();
  app->add_option("--library-root", options->library_root,
                  "where the files that tenants mount are kept, by version")
      ->capture_default_str();
  app->add_option("--share-root", options->share_root, "share directories; on a tmpfs")
      ->capture_default_str();
  app->add_option("--cache-root", options->cache_root, "what was measured once")
      ->capture_default_str();
  app->add_option("--metrics-address", options->metrics_address,
                  "where /metrics, /healthz and /readyz are; empty: nowhere")
      ->envname("METRICS_ADDRESS")
      ->capture_default_str();
  app->add_option("--runtime-socket", options->runtime_socket,
                  "containerd's, to see whether it injects CDI devices; empty: not asked")
      ->capture_default_str();
  app->add_option("--sweep-seconds", options->sweep_s,
                  "how often everything is compared with what should be there")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  app->add_option("--poll-milliseconds", options->poll_ms, "how often the GPU driver is looked at")
      ->check(CLI::Range(100, 600'000))
      ->capture_default_str();
  app->add_option("--log-level", raw->log_level, "debug, info, warn, error or off")
      ->envname("LOG_LEVEL")
      ->capture_default_str();
  app->add_option("--log-format", raw->log_format, "text or json")
      ->envname("LOG_FORMAT")
      ->capture_default_str();
}

void DeclareContextCost(CLI::App* app, Options* options) {
  CLI::App* measure = app->add_subcommand(
      "context-cost", "print what a CUDA context costs on one GPU, in bytes, and end");
  measure->add_option("--driver-root", options->container_driver_root)->required();
  measure->add_option("--uuid", options->uuid)->required();
  measure->add_option("--cache", options->cache_root);
  measure->callback([options] { options->command = "context-cost"; });
}

Status Check(const RawOptions& raw, Options* options) {
  ASSIGN_OR_RETURN(options->log.level, base::ParseLogLevel(raw.log_level));
  ASSIGN_OR_RETURN(options->log.format, base::ParseLogFormat(raw.log_format));
  if (options->command.empty() && options->node_name.empty()) {
    return Fail(Code::kInvalidArgument,
                "which node is this? Give --node-name, or NODE_NAME from spec.nodeName");
  }
  return {};
}

}  // namespace

Result<Options> ParseOptions(int argc, char** argv, int* exit_code) {
  CLI::App app(
      "DRA driver of a node: publishes its GPUs as ResourceSlices and prepares claims of shares.",
      "hami-dra-driver");
  app.set_version_flag("--version", base::VersionLine("hami-dra-driver"));
  Options options;
  RawOptions raw;
  Declare(&app, &raw, &options);
  DeclareContextCost(&app, &options);
  try {
    app.parse(base::ReverseArguments(base::Arguments(argc, argv)));
  } catch (const CLI::ParseError& error) {
    *exit_code = app.exit(error) == 0 ? 0 : kWrongUsage;
    return Fail(Code::kCancelled, "");
  }
  const Status checked = Check(raw, &options);
  if (checked) return options;
  fmt::print(stderr, "hami-dra-driver: {}\n", checked.error().message);
  *exit_code = kWrongUsage;
  return Fail(Code::kCancelled, "");
}

}  // namespace hami::dra
