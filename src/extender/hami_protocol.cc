// SPDX-License-Identifier: Apache-2.0

#include "extender/hami_protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <thread>
#include <utility>

#include "base/json_writer.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "domain/names.h"
#include "domain/node_lock.h"
#include "extender/leadership.h"
#include "json/value.h"
#include "kube/request.h"

namespace hami::extender {
namespace {

// Cambricon's own lock: the time alone.
constexpr std::string_view kMluLock = "cambricon.com/dsmlu.lock";
constexpr int kLockTries = 5;
constexpr int64_t kLockPauseMs = 100;  // doubles with each try
constexpr int64_t kGroupPauseMs = 100;
constexpr int64_t kRequestTimeoutMs = kLongestWriteMs;
constexpr size_t kMaxLabelBytes = 63;
constexpr char kContention[] = "node lock contention";

bool IsContention(const Error& error) { return error.reason == kContention; }

tl::unexpected<Error> Contention(std::string message) {
  Error error(Code::kResourceExhausted, std::move(message));
  error.reason = kContention;
  return Fail(std::move(error));
}

// As Go prints it: "5m0s".
std::string DurationText(int64_t ms) {
  const int64_t s = ms / 1000;
  if (s >= 60) return fmt::format("{}m{}s", s / 60, s % 60);
  if (ms % 1000 == 0) return fmt::format("{}s", s);
  return fmt::format("{}ms", ms);
}

// A node's annotation, set to a value or taken away, if the node is still of that version.
std::string LockPatch(const std::string& version, const std::string& key,
                      const std::string* value) {
  base::JsonWriter json;
  json.BeginObject().Key("metadata").BeginObject();
  json.Member("resourceVersion", version);
  json.Key("annotations").BeginObject().Key(key);
  if (value != nullptr) {
    json.Value(*value);
  } else {
    json.Null();
  }
  json.EndObject().EndObject().EndObject();
  return std::move(json).Take();
}

struct NodeNow {
  std::string version;
  bool has_value = false;
  std::string value;
};

Result<NodeNow> ReadNode(kube::Client& client, const std::string& node, const std::string& key) {
  kube::ApiRequest get = kube::GetRequest(kube::kNodes, {"", node});
  get.timeout_ms = kRequestTimeoutMs;
  ASSIGN_OR_RETURN(const std::string text, client.Do(std::move(get)));
  json::Document document;
  RETURN_IF_ERROR(document.Parse(text));
  const json::Value metadata = document.root()["metadata"];
  const json::Value value = metadata["annotations"][key];
  return NodeNow{.version = std::string(metadata["resourceVersion"].Text()),
                 .has_value = value.exists(),
                 .value = std::string(value.Text())};
}

Status PatchNode(kube::Client& client, const std::string& node, std::string body) {
  kube::ApiRequest patch =
      kube::PatchRequest(kube::kNodes, {"", node}, kube::PatchKind::kMerge, std::move(body));
  patch.timeout_ms = kRequestTimeoutMs;
  const Result<std::string> answer = client.Do(std::move(patch));
  if (answer) return {};
  return Fail(Error(answer.error()));
}

struct PodNow {
  std::string version;
  bool is_bound = false;
  std::string allocation;
};

// kNotFound: there is no pod of that uid any more.
Result<PodNow> ReadPod(kube::Client& client, const Reservation& reservation) {
  kube::ApiRequest get = kube::GetRequest(kube::kPods, reservation.pod);
  get.timeout_ms = kRequestTimeoutMs;
  ASSIGN_OR_RETURN(const std::string text, client.Do(std::move(get)));
  json::Document document;
  RETURN_IF_ERROR(document.Parse(text));
  const json::Value metadata = document.root()["metadata"];
  if (metadata["uid"].Text() != reservation.uid) {
    return Fail(Code::kNotFound, "the pod of that uid is gone; another has its name");
  }
  return PodNow{.version = std::string(metadata["resourceVersion"].Text()),
                .is_bound = !document.root()["spec"]["nodeName"].Text().empty(),
                .allocation = std::string(metadata["annotations"][domain::kAllocation].Text())};
}

Status WritePod(kube::Client& client, const Reservation& reservation, std::string body,
                int64_t timeout_ms) {
  kube::ApiRequest patch =
      kube::PatchRequest(kube::kPods, reservation.pod, kube::PatchKind::kMerge, std::move(body));
  patch.timeout_ms = timeout_ms;
  const Result<std::string> answer = client.Do(std::move(patch));
  if (answer) return {};
  return Fail(Error(answer.error()));
}

}  // namespace

void SleepMs(int64_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

std::set<std::string> HamiProtocol::LockKeys(const Reservation& reservation) const {
  std::set<std::string> keys;
  for (const domain::Slice& slice : reservation.facts.slices) {
    const vendor::Spec* spec = registry_.Find(slice.vendor);
    if (spec != nullptr && !spec->lock_key.empty()) keys.insert(spec->lock_key);
  }
  return keys;
}

BindAnswer HamiProtocol::Bind(const Reservation& reservation,
                              const std::function<int64_t()>& time_left_ms) {
  const std::set<std::string> keys = LockKeys(reservation);
  if (const Status locked = TakeLocks(reservation, keys, time_left_ms); !locked) {
    return {BindOutcome::kRefused, locked.error().message};
  }
  BindAnswer answer;
  if (time_left_ms() <= 0) {
    answer = {BindOutcome::kRefused, "the Lease has too little time left for a bind"};
  } else if (const Status patched = PatchPod(reservation, time_left_ms); !patched) {
    const bool gone = patched.error().code == Code::kNotFound;
    answer = {gone ? BindOutcome::kGone : BindOutcome::kRefused, patched.error().message};
  } else if (const int64_t left_ms = time_left_ms(); left_ms <= 0) {
    answer = {BindOutcome::kRefused, "the Lease has too little time left for a bind"};
  } else {
    answer = binder_.Bind(reservation, left_ms);
  }
  switch (answer.outcome) {
    case BindOutcome::kBound:
    case BindOutcome::kUncertain:  // the lock is the plugin's, or runs out
      return answer;
    case BindOutcome::kRefused:
      // What stays on the pod would count as room that it holds.
      if (const Status undone = TakeBack(reservation); !undone) {
        LOG_WARN("cannot take a decision back from a pod", Field("pod", reservation.pod.Text()),
                 Field("error", undone.error()));
      }
      break;
    case BindOutcome::kGone:
      break;
  }
  ReleaseLocks(reservation, keys);
  return answer;
}

Status HamiProtocol::TakeLocks(const Reservation& reservation, const std::set<std::string>& keys,
                               const std::function<int64_t()>& time_left_ms) {
  std::set<std::string> taken;
  for (const std::string& key : keys) {
    Status locked = TakeLock(reservation, key);
    const int64_t begun_ns = clock_.MonotonicNs();
    while (!locked && IsContention(locked.error()) && reservation.grouped &&
           options_.group_retry_ms > 0 && time_left_ms() > 0) {
      if (clock_.MonotonicNs() - begun_ns >= options_.group_retry_ms * 1'000'000) {
        locked = Contention(fmt::format("timed out after {} waiting for node {} to be unlocked: {}",
                                        DurationText(options_.group_retry_ms),
                                        reservation.facts.node, kContention));
        break;
      }
      options_.sleep(kGroupPauseMs);
      locked = TakeLock(reservation, key);
    }
    if (!locked) {
      ReleaseLocks(reservation, taken);
      return locked;
    }
    taken.insert(key);
  }
  return {};
}

Status HamiProtocol::TakeLock(const Reservation& reservation, const std::string& key) {
  Status locked;
  for (int tries = 0; tries < kLockTries; ++tries) {
    if (tries > 0) options_.sleep(kLockPauseMs << (tries - 1));
    locked = TryLock(reservation, key);
    // Somebody else wrote the node meanwhile, maybe its status alone.
    if (locked || locked.error().code != Code::kAborted) break;
  }
  return locked;
}

Status HamiProtocol::TryLock(const Reservation& reservation, const std::string& key) {
  const std::string& node = reservation.facts.node;
  ASSIGN_OR_RETURN(const NodeNow now, ReadNode(client_, node, key));
  if (now.has_value) RETURN_IF_ERROR(MayTake(reservation, key, now.value));
  const domain::NodeLock lock = {
      .taken_s = clock_.WallNs() / 1'000'000'000,
      .namespace_name = key == kMluLock ? "" : reservation.pod.name_space,
      .pod_name = key == kMluLock ? "" : reservation.pod.name,
  };
  const std::string value = domain::FormatNodeLock(lock);
  const Status patched = PatchNode(client_, node, LockPatch(now.version, key, &value));
  if (patched) return {};
  if (patched.error().code == Code::kAborted) return patched;
  // The answer may have been lost: what stands there tells.
  const Result<NodeNow> after = ReadNode(client_, node, key);
  if (after && after->value == value) return {};
  return patched;
}

// Whether what stands there is no obstacle: our own, run out, or of a pod that is gone.
Status HamiProtocol::MayTake(const Reservation& reservation, const std::string& key,
                             const std::string& value) {
  ASSIGN_OR_RETURN(const domain::NodeLock lock, domain::ParseNodeLock(value));
  const int64_t now_s = clock_.WallNs() / 1'000'000'000;
  if (key == kMluLock) {
    if (lock.IsExpired(now_s, domain::kDsmluLockTimeoutS)) return {};
    return Contention(fmt::format("node {} has been locked within 2 minutes: {}",
                                  reservation.facts.node, kContention));
  }
  if (lock.IsHeldBy(reservation.pod.name_space, reservation.pod.name)) return {};
  if (lock.IsExpired(now_s, options_.lock_timeout_ms / 1000)) return {};
  if (!lock.IsLegacy() && OwnerIsGone(lock.namespace_name, lock.pod_name)) return {};
  return Contention(fmt::format("node {} has been locked within {}: {}", reservation.facts.node,
                                DurationText(options_.lock_timeout_ms), kContention));
}

bool HamiProtocol::OwnerIsGone(const std::string& name_space, const std::string& name) {
  const kube::ObjectKey key = {name_space, name};
  if (!kube::CheckKey(key)) return true;  // no pod can have that name
  kube::ApiRequest get = kube::GetRequest(kube::kPods, key);
  get.timeout_ms = kRequestTimeoutMs;
  const Result<std::string> pod = client_.Do(std::move(get));
  return !pod && pod.error().code == Code::kNotFound;
}

void HamiProtocol::ReleaseLocks(const Reservation& reservation, const std::set<std::string>& keys) {
  for (const std::string& key : keys) ReleaseLock(reservation, key);
}

void HamiProtocol::ReleaseLock(const Reservation& reservation, const std::string& key) {
  Status released;
  for (int tries = 0; tries < kLockTries; ++tries) {
    if (tries > 0) options_.sleep(kLockPauseMs << (tries - 1));
    const Result<NodeNow> now = ReadNode(client_, reservation.facts.node, key);
    if (!now) {
      released = Fail(Error(now.error()));
      continue;
    }
    if (!now->has_value ||
        !domain::MayRelease(now->value, reservation.pod.name_space, reservation.pod.name)) {
      return;  // nobody's, or another's
    }
    released = PatchNode(client_, reservation.facts.node, LockPatch(now->version, key, nullptr));
    if (released) return;
  }
  LOG_WARN("cannot give back a node's lock; it runs out by itself",
           Field("node", reservation.facts.node), Field("error", released.error()));
}

// What the pod is to say: our decision, or nothing of it any more.
std::string HamiProtocol::PodPatch(const Reservation& reservation, const std::string& version,
                                   bool take_back) const {
  base::JsonWriter json;
  const auto set = [&json, take_back](std::string_view key, std::string_view value) {
    json.Key(key);
    if (take_back) {
      json.Null();
    } else {
      json.Value(value);
    }
  };
  json.BeginObject().Key("metadata").BeginObject();
  json.Member("uid", reservation.uid).Member("resourceVersion", version);  // preconditions
  json.Key("annotations").BeginObject();
  for (const auto& [key, value] : reservation.annotations) set(key, value);
  set(domain::kBindPhase, domain::kBindPhaseAllocating);
  set(domain::kBindTime, std::to_string(clock_.WallNs() / 1'000'000'000));
  json.EndObject();
  // A longer name is no label; HAMi's monitor then does not find the pod, and nothing else needs
  // it.
  if (reservation.facts.node.size() <= kMaxLabelBytes) {
    json.Key("labels").BeginObject();
    set(domain::kVgpuNode, reservation.facts.node);
    json.EndObject();
  }
  json.EndObject().EndObject();
  return std::move(json).Take();
}

Status HamiProtocol::PatchPod(const Reservation& reservation,
                              const std::function<int64_t()>& time_left_ms) {
  Status patched;
  for (int tries = 0; tries < kLockTries; ++tries) {
    ASSIGN_OR_RETURN(const PodNow now, ReadPod(client_, reservation));
    if (now.is_bound) return Fail(Code::kAlreadyExists, "the pod is on a node already");
    const int64_t left_ms = std::min(time_left_ms(), kRequestTimeoutMs);
    if (left_ms <= 0) {
      return Fail(Code::kFailedPrecondition, "the Lease has too little time left for a bind");
    }
    patched = WritePod(client_, reservation, PodPatch(reservation, now.version, false), left_ms);
    // Somebody else wrote the pod meanwhile; kube-scheduler does, its conditions.
    if (patched || patched.error().code != Code::kAborted) break;
  }
  return patched;
}

// Only our own decision, and only as long as nobody bound the pod: then what it says is true.
Status HamiProtocol::TakeBack(const Reservation& reservation) {
  Status undone;
  for (int tries = 0; tries < kLockTries; ++tries) {
    if (tries > 0) options_.sleep(kLockPauseMs << (tries - 1));
    const Result<PodNow> now = ReadPod(client_, reservation);
    if (!now && now.error().code == Code::kNotFound) return {};
    if (!now) {
      undone = Fail(Error(now.error()));
      continue;
    }
    if (now->is_bound || now->allocation != reservation.allocation_id) return {};
    undone = WritePod(client_, reservation, PodPatch(reservation, now->version, true),
                      kRequestTimeoutMs);
    if (undone || undone.error().code == Code::kNotFound) return {};
  }
  return undone;
}

}  // namespace hami::extender
