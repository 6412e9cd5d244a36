// SPDX-License-Identifier: Apache-2.0

#include "extender/waker.h"

#include <chrono>

#include "base/json_writer.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "kube/request.h"

namespace hami::extender {
namespace {

using std::chrono::milliseconds;

// Pods at once; who is left comes in the next round.
constexpr size_t kMaxWakes = 64;
// Between rounds without news: for those that were woken and did not come.
constexpr int64_t kRoundMs = 1'000;
constexpr int64_t kPatchTimeoutMs = 3'000;

}  // namespace

std::string WakePatch(const WaitingPod& pod, int64_t wall_ns) {
  base::JsonWriter json;
  json.BeginObject().Key("metadata").BeginObject();
  json.Member("uid", pod.uid);  // a precondition
  json.EndObject();
  json.Key("status").BeginObject().Key("conditions").BeginArray().BeginObject();
  json.Member("type", kRoomCondition).Member("status", "True").Member("reason", "RoomCameFree");
  json.Member("message", "devices that the pod may fit on came free; it is to be tried again");
  json.Member("lastTransitionTime", base::FormatTimestamp(wall_ns));
  // What makes each patch a change, also two within a second.
  json.Member("lastProbeTime", base::FormatTimestamp(wall_ns + pod.wakes * 1'000'000'000));
  json.EndObject().EndArray().EndObject().EndObject();
  return std::move(json).Take();
}

Waker::Waker(const WakerOptions& options, kube::Client& client, ClusterState& state,
             const Leadership& leadership, ExtenderMetrics& metrics, const base::Clock& clock)
    : options_(options),
      client_(client),
      state_(state),
      leadership_(leadership),
      metrics_(metrics),
      clock_(clock) {
  state_.OnRoom([this] {
    {
      const std::lock_guard lock(mutex_);
      room_ = true;
    }
    signal_.notify_all();
  });
  thread_ = std::thread([this] { Run(); });
}

Waker::~Waker() {
  state_.OnRoom(nullptr);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  signal_.notify_all();
  thread_.join();
}

void Waker::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    signal_.wait_for(lock, milliseconds(kRoundMs), [this] { return stopping_ || room_; });
    if (room_) {
      // Room seldom comes alone, and kube-scheduler may come by itself.
      signal_.wait_for(lock, milliseconds(options_.patience_ms), [this] { return stopping_; });
    }
    if (stopping_) return;
    room_ = false;
    lock.unlock();
    if (leadership_.LeftMs() > 0) WakeNow();
    lock.lock();
  }
}

void Waker::WakeNow() {
  for (const WaitingPod& pod : state_.TakeWakeable(kMaxWakes)) {
    kube::ApiRequest patch = kube::PatchRequest(kube::kPods, pod.key, kube::PatchKind::kMerge,
                                                WakePatch(pod, clock_.WallNs()));
    patch = kube::Subresource(std::move(patch), "status");
    patch.content_type = "application/strategic-merge-patch+json";
    patch.timeout_ms = kPatchTimeoutMs;
    const Result<std::string> answer = client_.Do(std::move(patch));
    state_.NoteWoken(pod.uid);
    metrics_.NoteWake(answer ? "woken" : "failed");
    if (answer) {
      LOG_DEBUG("woken", Field("pod", pod.key.Text()));
      continue;
    }
    if (answer.error().code == Code::kNotFound || answer.error().code == Code::kAborted) {
      state_.Forget(pod.uid);
      continue;
    }
    LOG_WARN_EVERY(10'000, "cannot wake a waiting pod", Field("pod", pod.key.Text()),
                   Field("error", answer.error()));
  }
}

}  // namespace hami::extender
