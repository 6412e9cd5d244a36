// SPDX-License-Identifier: Apache-2.0
//
// Keeps the claims of this node: what is promised is on disk (claim_record.h), and everything else,
// share directories and CDI documents, is made from it and made again when it is missing.
//
//   Prepare    record, then shares, then CDI document, then the answer
//   Unprepare  CDI document, then shares, then record
//
// A crash between any two writes leaves either a record from which the rest is made, or orphans
// without a record, which Recover and Sweep remove. Repeating either call is harmless.
//
// Thread-safe. Calls for different claims run side by side; those for one claim in turn.

#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "domain/resource_claim.h"
#include "dra/claim_record.h"
#include "dra/claim_shares.h"
#include "dra/grant.h"
#include "gpu/driver_files.h"

namespace hami::dra {

struct ClaimRef {
  std::string namespace_name;
  std::string name;
  std::string uid;
};

// "namespace/name"
inline std::string TextOf(const ClaimRef& claim) { return claim.namespace_name + "/" + claim.name; }

// One device of a prepared claim, as the kubelet wants to know it.
struct PreparedDevice {
  std::string request;  // the base name
  std::string pool;
  std::string device;
  std::string share_id;
  std::string cdi_id;
};

// The node's GPUs and what of their driver containers need, at one moment.
struct NodeView {
  NodeGpus gpus;
  gpu::DriverFiles files;  // with the nodes of every GPU
};

// Where claims come from. Both wait for the API server; any thread.
class ClaimSource {
 public:
  virtual ~ClaimSource() = default;
  // kNotFound if there is none of that name.
  virtual Result<domain::ResourceClaim> Fetch(const ClaimRef& claim) = 0;
  // Every claim of the cluster that has a device of this node.
  virtual Result<std::vector<domain::ResourceClaim>> FetchOfNode() = 0;
};

// Told about every claim that is kept, under the claim's lock: must not call back.
class ClaimObserver {
 public:
  virtual ~ClaimObserver() = default;
  virtual void OnKept(const ClaimGrant& grant) = 0;  // also again, for a claim that is known
  virtual void OnGone(const std::string& uid) = 0;
};

struct ClaimKeeperOptions {
  std::string pool;  // this node's
  std::string record_folder;
  std::string share_root;
  std::string cdi_folder;
  std::string library_root;  // of KeepProductFiles
  std::string library;       // the folder in it that new claims get
  std::string boot_id;
  // How long Prepare waits for what is about to come: the first look at the driver, or room that
  // others are leaving. A kubelet that is refused asks again after a minute or more.
  int64_t patience_ms = 0;
};

struct SweepReport {
  int orphans = 0;  // removed: folders and documents without a record
  int mended = 0;   // missing or broken, made again
  int expired = 0;  // records of claims that are gone from the API
  int broken = 0;   // records that still cannot be read
};

class ClaimKeeper {
 public:
  // Neither is owned. `observer` may be null.
  ClaimKeeper(ClaimKeeperOptions options, ClaimSource* source, ClaimObserver* observer);

  // Reads the records and mends what can be mended without a driver or the API server. To be called
  // once, before anything else; fails only where the record folder cannot be used.
  Status Recover();

  // nullptr: the driver is gone. What is prepared stays.
  void SetNode(std::shared_ptr<const NodeView> node);

  // Nobody waits in Prepare from now on.
  void EndWaits();

  // Errors are for the pod's event. kUnavailable: come again (no driver, no API server).
  Result<std::vector<PreparedDevice>> Prepare(const ClaimRef& claim);
  Status Unprepare(const std::string& uid);

  // Everything that should be there is, and nothing else. To be called now and then; waits for the
  // API server.
  SweepReport Sweep();

  std::vector<ClaimGrant> Kept() const;

  // Library folders that a container may still mount; the current one among them. Those of records
  // that cannot be read are not known.
  std::set<std::string> LibrariesInUse() const;

 private:
  struct Entry {
    std::mutex work;                    // held while something is done for this claim
    std::optional<ClaimRecord> record;  // guarded by mutex_; written with `work` held
  };

  std::shared_ptr<Entry> EntryOf(const std::string& uid);
  void Forget(const std::string& uid, const std::shared_ptr<Entry>& entry);
  std::shared_ptr<const NodeView> node() const;
  std::shared_ptr<const NodeView> NodeInTime();
  Status Reserve(Entry* entry, const ClaimRecord& record);
  Status ReserveInTime(Entry* entry, const ClaimRecord& record);
  bool SomebodyLeaves(const ClaimGrant& wanted);
  Result<ClaimRecord> PlanRecord(const ClaimRef& claim, const std::optional<ClaimRecord>& before,
                                 const NodeView* node);
  Status PrepareHeld(const ClaimRef& claim, Entry* entry);
  Status Make(const ClaimRecord& record, const NodeView* node, bool* mended);
  Status Unmake(const std::string& uid);
  int RemoveOrphans();
  int MendAll();
  int ExpireGone();
  int MendRecords();

  const ClaimKeeperOptions options_;
  ClaimSource* const source_;
  ClaimObserver* const observer_;
  const RecordFolder records_;
  const ShareRoot shares_;

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Entry>> entries_;  // by UID
  std::set<std::string> broken_;                           // UIDs
  std::shared_ptr<const NodeView> node_;
  bool looked_ = false;      // node_ has been set, be it to nothing
  bool end_waits_ = false;   // Prepare does not wait
  uint64_t departures_ = 0;  // claims that were forgotten
  std::condition_variable changed_;
};

}  // namespace hami::dra
