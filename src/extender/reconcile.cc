// SPDX-License-Identifier: Apache-2.0

#include "extender/reconcile.h"

#include <memory>
#include <utility>

#include "base/log.h"
#include "kube/request.h"

namespace hami::extender {
namespace {

constexpr int64_t kAskTimeoutMs = 3'000;

// Null: it is gone, or is another one of that name.
Result<PodPointer> Ask(kube::Client& client, const vendor::Registry& registry,
                       const Reservation& reservation) {
  kube::ApiRequest get = kube::GetRequest(kube::kPods, reservation.pod);
  get.timeout_ms = kAskTimeoutMs;
  const Result<std::string> text = client.Do(std::move(get));
  if (!text && text.error().code == Code::kNotFound) return nullptr;
  if (!text) return Fail(Error(text.error()));
  json::Document document;
  RETURN_IF_ERROR(document.Parse(*text));
  ASSIGN_OR_RETURN(PodRecord read, ReadPodRecord(registry, document.root()));
  if (read.uid() != reservation.uid) return nullptr;
  return std::make_shared<const PodRecord>(std::move(read));
}

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
    const Result<PodPointer> pod = Ask(client, registry, reservation);
    if (!pod) {
      LOG_WARN_EVERY(10'000, "cannot ask after a pod that was bound; its room stays held",
                     Field("pod", reservation.pod.Text()), Field("error", pod.error()));
      // Nobody answers: the others would wait in vain, one after the other.
      const Code code = pod.error().code;
      if (code == Code::kUnavailable || code == Code::kDeadlineExceeded) return;
      continue;
    }
    state->Settle(reservation.uid, *pod);
  }
}

}  // namespace hami::extender
