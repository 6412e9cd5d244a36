// SPDX-License-Identifier: Apache-2.0

#include "dra/claim_keeper.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "cdi/spec_folder.h"
#include "dra/claim_cdi.h"
#include "dra/names.h"

namespace hami::dra {
namespace {

std::vector<PreparedDevice> AnswerOf(const ClaimGrant& grant) {
  std::vector<PreparedDevice> devices;
  for (size_t index = 0; index < grant.slices.size(); ++index) {
    const GrantedSlice& slice = grant.slices[index];
    devices.push_back({.request = domain::BaseRequest(slice.request),
                       .pool = slice.pool,
                       .device = slice.device,
                       .share_id = slice.share_id,
                       .cdi_id = CdiDeviceId(grant, index)});
  }
  return devices;
}

}  // namespace

ClaimKeeper::ClaimKeeper(ClaimKeeperOptions options, ClaimSource* source, ClaimObserver* observer)
    : options_(std::move(options)),
      source_(source),
      observer_(observer),
      records_(options_.record_folder),
      shares_(options_.share_root) {}

Status ClaimKeeper::Recover() {
  ASSIGN_OR_RETURN(RecordFolder::Contents contents, records_.Load());
  {
    const std::lock_guard lock(mutex_);
    for (ClaimRecord& record : contents.records) {
      auto entry = std::make_shared<Entry>();
      entry->record = std::move(record);
      const std::string uid = entry->record->grant.uid;
      entries_[uid] = std::move(entry);
    }
    broken_.insert(contents.broken.begin(), contents.broken.end());
  }
  // Nobody publishes yet: what dead writers left can go.
  const Result<cdi::PublishedSpecs> specs =
      cdi::ListSpecs(options_.cdi_folder, kCdiVendor, kCdiClass);
  if (specs) {
    const Status removed = cdi::RemoveRemains(options_.cdi_folder, *specs);
    if (!removed) LOG_WARN("cannot clean the CDI folder", Field("error", removed.error()));
  }
  const int orphans = RemoveOrphans();
  LOG_INFO("claims recovered", Field("claims", contents.records.size()),
           Field("broken", contents.broken.size()), Field("orphans", orphans));
  MendAll();
  return {};
}

void ClaimKeeper::SetNode(std::shared_ptr<const NodeView> node) {
  {
    const std::lock_guard lock(mutex_);
    node_ = std::move(node);
    looked_ = true;
    changed_.notify_all();
  }
  MendAll();
}

void ClaimKeeper::EndWaits() {
  const std::lock_guard lock(mutex_);
  end_waits_ = true;
  changed_.notify_all();
}

std::shared_ptr<const NodeView> ClaimKeeper::node() const {
  const std::lock_guard lock(mutex_);
  return node_;
}

// After a start the kubelet may be faster than the first look at the driver.
std::shared_ptr<const NodeView> ClaimKeeper::NodeInTime() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(options_.patience_ms),
                    [this] { return looked_ || end_waits_; });
  return node_;
}

std::shared_ptr<ClaimKeeper::Entry> ClaimKeeper::EntryOf(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Entry>& entry = entries_[uid];
  if (entry == nullptr) entry = std::make_shared<Entry>();
  return entry;
}

// With entry->work held. The entry itself goes when nobody else waits for it; one that somebody
// waits for stays, empty, and goes after him.
void ClaimKeeper::Forget(const std::string& uid, const std::shared_ptr<Entry>& entry) {
  const std::lock_guard lock(mutex_);
  entry->record.reset();
  ++departures_;
  changed_.notify_all();
  const auto found = entries_.find(uid);
  if (found != entries_.end() && found->second == entry && entry.use_count() <= 2) {
    entries_.erase(found);
  }
}

// Checked and noted in one step, so that two claims cannot take the same room.
Status ClaimKeeper::Reserve(Entry* entry, const ClaimRecord& record) {
  const std::lock_guard lock(mutex_);
  if (node_ == nullptr) return Fail(Code::kUnavailable, "the driver has gone meanwhile");
  std::vector<const ClaimGrant*> others;
  for (const auto& [uid, other] : entries_) {
    if (other->record) others.push_back(&other->record->grant);
  }
  RETURN_IF_ERROR(CheckRoom(record.grant, others, node_->gpus));
  entry->record = record;
  return {};
}

// The scheduler gives a claim's room away when its pod is gone from the API. Of a pod that was
// deleted by force that is earlier than the end of its containers, after which it is unprepared.
Status ClaimKeeper::ReserveInTime(Entry* entry, const ClaimRecord& record) {
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(options_.patience_ms);
  for (;;) {
    std::unique_lock lock(mutex_);
    const uint64_t seen = departures_;
    lock.unlock();
    Status reserved = Reserve(entry, record);
    if (reserved || reserved.error().code != Code::kResourceExhausted ||
        std::chrono::steady_clock::now() >= end || !SomebodyLeaves(record.grant)) {
      return reserved;
    }
    lock.lock();
    changed_.wait_until(lock, end, [&] { return departures_ != seen || end_waits_; });
    if (end_waits_) return reserved;
  }
}

// Whether a claim that holds one of these GPUs has lost its allocation.
bool ClaimKeeper::SomebodyLeaves(const ClaimGrant& wanted) {
  const auto shares_gpu = [&](const GrantedSlice& slice) {
    return std::ranges::find(wanted.slices, slice.device, &GrantedSlice::device) !=
           wanted.slices.end();
  };
  for (const ClaimGrant& other : Kept()) {
    if (other.uid == wanted.uid || std::ranges::none_of(other.slices, shares_gpu)) continue;
    const Result<domain::ResourceClaim> claim =
        source_->Fetch({other.namespace_name, other.name, other.uid});
    if (claim ? claim->uid != other.uid || !claim->allocated
              : claim.error().code == Code::kNotFound) {
      return true;
    }
  }
  return false;
}

// What the claim is promised now: what its allocation says, or, while nobody can be asked, what it
// was promised before.
Result<ClaimRecord> ClaimKeeper::PlanRecord(const ClaimRef& claim,
                                            const std::optional<ClaimRecord>& before,
                                            const NodeView* node) {
  if (node == nullptr && !before) {
    return Fail(Code::kUnavailable,
                "the NVIDIA driver is not loaded on this node; the pod starts when it is");
  }
  ClaimRecord record = before.value_or(ClaimRecord{.library = options_.library});
  record.boot_id = options_.boot_id;
  if (node == nullptr) return record;
  Result<domain::ResourceClaim> fetched = source_->Fetch(claim);
  if (!fetched && fetched.error().code == Code::kNotFound) {
    return Fail(Code::kNotFound,
                "the claim has been deleted; delete the pod too, or make the claim "
                "again under the same name");
  }
  if (!fetched && before) return record;
  if (!fetched) return Fail(std::move(fetched).error().Wrap("read the claim"));
  if (fetched->uid != claim.uid) {
    return Fail(Code::kFailedPrecondition,
                fmt::format("the claim was replaced by another of its name (UID {}, the pod waits "
                            "for {}); delete the pod, so that it gets the new one",
                            fetched->uid, claim.uid));
  }
  ASSIGN_OR_RETURN(record.grant, PlanGrant(*fetched, node->gpus, options_.pool));
  return record;
}

Result<std::vector<PreparedDevice>> ClaimKeeper::Prepare(const ClaimRef& claim) {
  if (!IsUid(claim.uid)) {
    return Fail(Code::kInvalidArgument, "\"" + claim.uid + "\" is no claim's UID");
  }
  const std::shared_ptr<Entry> entry = EntryOf(claim.uid);
  const std::lock_guard work(entry->work);
  const bool known = entry->record.has_value();
  Status prepared = PrepareHeld(claim, entry.get());
  if (prepared) return AnswerOf(entry->record->grant);
  if (!known) Forget(claim.uid, entry);
  return Fail(std::move(prepared).error().Wrap("claim " + TextOf(claim)));
}

// With entry->work held. A claim that was not known leaves nothing on disk if this fails. The
// record in memory is always the one on disk.
Status ClaimKeeper::PrepareHeld(const ClaimRef& claim, Entry* entry) {
  const std::shared_ptr<const NodeView> now = NodeInTime();
  const std::optional<ClaimRecord> before = entry->record;
  ASSIGN_OR_RETURN(const ClaimRecord record, PlanRecord(claim, before, now.get()));
  Status made;
  if (record != before) {
    if (now != nullptr) RETURN_IF_ERROR(ReserveInTime(entry, record));
    made = records_.Save(record);
    const std::lock_guard lock(mutex_);
    entry->record = made ? record : before;
  }
  bool mended = false;
  if (made) made = Make(record, now.get(), &mended);
  if (!made && !before) {
    const Status unmade = Unmake(claim.uid);
    if (!unmade) LOG_ERROR("half a claim is left", Field("error", unmade.error()));
  }
  return made;
}

Status ClaimKeeper::Unprepare(const std::string& uid) {
  if (!IsUid(uid)) return {};  // cannot have been prepared
  const std::shared_ptr<Entry> entry = EntryOf(uid);
  const std::lock_guard work(entry->work);
  Status unmade = Unmake(uid);
  if (!unmade && records_.Has(uid)) return unmade;
  Forget(uid, entry);
  const std::lock_guard lock(mutex_);
  broken_.erase(uid);
  return unmade;
}

// Without a driver the CDI document cannot be made: it comes with SetNode.
Status ClaimKeeper::Make(const ClaimRecord& record, const NodeView* node, bool* mended) {
  const std::string& uid = record.grant.uid;
  RETURN_IF_ERROR(shares_.Ensure(record.grant, mended));
  if (node != nullptr) {
    const cdi::Spec spec =
        MakeClaimSpec({.grant = &record.grant,
                       .driver = &node->files,
                       .shares = &shares_,
                       .library_folder = base::JoinPath(options_.library_root, record.library)});
    ASSIGN_OR_RETURN(const std::string name, cdi::SpecFileName(kCdiVendor, kCdiClass, uid));
    *mended = *mended || !base::Exists(base::JoinPath(options_.cdi_folder, name));
    Result<std::string> path = cdi::PublishSpec(options_.cdi_folder, spec, uid);
    if (!path) return Fail(std::move(path).error());
  }
  if (observer_ != nullptr) observer_->OnKept(record.grant);
  return {};
}

// Goes on after a failure, and returns the first: what is left without a record is an orphan, which
// sweeps try again to remove.
Status ClaimKeeper::Unmake(const std::string& uid) {
  Status withdrawn = cdi::WithdrawSpec(options_.cdi_folder, kCdiVendor, kCdiClass, uid);
  if (observer_ != nullptr) observer_->OnGone(uid);
  Status removed = shares_.Remove(uid);
  Status forgotten = records_.Remove(uid);
  if (!withdrawn) return withdrawn;
  if (!removed) return removed;
  return forgotten;
}

SweepReport ClaimKeeper::Sweep() {
  SweepReport report;
  report.expired = ExpireGone();
  report.broken = MendRecords();
  report.mended = MendAll();
  report.orphans = RemoveOrphans();
  return report;
}

// What has no record was left by a death in the middle. A broken record is a record.
int ClaimKeeper::RemoveOrphans() {
  std::set<std::string> found;
  if (const Result<std::vector<std::string>> shares = shares_.List()) {
    found.insert(shares->begin(), shares->end());
  }
  const Result<cdi::PublishedSpecs> specs =
      cdi::ListSpecs(options_.cdi_folder, kCdiVendor, kCdiClass);
  if (specs) found.insert(specs->ids.begin(), specs->ids.end());
  int removed = 0;
  for (const std::string& uid : found) {
    if (!IsUid(uid)) continue;
    const std::shared_ptr<Entry> entry = EntryOf(uid);
    const std::lock_guard work(entry->work);
    {
      const std::lock_guard lock(mutex_);
      if (entry->record || broken_.contains(uid)) continue;
    }
    const Status unmade = Unmake(uid);
    if (unmade) {
      ++removed;
      LOG_WARN("removed what was left of a claim", Field("uid", uid));
    } else {
      LOG_ERROR("cannot remove what was left of a claim", Field("uid", uid),
                Field("error", unmade.error()));
    }
    Forget(uid, entry);
  }
  return removed;
}

int ClaimKeeper::MendAll() {
  int count = 0;
  const std::shared_ptr<const NodeView> now = node();
  for (const ClaimGrant& grant : Kept()) {
    const std::shared_ptr<Entry> entry = EntryOf(grant.uid);
    const std::lock_guard work(entry->work);
    if (!entry->record) {
      Forget(grant.uid, entry);
      continue;
    }
    bool mended = !records_.Has(grant.uid);
    Status made = mended ? records_.Save(*entry->record) : Status();
    if (made) made = Make(*entry->record, now.get(), &mended);
    if (!made) {
      LOG_ERROR("cannot mend a claim", Field("uid", grant.uid), Field("error", made.error()));
    } else if (mended) {
      ++count;
      LOG_WARN("made again what a claim had lost", Field("uid", grant.uid));
    }
  }
  return count;
}

// The kubelet unprepares what it knows of. What it has forgotten (its own state was lost) is gone
// for sure when the API server does not know that UID any more: a claim in use cannot be deleted.
int ClaimKeeper::ExpireGone() {
  int expired = 0;
  for (const ClaimGrant& grant : Kept()) {
    const Result<domain::ResourceClaim> claim =
        source_->Fetch({grant.namespace_name, grant.name, grant.uid});
    // Nobody waits for one answer after the other from a server that gives none.
    if (!claim && (claim.error().code == Code::kUnavailable ||
                   claim.error().code == Code::kDeadlineExceeded)) {
      return expired;
    }
    const bool gone = claim ? claim->uid != grant.uid : claim.error().code == Code::kNotFound;
    if (!gone) continue;
    LOG_WARN("claim is gone from the API, but was never unprepared",
             Field("claim", grant.namespace_name + "/" + grant.name), Field("uid", grant.uid));
    const Status unprepared = Unprepare(grant.uid);
    if (unprepared) {
      ++expired;
    } else {
      LOG_ERROR("cannot unprepare", Field("uid", grant.uid), Field("error", unprepared.error()));
    }
  }
  return expired;
}

// A record that was cut says nothing but its UID. The API still has the allocation from which it
// was made, unless the claim is gone, and then nobody needs it.
int ClaimKeeper::MendRecords() {
  std::set<std::string> broken;
  std::shared_ptr<const NodeView> now;
  {
    const std::lock_guard lock(mutex_);
    broken = broken_;
    now = node_;
  }
  if (broken.empty() || now == nullptr) return static_cast<int>(broken.size());
  const Result<std::vector<domain::ResourceClaim>> claims = source_->FetchOfNode();
  if (!claims) return static_cast<int>(broken.size());
  int left = 0;
  for (const std::string& uid : broken) {
    const auto claim = std::ranges::find(*claims, uid, &domain::ResourceClaim::uid);
    Status mended;
    if (claim == claims->end()) {
      mended = Unprepare(uid);
    } else {
      const Result<std::vector<PreparedDevice>> prepared =
          Prepare({claim->namespace_name, claim->name, uid});
      if (!prepared) mended = Fail(Error(prepared.error()));
    }
    if (mended) {
      const std::lock_guard lock(mutex_);
      broken_.erase(uid);
      LOG_WARN("a broken record was made again", Field("uid", uid));
    } else {
      ++left;
      LOG_ERROR("a broken record cannot be made again", Field("uid", uid),
                Field("error", mended.error()));
    }
  }
  return left;
}

std::vector<ClaimGrant> ClaimKeeper::Kept() const {
  const std::lock_guard lock(mutex_);
  std::vector<ClaimGrant> grants;
  for (const auto& [uid, entry] : entries_) {
    if (entry->record) grants.push_back(entry->record->grant);
  }
  return grants;
}

std::set<std::string> ClaimKeeper::LibrariesInUse() const {
  const std::lock_guard lock(mutex_);
  std::set<std::string> libraries = {options_.library};
  for (const auto& [uid, entry] : entries_) {
    if (entry->record) libraries.insert(entry->record->library);
  }
  return libraries;
}

}  // namespace hami::dra
