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

Result<ClusterState::Differences> Reconcile(kube::Client& client, const vendor::Registry& registry,
                                            const std::function<void()>& patience,
                                            ClusterState* state) {
  std::vector<PodPointer> differing;
  state->BeginList();
  const Result<std::string> version = client.ListEncoded(
      kube::kPods, {},
      [&](const kube::EncodedObject& item) -> Status {
        Result<PodRecord> record = item.IsProtobuf() ? ReadPodRecord(registry, item.protobuf)
                                                     : ReadPodRecord(registry, item.json);
        if (record && state->Differs(*record)) {
          differing.push_back(std::make_shared<const PodRecord>(std::move(*record)));
        }
        return {};
      },
      [&differing] { differing.clear(); });
  if (!version) {
    state->ApplyList({});
    return Fail(Error(version.error()).Wrap("read all pods"));
  }
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
    PodPointer pod;
    json::Document document;
    if (text && document.Parse(*text)) {
      Result<PodRecord> read = ReadPodRecord(registry, document.root());
      if (read && read->uid() == reservation.uid) {
        pod = std::make_shared<const PodRecord>(std::move(*read));
      }
    }
    state->Settle(reservation.uid, pod);
  }
}

}  // namespace hami::extender
