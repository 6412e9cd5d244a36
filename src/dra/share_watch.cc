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
#include "share/bypass.h"

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

ShareWatch::ShareWatch(std::string share_root, ReportEscape report, ReportOutsider report_outsider)
    : root_(std::move(share_root)),
      report_(std::move(report)),
      report_outsider_(std::move(report_outsider)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  answers_ = std::thread(&ShareWatch::Answer, this);
  starts_ = std::thread(&ShareWatch::StartAgents, this);
}

ShareWatch::~ShareWatch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  Wake();
  answers_.join();
  starts_.join();
  for (auto& [uid, claim] : claims_) {
    for (Slice& slice : claim.slices) EndAgent(&slice);
  }
}

void ShareWatch::Wake() {
  {
    const std::lock_guard lock(mutex_);
    look_ = true;
  }
  changed_.notify_all();
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof(one));
}

// An agent that hangs in the driver is left behind with all that it uses.
void ShareWatch::EndAgent(Slice* slice) {
  slice->refused = false;
  if (slice->agent == nullptr) return;
  share::ShareFigures figures;
  if (!slice->agent->Stop(&figures)) {
    LOG_ERROR("the GPU driver does not answer; an agent is left behind");
    (void)new std::pair(std::move(slice->agent), std::move(slice->nvml));
  }
  slice->agent.reset();
  slice->nvml.reset();
}

void ShareWatch::SetDriver(std::shared_ptr<const gpu::Nvml> nvml) {
  {
    const std::lock_guard lock(mutex_);
    nvml_ = std::move(nvml);
    for (auto& [uid, claim] : claims_) {
      for (Slice& slice : claim.slices) EndAgent(&slice);
    }
  }
  Wake();
}

void ShareWatch::OnKept(const ClaimGrant& grant) {
  {
    const std::lock_guard lock(mutex_);
    Claim& claim = claims_[grant.uid];
    claim.ref = {grant.namespace_name, grant.name, grant.uid};
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
      slice.refused = false;  // tried again at each sweep
      slice.region_inode = inode;
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

Result<std::unique_ptr<share::ShareAgent>> ShareWatch::MakeAgent(
    const ClaimRef& claim, const Slice& slice, const std::shared_ptr<const gpu::Nvml>& nvml) {
  ASSIGN_OR_RETURN(ShareMembers members, ShareMembers::Open(slice.folder, slice.mount_point));
  const auto shared = std::make_shared<ShareMembers>(std::move(members));  // std::function copies
  return share::ShareAgent::Start(
      {.nvml = nvml.get(),
       .region_path = base::JoinPath(slice.folder, api::kRegionFile),
       .device_uuid = slice.grant.uuid,
       .limit_bytes = slice.grant.memory_bytes,
       .is_member = [shared](int pid) { return shared->Contains(pid); },
       .report =
           [this, claim](const share::Escape& escape) {
             ++escapes_;
             LOG_WARN("a process goes round its limit", Field("claim", TextOf(claim)),
                      Field("pid", escape.pid), Field("holds_bytes", escape.driver_bytes),
                      Field("granted_bytes", escape.limit_bytes), Field("gpu", escape.device_uuid));
             report_(claim, escape);
           },
       .report_outsider =
           [this, claim](const share::Outsider& outsider) {
             ++outsiders_;
             LOG_WARN("limits are not active for a process", Field("claim", TextOf(claim)),
                      Field("pid", outsider.pid), Field("holds_bytes", outsider.bytes),
                      Field("why", share::Describe(share::FindBypass(outsider.pid))));
             report_outsider_(claim, outsider);
           }});
}

void ShareWatch::StartAgents() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    changed_.wait(lock, [this] { return stop_ || look_; });
    look_ = false;
    while (!stop_ && StartOne(&lock)) {
    }
  }
}

// Starts the agent of one slice that has none; false: every slice has what it can have. Whole GPUs
// have no limit that somebody could go round. The lock is let go while the driver is asked.
bool ShareWatch::StartOne(std::unique_lock<std::mutex>* lock) {
  if (nvml_ == nullptr) return false;
  for (const auto& [uid, claim] : claims_) {
    for (size_t index = 0; index < claim.slices.size(); ++index) {
      const Slice& slice = claim.slices[index];
      if (slice.agent != nullptr || slice.refused || slice.grant.whole) continue;
      const std::shared_ptr<const gpu::Nvml> nvml = nvml_;
      const ClaimRef ref = claim.ref;
      Slice made = {.grant = slice.grant,
                    .folder = slice.folder,
                    .mount_point = slice.mount_point,
                    .region_inode = slice.region_inode};
      lock->unlock();
      Result<std::unique_ptr<share::ShareAgent>> agent = MakeAgent(ref, made, nvml);
      if (agent) {
        made.agent = std::move(*agent);
        made.nvml = nvml;
      } else {
        LOG_WARN("a share is not watched", Field("claim", TextOf(ref)),
                 Field("error", agent.error()));
      }
      lock->lock();
      const auto found = claims_.find(ref.uid);
      const bool same = found != claims_.end() && index < found->second.slices.size() &&
                        found->second.slices[index].region_inode == made.region_inode &&
                        nvml == nvml_;
      if (!same) {  // gone meanwhile, or made again
        EndAgent(&made);
        return true;
      }
      Slice& now = found->second.slices[index];
      now.agent = std::move(made.agent);
      now.nvml = std::move(made.nvml);
      now.refused = now.agent == nullptr;
      return true;
    }
  }
  return false;
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
