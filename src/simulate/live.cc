// SPDX-License-Identifier: Apache-2.0

#include "simulate/live.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include "kube/object.h"
#include "simulate/manifest.h"

namespace hami::simulate {
namespace {

const kube::ResourceType kQuotas{"", "v1", "resourcequotas"};

// Whom the API server refused, which says: User "alice" cannot list ... For a shell; NAME if that
// is not a name that a shell takes as it is.
std::string_view RefusedUser(std::string_view message) {
  constexpr std::string_view kBefore = "User \"";
  const size_t begin = message.find(kBefore);
  if (begin == std::string_view::npos) return "NAME";
  message.remove_prefix(begin + kBefore.size());
  const std::string_view name = message.substr(0, message.find('"'));
  const bool is_plain = !name.empty() && std::ranges::all_of(name, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("_-.:@/").find(c) != std::string_view::npos;
  });
  return is_plain ? name : "NAME";
}

// Of a list that the simulation cannot do without.
Error ListError(Error error) {
  if (error.code != Code::kPermissionDenied) return error;
  error.message += fmt::format(
      ".\n--from-cluster lists the nodes and pods of the whole cluster. An administrator grants "
      "that by\n"
      "  kubectl create clusterrole hami-simulate --verb=list "
      "--resource=nodes,pods,resourcequotas\n"
      "  kubectl create clusterrolebinding hami-simulate --clusterrole=hami-simulate --user={}",
      RefusedUser(error.message));
  return error;
}

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
  if (!nodes) return Fail(ListError(nodes.error()));
  const Scenario with_nodes = read;
  const auto pods = client->List(kube::kPods, {}, visit("Pod"), [&] { read = with_nodes; });
  if (!pods) return Fail(ListError(pods.error()));
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
