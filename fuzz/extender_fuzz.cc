// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the body of each verb of the extender, and as each object that it reads from the
// API. What must hold: no read outside, no hang, no exception; an answer is JSON; what is refused
// says why; a pod that is read can be placed, or not, without more.

#include <stdint.h>
#include <stdlib.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "extender/objects.h"
#include "extender/wire.h"
#include "json/value.h"
#include "kube/lease.h"
#include "placement/cluster.h"
#include "placement/request.h"
#include "vendor/registry.h"

namespace {

using hami::extender::FilterArgs;

const hami::vendor::Registry& Vendors() {
  static const hami::vendor::Registry registry = hami::vendor::Registry::Default();
  return registry;
}

void MustBeJson(const std::string& text) {
  hami::json::Document document;
  if (!document.Parse(text)) abort();
}

void TryFilter(std::string_view body) {
  hami::json::Document document;
  const hami::Result<FilterArgs> args = hami::extender::ReadFilterArgs(body, &document);
  if (!args) {
    if (args.error().message.empty()) abort();
    MustBeJson(hami::extender::WriteFilterError(args.error().message));
    return;
  }
  MustBeJson(hami::extender::WriteFilterResult(*args, {.chosen = args->names}));
  const hami::Result<hami::domain::Pod> pod = hami::domain::ReadPod(args->pod);
  if (!pod) return;
  const auto request = hami::placement::MakeRequest(Vendors(), *pod, {});
  if (!request || args->names.empty()) return;
  hami::placement::Cluster cluster(Vendors());
  for (const hami::json::Value object : args->nodes) {
    const auto node = hami::extender::ReadNodeEntry(Vendors(), object);
    if (node) cluster.PutNode(node->facts);
  }
  const hami::placement::Decision decision = cluster.Place(*request, args->names);
  if (!decision.allocation) return;
  hami::placement::PodFacts facts = hami::extender::FactsOf(*pod, *request);
  facts.node = decision.allocation->node;
  facts.slices = decision.allocation->slices;
  cluster.PutPod(facts);
  if (!cluster.Overcommitted().empty()) abort();
}

void TryObjects(std::string_view body) {
  hami::json::Document document;
  if (!document.Parse(body)) return;
  const auto pod = hami::extender::ReadPodEntry(Vendors(), document.root());
  if (pod && pod->facts.uid.empty()) abort();
  const auto node = hami::extender::ReadNodeEntry(Vendors(), document.root());
  const auto quota = hami::extender::ReadQuotaEntry(Vendors(), document.root());
  const auto lease = hami::kube::ReadLease(document.root());
  if (pod && node) {
    hami::placement::Cluster cluster(Vendors());
    cluster.PutNode(node->facts);
    cluster.PutPod(pod->facts);
    if (quota) cluster.PutQuota(quota->facts);
    cluster.RemovePod(pod->facts.uid);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const std::string_view body(reinterpret_cast<const char*>(data), bytes);
  TryFilter(body);
  if (const auto args = hami::extender::ReadBindArgs(body);
      args && (args->pod_uid.empty() || args->node.empty())) {
    abort();
  }
  TryObjects(body);
  return 0;
}
