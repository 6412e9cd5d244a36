// SPDX-License-Identifier: Apache-2.0

#include "simulate/live.h"

#include <fmt/format.h>

#include <utility>

#include "kube/object.h"
#include "simulate/manifest.h"

namespace hami::simulate {
namespace {

const kube::ResourceType kQuotas{"", "v1", "resourcequotas"};

}  // namespace

Status AddCluster(const vendor::Registry& registry, kube::Client* client, bool with_pending,
                  Scenario* scenario) {
  Scenario read;
  // One that is not as it should be is a note, not the end.
  const auto visit = [&](const char* what) {
    return [&registry, &read, what](json::Value object) -> Status {
      const std::string source = fmt::format("{} {}", what, object["metadata"]["name"].Text());
      if (const Status added = AddObject(registry, source, what, object, &read); !added) {
        read.notes.push_back(added.error().message);
      }
      return {};
    };
  };
  const auto nodes = client->List(kube::kNodes, {}, visit("Node"), [&read] { read = {}; });
  if (!nodes) return Fail(Error(nodes.error()).Wrap("list nodes"));
  const Scenario with_nodes = read;
  const auto pods = client->List(kube::kPods, {}, visit("Pod"), [&] { read = with_nodes; });
  if (!pods) return Fail(Error(pods.error()).Wrap("list pods"));
  const Scenario with_pods = read;
  const auto quotas = client->List(kQuotas, {}, visit("ResourceQuota"), [&] { read = with_pods; });
  if (!quotas) {
    if (quotas.error().code != Code::kPermissionDenied) {
      return Fail(Error(quotas.error()).Wrap("list resourcequotas"));
    }
    // Many may look at nodes and pods and not at these.
    read = with_pods;
    read.notes.push_back("quotas are not looked at: " + quotas.error().message);
  }
  if (!with_pending) read.pods.clear();
  *scenario = std::move(read);
  return {};
}

}  // namespace hami::simulate
