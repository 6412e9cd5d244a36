// SPDX-License-Identifier: Apache-2.0

#include "extender/fake_replica.h"

#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "extender/reconcile.h"

namespace hami::extender {
namespace {

using Json = FakeApi::Json;

constexpr const char* kCollections[] = {"/api/v1/pods", "/api/v1/nodes",
                                        "/apis/coordination.k8s.io/v1/leases"};

size_t IndexOf(Feed feed) { return static_cast<size_t>(feed); }

// An object that cannot be read is none, as a reflector has it.
template <typename T, typename Read>
std::shared_ptr<const T> ReadAs(const Json& object, Read read) {
  json::Document document;
  CHECK(document.Parse(object.dump()));
  Result<T> entry = read(document.root());
  return entry ? std::make_shared<const T>(std::move(*entry)) : nullptr;
}

// The fullest card first: what is given twice then shows.
ExtenderOptions Crowding() {
  ExtenderOptions options;
  options.policy.device.keys = {placement::DeviceKey::kBinpack};
  return options;
}

template <typename T, typename Read>
void Replace(const Json& items, uint64_t version, Read read, kube::Watcher<T>& watcher) {
  std::vector<std::shared_ptr<const T>> all;
  for (const Json& item : items) {
    if (auto entry = ReadAs<T>(item, read)) all.push_back(std::move(entry));
  }
  watcher.OnReplace(std::move(all), version);
}

template <typename T, typename Read>
void Tell(const Json& event, Read read, kube::Watcher<T>& watcher) {
  const Json& object = event["object"];
  auto entry = event["type"] == "DELETED" ? nullptr : ReadAs<T>(object, read);
  if (entry != nullptr) return watcher.OnUpsert(std::move(entry));
  const Json& metadata = object["metadata"];
  watcher.OnDelete({metadata.value("namespace", ""), metadata["name"].get<std::string>()},
                   kube::VersionNumber(metadata.value("resourceVersion", "")));
}

}  // namespace

FakeReplica::FakeReplica(FakeApi& api, const vendor::Registry& registry, const base::Clock& clock,
                         const std::string& host, const std::string& name)
    : api_(api),
      registry_(registry),
      name_(name),
      client_(api.Config(), {.user_agent = name}),
      events_(client_, "hami-scheduler", host),
      state_(registry, clock, {}),
      leader_({.elect = true,
               .lease_namespace = kHistoryNamespace,
               .lease_name = kHistoryLease,
               .host = host},
              clock),
      hami_({.sleep = [](int64_t) {}}, registry, client_, binder_, clock),
      extender_(Crowding(), registry, clock, state_, fence_, binder_, hami_, client_, events_,
                metrics_) {
  for (const Feed feed : kFeeds) Relist(feed);
  leader_.NoteSynced();
}

void FakeReplica::Apply(Feed feed, const Json& event) {
  switch (feed) {
    case Feed::kPod:
      return Tell<PodRecord>(
          event, [this](json::Value item) { return ReadPodRecord(registry_, item); },
          state_.pods());
    case Feed::kNode:
      return Tell<NodeEntry>(
          event, [this](json::Value item) { return ReadNodeEntry(registry_, item); },
          state_.nodes());
    case Feed::kLease:
      return Tell<kube::Lease>(event, kube::ReadLease, leader_);
  }
}

bool FakeReplica::Deliver(Feed feed) {
  uint64_t& seen = seen_[IndexOf(feed)];
  const auto change = api_.NextChange(kCollections[IndexOf(feed)], seen);
  if (!change) return false;
  seen = change->first;
  Apply(feed, change->second);
  return true;
}

void FakeReplica::DeliverAll() {
  for (const Feed feed : kFeeds) {
    while (Deliver(feed)) {
    }
  }
}

void FakeReplica::Relist(Feed feed) {
  const uint64_t version = api_.Version();
  seen_[IndexOf(feed)] = version;
  const Json items = api_.ItemsOf(kCollections[IndexOf(feed)]);
  switch (feed) {
    case Feed::kPod:
      return Replace<PodRecord>(
          items, version, [this](json::Value item) { return ReadPodRecord(registry_, item); },
          state_.pods());
    case Feed::kNode:
      return Replace<NodeEntry>(
          items, version, [this](json::Value item) { return ReadNodeEntry(registry_, item); },
          state_.nodes());
    case Feed::kLease:
      return Replace<kube::Lease>(items, version, kube::ReadLease, leader_);
  }
}

void FakeReplica::Tick() {
  leader_.CatchUp([this]() -> Status {
    const auto read = Reconcile(client_, registry_, [] {}, &state_);
    if (!read) return Fail(Error(read.error()));
    return {};
  });
  state_.Expire();
  AskAfter(client_, registry_, state_.Overdue(), &state_);
}

std::optional<size_t> FakeReplica::Drift(const std::function<void()>& patience) {
  const auto differing = Reconcile(client_, registry_, patience, &state_);
  return differing ? std::optional(differing->drift + differing->behind) : std::nullopt;
}

}  // namespace hami::extender
