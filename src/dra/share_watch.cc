// SPDX-License-Identifier: Apache-2.0

#include "dra/share_watch.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "api/share/agent.h"
#include "base/file.h"
#include "base/log.h"
#include "dra/share_members.h"
#include "share/agent_socket.h"

namespace hami::dra {
namespace {

uint64_t InodeOf(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

// A share without the socket is a share whose processes do not know their host PIDs.
base::Fd Listen(const std::string& folder) {
  const std::string socket = base::JoinPath(folder, api::kAgentSocket);
  unlink(socket.c_str());  // of a driver that was here before
  Result<base::Fd> listener = share::ListenForTenants(folder);
  if (listener) return std::move(*listener);
  LOG_WARN("cannot listen for tenants", Field("error", listener.error()));
  return {};
}

}  // namespace

ShareWatch::ShareWatch(std::string share_root)
    : root_(std::move(share_root)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  thread_ = std::thread(&ShareWatch::Answer, this);
}

ShareWatch::~ShareWatch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  Wake();
  thread_.join();
  for (auto& [uid, claim] : claims_) {
    for (Slice& slice : claim.slices) EndAgent(&slice);
  }
}

void ShareWatch::Wake() const {
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof(one));
}

// An agent that hangs in the driver is left behind with all that it uses.
void ShareWatch::EndAgent(Slice* slice) {
  if (slice->agent == nullptr) return;
  share::ShareFigures figures;
  if (!slice->agent->Stop(&figures)) {
    LOG_ERROR("the GPU driver does not answer; an agent is left behind");
    (void)slice->agent.release();
    (void)new std::shared_ptr<const gpu::Nvml>(slice->nvml);
  }
  slice->agent.reset();
  slice->nvml.reset();
}

void ShareWatch::SetDriver(std::shared_ptr<const gpu::Nvml> nvml) {
  const std::lock_guard lock(mutex_);
  nvml_ = std::move(nvml);
  for (auto& [uid, claim] : claims_) {
    for (Slice& slice : claim.slices) {
      EndAgent(&slice);
      Begin(claim, &slice);
    }
  }
}

void ShareWatch::OnKept(const ClaimGrant& grant) {
  {
    const std::lock_guard lock(mutex_);
    Claim& claim = claims_[grant.uid];
    claim.text = grant.namespace_name + "/" + grant.name;
    claim.slices.resize(grant.slices.size());
    for (size_t index = 0; index < grant.slices.size(); ++index) {
      Slice& slice = claim.slices[index];
      slice.grant = grant.slices[index];
      slice.folder = root_.SliceFolder(grant.uid, index);
      slice.mount_point = base::JoinPath(api::kSharesRoot, ShareName(grant.uid, index));
      if (!slice.listener || !base::Exists(base::JoinPath(slice.folder, api::kAgentSocket))) {
        slice.listener = Listen(slice.folder);
      }
      // A region that was made again is another file.
      const uint64_t inode = InodeOf(base::JoinPath(slice.folder, api::kRegionFile));
      if (inode != slice.region_inode) EndAgent(&slice);
      slice.region_inode = inode;
      Begin(claim, &slice);
    }
  }
  Wake();
}

void ShareWatch::OnGone(const std::string& uid) {
  Claim gone;
  {
    const std::lock_guard lock(mutex_);
    const auto found = claims_.find(uid);
    if (found == claims_.end()) return;
    gone = std::move(found->second);
    claims_.erase(found);
  }
  for (Slice& slice : gone.slices) EndAgent(&slice);
  Wake();
}

// With mutex_ held. Whole GPUs have no limit that somebody could go round.
void ShareWatch::Begin(const Claim& claim, Slice* slice) {
  if (slice->agent != nullptr || nvml_ == nullptr || slice->grant.whole) return;
  Result<ShareMembers> members = ShareMembers::Open(slice->folder, slice->mount_point);
  if (!members) {
    LOG_WARN("a share is not watched", Field("claim", claim.text), Field("error", members.error()));
    return;
  }
  const auto shared = std::make_shared<ShareMembers>(std::move(*members));  // std::function copies
  Result<std::unique_ptr<share::ShareAgent>> agent = share::ShareAgent::Start(
      {.nvml = nvml_.get(),
       .region_path = base::JoinPath(slice->folder, api::kRegionFile),
       .device_uuid = slice->grant.uuid,
       .limit_bytes = slice->grant.memory_bytes,
       .is_member = [shared](int pid) { return shared->Contains(pid); },
       .report =
           [this, text = claim.text](const share::Escape& escape) {
             ++escapes_;
             LOG_WARN("a process goes round its limit", Field("claim", text),
                      Field("pid", escape.pid), Field("holds_bytes", escape.driver_bytes),
                      Field("granted_bytes", escape.limit_bytes), Field("gpu", escape.device_uuid));
           }});
  if (!agent) {
    LOG_WARN("a share is not watched", Field("claim", claim.text), Field("error", agent.error()));
    return;
  }
  slice->agent = std::move(*agent);
  slice->nvml = nvml_;
}

// The lock is not held while waiting, so descriptors can be closed meanwhile: then poll answers
// POLLNVAL for one, or another's place in the table is polled once for nothing.
void ShareWatch::Answer() {
  for (;;) {
    std::vector<pollfd> ready = {{wake_.get(), POLLIN, 0}};
    {
      const std::lock_guard lock(mutex_);
      if (stop_) return;
      for (const auto& [uid, claim] : claims_) {
        for (const Slice& slice : claim.slices) {
          if (slice.listener) ready.push_back({slice.listener.get(), POLLIN, 0});
        }
      }
    }
    (void)poll(ready.data(), ready.size(), -1);
    uint64_t count = 0;
    (void)!read(wake_.get(), &count, sizeof(count));
    const std::lock_guard lock(mutex_);
    for (const auto& [uid, claim] : claims_) {
      for (const Slice& slice : claim.slices) {
        if (slice.listener) share::AnswerTenants(slice.listener);
      }
    }
  }
}

}  // namespace hami::dra
