// SPDX-License-Identifier: Apache-2.0

#include "extender/lease_warden.h"

#include <algorithm>
#include <optional>

#include "base/log.h"
#include "json/value.h"
#include "kube/request.h"

namespace hami::extender {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kNoLeaseMs = 500;  // until the next round while there is no Lease
constexpr int64_t kShortestMs = 20;

}  // namespace

LeaseWarden::LeaseWarden(const LeaderOptions& options, kube::Client& client, const Leader& leader,
                         ExtenderMetrics& metrics, const base::Clock& clock)
    : lease_{options.lease_namespace, options.lease_name},
      client_(client),
      leader_(leader),
      metrics_(metrics),
      clock_(clock) {
  if (options.elect) rounds_.emplace([this] { return Step(); });
}

int64_t LeaseWarden::Step() {
  const Leader::LeaseAge lease = leader_.Age();
  if (lease.duration_ms == 0) return kNoLeaseMs;
  const int64_t round_ms = std::max(SilentLeader::LookEveryMs(lease.duration_ms), kShortestMs);
  if (lease.silent_ms < SilentLeader::QuietMs(lease.duration_ms)) {
    judge_.Forget();
    return round_ms / 2;
  }
  const int64_t begun_ns = clock_.MonotonicNs();
  Look(lease.duration_ms);
  return std::max(round_ms - (clock_.MonotonicNs() - begun_ns) / kMs, kShortestMs);
}

void LeaseWarden::Look(int64_t duration_ms) {
  kube::ApiRequest get = kube::GetRequest(kube::kLeases, lease_);
  get.timeout_ms = std::max(SilentLeader::AnswerMs(duration_ms), kShortestMs);
  const int64_t timeout_ms = get.timeout_ms;
  const Result<std::string> text = client_.Do(std::move(get));
  json::Document document;
  if (!text || !document.Parse(*text)) return judge_.NoteNoAnswer();
  const Result<kube::Lease> lease = kube::ReadLease(document.root());
  if (!lease) return judge_.NoteNoAnswer();
  judge_.NoteLook(*lease, clock_.MonotonicNs());
  if (const std::optional<kube::Lease> dead = judge_.Dead()) Release(*dead, timeout_ms);
}

void LeaseWarden::Release(const kube::Lease& lease, int64_t timeout_ms) {
  kube::ApiRequest patch =
      kube::PatchRequest(kube::kLeases, lease_, kube::PatchKind::kMerge,
                         kube::WriteLeasePatch(ReleasedLease(lease, clock_.WallNs())));
  patch.timeout_ms = timeout_ms;
  const Result<std::string> answer = client_.Do(std::move(patch));
  if (answer) {
    LOG_WARN("the leader is silent while the API server answers; its Lease is released",
             Field("holder", lease.holder), Field("counted_ms", judge_.counted_ms()));
    metrics_.NoteLeaseRelease("released");
  } else if (answer.error().code == Code::kAborted) {
    // It was renewed, or another replica was faster.
    metrics_.NoteLeaseRelease("conflict");
  } else {
    LOG_WARN_EVERY(5'000, "cannot release the Lease of a silent leader",
                   Field("holder", lease.holder), Field("error", answer.error()));
    metrics_.NoteLeaseRelease("failed");
  }
  judge_.Forget();
}

}  // namespace hami::extender
