// SPDX-License-Identifier: Apache-2.0

#include "explain/explain.h"

#include <fmt/format.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/file.h"
#include "base/log.h"
#include "explain/api_error.h"
#include "explain/gather.h"
#include "explain/inquiry.h"
#include "explain/json_report.h"
#include "explain/options.h"
#include "explain/text.h"
#include "kube/client.h"
#include "kube/config.h"
#include "kube/request.h"

namespace hami::explain {
namespace {

constexpr int kWrongUsage = 2;

void Notice(const std::string& sentence) { fmt::print(stderr, "hami: {}\n", sentence); }

// A claim that is not there, or an API that is not, is no explanation for a script.
int ExitCodeOf(const Report& report) {
  if (report.pod) return 0;
  const Verdict verdict = report.claims.front().verdict;
  return verdict == Verdict::kNotFound || verdict == Verdict::kNotServed ? 1 : 0;
}

int Explain(const Options& options) {
  if (const Status named = kube::CheckKey({options.name_space, options.name}); !named) {
    Notice(named.error().message);
    return kWrongUsage;
  }
  const Result<kube::ClusterConfig> config = kube::LoadConfig(options.kubeconfig, options.context);
  if (!config) {
    Notice(ConfigErrorText(config.error()));
    return 1;
  }
  kube::Client client(*config, {.user_agent = "hami-explain"});
  Gatherer gatherer(&client);
  const kube::ObjectKey key = {options.name_space.empty() ? config->name_space : options.name_space,
                               options.name};
  const Result<Report> report =
      options.pod ? InquirePod(&gatherer, key) : InquireClaim(&gatherer, key);
  if (!report) {
    Notice(ApiErrorText(report.error(), config->server, config->origin));
    return 1;
  }
  const std::string text = options.json ? RenderJson(*report) : RenderText(*report);
  if (const Status written = base::WriteAll(STDOUT_FILENO, text); !written) {
    Notice(written.error().message);
    return 1;
  }
  return ExitCodeOf(*report);
}

}  // namespace

int ExplainMain(int argc, char** argv) {
  const Result<Options> options = ParseOptions(std::vector<std::string>(argv + 1, argv + argc));
  if (!options) {
    Notice(options.error().message + ". See hami explain --help.");
    return kWrongUsage;
  }
  if (options->help) {
    fmt::print("{}", Help());
    return 0;
  }
  base::StartLog({.level = base::LogLevel::kError});
  return Explain(*options);
}

}  // namespace hami::explain
