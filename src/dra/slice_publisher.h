// SPDX-License-Identifier: Apache-2.0
//
// Keeps the API showing what this node should publish: watches its own ResourceSlices, and writes
// when they differ, at once. Somebody who deletes or edits one sees it come back.
//
// A thread of its own does the writing. Every public function may be called from any thread.

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
#include <thread>
#include <vector>

#include "domain/resource_slice.h"
#include "kube/client.h"
#include "kube/reflector.h"

namespace hami::dra {

struct PublisherStats {
  int64_t generation = 0;  // of the pool; 0: nothing published yet
  uint64_t writes = 0;     // creates, updates and deletes that succeeded
  uint64_t failures = 0;
  size_t slices = 0;                 // that the API shows now
  bool settled = false;              // the API shows what it should
  std::string last_error;            // of the last try; empty: it succeeded
  std::vector<std::string> dropped;  // feature gates whose fields the server threw away
};

class SlicePublisher : public kube::Watcher<domain::ResourceSlice> {
 public:
  // Begins to watch; writes nothing before SetWanted. The client outlives it.
  SlicePublisher(kube::Client& client, std::string driver, std::string node_name);
  ~SlicePublisher() override;

  // nullopt: nothing may be published. Owner: the node of this name and UID.
  void SetWanted(std::optional<std::vector<domain::ResourceSlice>> wanted,
                 domain::SliceOwner owner);

  // Until the API shows what it should, or for so long. False: it does not.
  bool WaitUntilSettled(int64_t timeout_ms);

  PublisherStats stats() const;

  // Called whenever `dropped` changes, from the publisher's thread.
  void OnDropped(std::function<void(const std::vector<std::string>&)> call);

  void OnReplace(std::vector<std::shared_ptr<const domain::ResourceSlice>> all,
                 uint64_t version) override;
  void OnUpsert(std::shared_ptr<const domain::ResourceSlice> now) override;
  void OnDelete(const kube::ObjectKey& key, uint64_t version) override;

 private:
  void Run();
  Status Apply();
  void Keep(const domain::ResourceSlice& slice);
  Status Write(const domain::ResourceSlice& slice, bool create, const domain::SliceOwner& owner);
  Status Remove(const domain::ResourceSlice& slice);
  void NoteStored(const domain::ResourceSlice& sent, const domain::ResourceSlice& stored);

  kube::Client& client_;
  const std::string driver_;
  const std::string node_name_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  bool synced_ = false;
  uint64_t dirty_ = 0;  // counts reasons to look
  uint64_t seen_ = 0;   // of them, how many a finished look has covered
  std::optional<std::vector<domain::ResourceSlice>> wanted_;
  bool wanted_known_ = false;
  domain::SliceOwner owner_;
  std::map<std::string, domain::ResourceSlice> now_;  // by name
  // What the watch has told since the last look began.
  std::set<std::string> gone_while_writing_;
  bool listed_while_writing_ = false;
  PublisherStats stats_;
  std::function<void(const std::vector<std::string>&)> on_dropped_;

  std::unique_ptr<kube::Reflector<domain::ResourceSlice>> reflector_;
  std::thread thread_;
};

}  // namespace hami::dra
