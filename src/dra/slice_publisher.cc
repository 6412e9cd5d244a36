// SPDX-License-Identifier: Apache-2.0

#include "dra/slice_publisher.h"

#include <chrono>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "dra/slice_changes.h"
#include "dra/slice_plan.h"
#include "json/value.h"
#include "kube/object.h"

namespace hami::dra {
namespace {

using domain::ResourceSlice;

constexpr std::chrono::milliseconds kFirstPause{100};
constexpr std::chrono::milliseconds kLongestPause{5'000};

kube::ReflectorOptions OwnSlices(const std::string& driver, const std::string& node_name) {
  kube::ReflectorOptions options = {.type = kube::kResourceSlices};
  options.list.field_selector = "spec.nodeName=" + node_name + ",spec.driver=" + driver;
  return options;
}

Result<ResourceSlice> ReadText(const std::string& text) {
  json::Document document;
  RETURN_IF_ERROR(document.Parse(text));
  return domain::ReadResourceSlice(document.root());
}

// Resource versions of one object are numbers that grow (KEP-5504), without leading zeros.
bool IsOlder(const std::string& left, const std::string& right) {
  return std::pair(left.size(), std::string_view(left)) <
         std::pair(right.size(), std::string_view(right));
}

}  // namespace

SlicePublisher::SlicePublisher(kube::Client& client, std::string driver, std::string node_name)
    : client_(client), driver_(std::move(driver)), node_name_(std::move(node_name)) {
  reflector_ = std::make_unique<kube::Reflector<ResourceSlice>>(
      client_, OwnSlices(driver_, node_name_), domain::ReadResourceSlice, this);
  thread_ = std::thread(&SlicePublisher::Run, this);
}

SlicePublisher::~SlicePublisher() {
  reflector_.reset();
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void SlicePublisher::SetWanted(std::optional<std::vector<ResourceSlice>> wanted,
                               domain::SliceOwner owner) {
  const std::lock_guard lock(mutex_);
  wanted_ = std::move(wanted);
  wanted_known_ = true;
  owner_ = std::move(owner);
  ++dirty_;
  changed_.notify_all();
}

bool SlicePublisher::WaitUntilSettled(int64_t timeout_ms) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                           [this] { return stats_.settled && seen_ == dirty_; });
}

PublisherStats SlicePublisher::stats() const {
  const std::lock_guard lock(mutex_);
  PublisherStats stats = stats_;
  stats.slices = now_.size();
  return stats;
}

void SlicePublisher::OnDropped(std::function<void(const std::vector<std::string>&)> call) {
  const std::lock_guard lock(mutex_);
  on_dropped_ = std::move(call);
}

void SlicePublisher::OnReplace(std::vector<std::shared_ptr<const ResourceSlice>> all,
                               uint64_t /*version*/) {
  const std::lock_guard lock(mutex_);
  now_.clear();
  for (const auto& slice : all) now_[slice->name] = *slice;
  listed_while_writing_ = true;
  synced_ = true;
  ++dirty_;
  changed_.notify_all();
}

void SlicePublisher::OnUpsert(std::shared_ptr<const ResourceSlice> now) {
  const std::lock_guard lock(mutex_);
  Keep(*now);
  ++dirty_;
  changed_.notify_all();
}

void SlicePublisher::OnDelete(const kube::ObjectKey& key, uint64_t /*version*/) {
  const std::lock_guard lock(mutex_);
  now_.erase(key.name);
  gone_while_writing_.insert(key.name);
  ++dirty_;
  changed_.notify_all();
}

// With mutex_ held. The watch and the answers to writes overtake each other.
void SlicePublisher::Keep(const ResourceSlice& slice) {
  ResourceSlice& kept = now_[slice.name];
  if (!IsOlder(slice.resource_version, kept.resource_version)) kept = slice;
}

void SlicePublisher::Run() {
  std::unique_lock lock(mutex_);
  std::chrono::milliseconds pause = kFirstPause;
  while (!stop_) {
    changed_.wait(lock, [this] { return stop_ || (synced_ && wanted_known_ && seen_ != dirty_); });
    if (stop_) return;
    const uint64_t looked = dirty_;
    lock.unlock();
    const Status applied = Apply();
    lock.lock();
    stats_.last_error = applied ? "" : applied.error().message;
    stats_.settled = applied.has_value();
    if (applied) {
      seen_ = looked;
      pause = kFirstPause;
      changed_.notify_all();
      continue;
    }
    ++stats_.failures;
    LOG_WARN("cannot publish this node's GPUs", Field("error", applied.error()));
    changed_.wait_for(lock, pause, [this] { return stop_; });
    pause = std::min(pause * 2, kLongestPause);
  }
}

// What is written is noted as seen at once, so that a look before the watch has told of it does not
// write again.
Status SlicePublisher::Apply() {
  std::unique_lock lock(mutex_);
  gone_while_writing_.clear();
  listed_while_writing_ = false;
  std::vector<ResourceSlice> now;
  for (const auto& [name, slice] : now_) now.push_back(slice);
  const SliceChanges changes = PlanChanges(wanted_, now, stats_.generation, stats_.dropped);
  const domain::SliceOwner owner = owner_;
  lock.unlock();
  for (const ResourceSlice& slice : changes.remove) RETURN_IF_ERROR(Remove(slice));
  for (const ResourceSlice& slice : changes.update) RETURN_IF_ERROR(Write(slice, false, owner));
  for (const ResourceSlice& slice : changes.create) RETURN_IF_ERROR(Write(slice, true, owner));
  lock.lock();
  stats_.generation = changes.generation;
  if (!changes.empty()) {
    LOG_INFO("published", Field("generation", changes.generation),
             Field("created", changes.create.size()), Field("updated", changes.update.size()),
             Field("removed", changes.remove.size()));
  }
  return {};
}

Status SlicePublisher::Write(const ResourceSlice& slice, bool create,
                             const domain::SliceOwner& owner) {
  std::string body = domain::WriteResourceSlice(slice, owner);
  Result<std::string> answer =
      create ? client_.Create(kube::kResourceSlices, "", std::move(body))
             : client_.Update(kube::kResourceSlices, {"", slice.name}, std::move(body));
  if (!answer) {
    return Fail(std::move(answer).error().Wrap(create ? "create a ResourceSlice"
                                                      : "update ResourceSlice " + slice.name));
  }
  ASSIGN_OR_RETURN(const ResourceSlice stored, ReadText(*answer));
  NoteStored(slice, stored);
  return {};
}

Status SlicePublisher::Remove(const ResourceSlice& slice) {
  Status removed = client_.Delete(kube::kResourceSlices, {"", slice.name}, {.uid = slice.uid});
  if (!removed && removed.error().code != Code::kNotFound) {
    return Fail(std::move(removed).error().Wrap("delete ResourceSlice " + slice.name));
  }
  const std::lock_guard lock(mutex_);
  now_.erase(slice.name);
  ++stats_.writes;
  return {};
}

void SlicePublisher::NoteStored(const ResourceSlice& sent, const ResourceSlice& stored) {
  std::vector<std::string> dropped = DroppedFields(sent, stored);
  std::unique_lock lock(mutex_);
  ++stats_.writes;
  // Otherwise the watch knows better: it has told of the end already, or of what is newer.
  if (!listed_while_writing_ && !gone_while_writing_.contains(stored.name)) Keep(stored);
  if (dropped == stats_.dropped) return;
  stats_.dropped = dropped;
  const auto call = on_dropped_;
  lock.unlock();
  if (call) call(dropped);
}

}  // namespace hami::dra
