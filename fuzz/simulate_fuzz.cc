// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a file of `hami simulate`: a table of a trace, manifests as YAML or JSON. What must
// hold: no read outside, no hang, no exception; what is refused is refused with a sentence that
// names the file; what is read can be put into a cluster, and placing it over-commits nothing.

#include <stdint.h>
#include <stdlib.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "placement/cluster.h"
#include "placement/request.h"
#include "simulate/read_files.h"
#include "vendor/registry.h"

namespace {

namespace placement = hami::placement;

constexpr size_t kPlaced = 20;  // pods of one input

const hami::vendor::Registry& Vendors() {
  static const hami::vendor::Registry registry = hami::vendor::Registry::Default();
  return registry;
}

void Place(const hami::simulate::Scenario& scenario) {
  placement::Cluster cluster(Vendors());
  for (const placement::NodeFacts& node : scenario.nodes) cluster.PutNode(node);
  for (const placement::PodFacts& pod : scenario.running) cluster.PutPod(pod);
  if (!cluster.Overcommitted().empty()) return;  // as the files have it
  for (size_t index = 0; index < std::min(scenario.pods.size(), kPlaced); ++index) {
    const auto request = placement::MakeRequest(Vendors(), scenario.pods[index].pod, {});
    if (!request) continue;
    const placement::Decision decision = cluster.Place(*request, {});
    if (!decision.allocation) continue;
    placement::PodFacts facts;
    facts.uid = "placed-" + std::to_string(index);
    facts.node = decision.allocation->node;
    for (const placement::ContainerAsk& ask : request->containers) facts.kinds.push_back(ask.kind);
    facts.slices = decision.allocation->slices;
    cluster.PutPod(facts);
    if (!cluster.Overcommitted().empty()) abort();
  }
}

void Try(const std::string& file, std::string_view text) {
  hami::simulate::Scenario scenario;
  const hami::Status read = hami::simulate::AddText(Vendors(), file, text, &scenario);
  if (!read && read.error().message.find(file) == std::string::npos) abort();
  Place(scenario);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  Try("file.csv", text);
  Try("file.yaml", text);
  return 0;
}
