// SPDX-License-Identifier: Apache-2.0

#include "explain/inquiry.h"

#include <utility>

#include "dra/names.h"
#include "explain/analyse.h"

namespace hami::explain {
namespace {

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

// Of an entry whose claim was not made from its template yet.
Explanation NotMade(const PodFacts& pod, const PodClaim& entry) {
  return {.namespace_name = pod.namespace_name,
          .name = entry.entry,
          .verdict = Verdict::kNotMade,
          .pods = {pod},
          .template_name = entry.template_name};
}

}  // namespace

Result<Report> InquireClaim(Gatherer* gatherer, const kube::ObjectKey& key) {
  ASSIGN_OR_RETURN(ClaimFacts facts, gatherer->Claim(key));
  ASSIGN_OR_RETURN(ClusterFacts cluster, gatherer->Cluster(key.name_space));
  ASSIGN_OR_RETURN(Explanation explanation, ExplainGathered(gatherer, std::move(facts), &cluster));
  Report report;
  report.claims.push_back(std::move(explanation));
  return report;
}

Result<Report> InquirePod(Gatherer* gatherer, const kube::ObjectKey& key) {
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
  const vendor::Registry registry = vendor::Registry::Default();
  ASSIGN_OR_RETURN(const PlacingFacts placing, gatherer->Placing(registry, key));
  report.placing = ExplainPlacing(registry, placing);
  if (report.placing->verdict == PlacingVerdict::kNoDevices) report.placing.reset();
  report.pod = std::move(pod);
  return report;
}

}  // namespace hami::explain
