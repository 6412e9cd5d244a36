// SPDX-License-Identifier: Apache-2.0

#include "extender/reconcile.h"

#include <memory>
#include <utility>

#include "base/log.h"
#include "kube/request.h"

namespace hami::extender {
namespace {

constexpr int64_t kAskTimeoutMs = 3'000;

}  // namespace

Result<size_t> Reconcile(kube::Client& client, const vendor::Registry& registry,
                         const std::function<void()>& patience, ClusterState* state) {
  std::vector<std::shared_ptr<const PodEntry>> listed;
  state->BeginList();
  const Result<std::string> version = client.List(
      kube::kPods, {},
      [&](json::Value item) -> Status {
        Result<PodEntry> entry = ReadPodEntry(registry, item);
        if (entry) listed.push_back(std::make_shared<const PodEntry>(std::move(*entry)));
        return {};
      },
      [&listed] { listed.clear(); });
  if (!version) {
    state->ApplyList({});
    return Fail(Error(version.error()).Wrap("read all pods"));
  }
  const std::vector<std::shared_ptr<const PodEntry>> differing = state->Differing(listed);
  if (!differing.empty()) patience();
  return state->ApplyList(differing);
}

void AskAfter(kube::Client& client, const vendor::Registry& registry,
              const std::vector<Reservation>& overdue, ClusterState* state) {
  for (const Reservation& reservation : overdue) {
    kube::ApiRequest get = kube::GetRequest(kube::kPods, reservation.pod);
    get.timeout_ms = kAskTimeoutMs;
    const Result<std::string> text = client.Do(std::move(get));
    if (!text && text.error().code != Code::kNotFound) {
      LOG_WARN_EVERY(10'000, "cannot ask after a pod that was bound; its room stays held",
                     Field("pod", reservation.pod.Text()), Field("error", text.error()));
      return;
    }
    std::shared_ptr<const PodEntry> entry;
    json::Document document;
    if (text && document.Parse(*text)) {
      Result<PodEntry> read = ReadPodEntry(registry, document.root());
      if (read && read->facts.uid == reservation.uid) {
        entry = std::make_shared<const PodEntry>(std::move(*read));
      }
    }
    state->Settle(reservation.uid, entry);
  }
}

}  // namespace hami::extender
