// SPDX-License-Identifier: Apache-2.0

#include "explain/explain.h"

#include <fmt/format.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/log.h"
#include "dra/names.h"
#include "explain/analyse.h"
#include "explain/api_error.h"
#include "explain/gather.h"
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

Result<Explanation> ExplainGathered(Gatherer* gatherer, ClaimFacts facts, ClusterFacts* cluster) {
  if (cluster->served) {
    if (!facts.claim) gatherer->AddNeighbours(*cluster, &facts);
    RETURN_IF_ERROR(gatherer->AddPods(&facts));
  }
  Explanation explanation = Analyse(facts, *cluster);
  if (explanation.verdict == Verdict::kNotPublished &&
      explanation.missing_driver == dra::kDriverName && !cluster->nodes) {
    RETURN_IF_ERROR(gatherer->AddNodes(cluster));
    explanation = Analyse(facts, *cluster);
  }
  SetPhases(gatherer->Phases(HoldingPods(explanation)), &explanation);
  return explanation;
}

Result<Report> ExplainClaim(Gatherer* gatherer, const kube::ObjectKey& key) {
  ASSIGN_OR_RETURN(ClaimFacts facts, gatherer->Claim(key));
  ASSIGN_OR_RETURN(ClusterFacts cluster, gatherer->Cluster(key.name_space));
  ASSIGN_OR_RETURN(Explanation explanation, ExplainGathered(gatherer, std::move(facts), &cluster));
  Report report;
  report.claims.push_back(std::move(explanation));
  return report;
}

// Of an entry whose claim was not made from its template yet.
Explanation NotMade(const PodFacts& pod, const PodClaim& entry) {
  return {.namespace_name = pod.namespace_name,
          .name = entry.entry,
          .verdict = Verdict::kNotMade,
          .pods = {pod},
          .template_name = entry.template_name};
}

Result<Report> ExplainPod(Gatherer* gatherer, const kube::ObjectKey& key) {
  ASSIGN_OR_RETURN(PodFacts pod, gatherer->Pod(key));
  ASSIGN_OR_RETURN(ClusterFacts cluster, gatherer->Cluster(key.name_space));
  Report report;
  RETURN_IF_ERROR(gatherer->AddWarnings(&pod, &cluster.gaps));
  for (const PodClaim& entry : pod.claims) {
    if (entry.claim.empty()) {
      report.claims.push_back(NotMade(pod, entry));
      continue;
    }
    ASSIGN_OR_RETURN(ClaimFacts facts, gatherer->Claim({key.name_space, entry.claim}));
    ASSIGN_OR_RETURN(Explanation explanation,
                     ExplainGathered(gatherer, std::move(facts), &cluster));
    report.claims.push_back(std::move(explanation));
  }
  report.pod = std::move(pod);
  return report;
}

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
      options.pod ? ExplainPod(&gatherer, key) : ExplainClaim(&gatherer, key);
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
