// SPDX-License-Identifier: Apache-2.0

#include "dra/claim_shares.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>

#include "api/region/region.h"
#include "api/share/agent.h"
#include "api/share/inactive.h"
#include "base/file.h"
#include "dra/claim_record.h"
#include "share/limits_text.h"
#include "share/region_file.h"

namespace hami::dra {
namespace {

constexpr size_t kMaxLimitsBytes = size_t{64} << 10;
constexpr char kHook[] = "hook";
// Behind the name of a file that is being written: here, and of base::WriteFileAtomically.
constexpr std::string_view kFresh = ".new";
// The tenant's processes run as any user.
constexpr mode_t kRegionMode = 0666;

std::string LimitsOf(const GrantedSlice& slice) {
  return share::WriteLimits({.device_uuid = slice.uuid,
                             .memory_bytes = slice.memory_bytes,
                             .cores_pct = slice.cores_pct,
                             .policy = slice.policy,
                             .context_bytes = slice.context_bytes});
}

Status EnsureLimits(const std::string& path, const std::string& text, bool* mended) {
  const Result<std::string> now = base::ReadFile(path, kMaxLimitsBytes);
  if (now && *now == text) return {};
  *mended = true;
  return base::WriteFileAtomically(path, text, 0444);
}

// What died writers left.
Status RemoveRemains(const std::string& folder) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, base::ListFolder(folder));
  for (const std::string& name : names) {
    if (name.find(kFresh) == std::string::npos) continue;
    const std::string path = base::JoinPath(folder, name);
    if (unlink(path.c_str()) != 0) return FailErrno("remove " + path);
  }
  return {};
}

// Opened without following links: the tenant cannot make any here, but nothing is lost by it.
bool IsWholeRegion(const std::string& path) {
  const base::Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat info = {};
  return file && fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode) &&
         static_cast<size_t>(info.st_size) >= api::kRegionFileBytes &&
         (info.st_mode & kRegionMode) == kRegionMode;
}

// Made beside its place and renamed: nobody ever maps half a region. Processes that have a cut one
// mapped keep it, and with it what they were charged; new ones get the new one.
Status EnsureRegion(const std::string& path, bool* mended) {
  if (IsWholeRegion(path)) return {};
  *mended = true;
  const std::string fresh = path + std::string(kFresh);
  RETURN_IF_ERROR(share::RegionFile::Create(fresh));
  if (chmod(fresh.c_str(), kRegionMode) != 0) return FailErrno("set mode of " + fresh);
  if (rename(fresh.c_str(), path.c_str()) != 0) return FailErrno("rename to " + path);
  return {};
}

}  // namespace

std::string ShareName(const std::string& uid, size_t index) {
  return fmt::format("{}-{}", uid, index);
}

std::string ShareRoot::ClaimFolder(const std::string& uid) const {
  return base::JoinPath(path_, uid);
}

std::string ShareRoot::SliceFolder(const std::string& uid, size_t index) const {
  return base::JoinPath(ClaimFolder(uid), std::to_string(index));
}

std::string ShareRoot::HookFolder(const std::string& uid) const {
  return base::JoinPath(ClaimFolder(uid), kHook);
}

Status ShareRoot::Ensure(const ClaimGrant& grant, bool* mended) const {
  *mended = *mended || !base::Exists(HookFolder(grant.uid));
  RETURN_IF_ERROR(base::MakeFolders(HookFolder(grant.uid), 0755));
  for (size_t index = 0; index < grant.slices.size(); ++index) {
    const std::string folder = SliceFolder(grant.uid, index);
    RETURN_IF_ERROR(base::MakeFolders(folder, 0755));
    RETURN_IF_ERROR(RemoveRemains(folder));
    RETURN_IF_ERROR(EnsureLimits(base::JoinPath(folder, api::kLimitsFile),
                                 LimitsOf(grant.slices[index]), mended));
    RETURN_IF_ERROR(EnsureRegion(base::JoinPath(folder, api::kRegionFile), mended));
  }
  return {};
}

std::vector<std::string> ShareRoot::TakeInactive(const std::string& uid) const {
  std::vector<std::string> ids;
  const Result<std::vector<std::string>> names = base::ListFolder(HookFolder(uid));
  if (!names) return ids;
  for (const std::string& name : *names) {
    if (!name.starts_with(api::kInactivePrefix)) continue;
    // One that cannot be removed is told again.
    unlink(base::JoinPath(HookFolder(uid), name).c_str());
    ids.push_back(name.substr(std::string_view(api::kInactivePrefix).size()));
  }
  return ids;
}

Status ShareRoot::Remove(const std::string& uid) const {
  if (!IsUid(uid)) return {};
  return base::RemoveTree(ClaimFolder(uid));
}

Result<std::vector<std::string>> ShareRoot::List() const {
  RETURN_IF_ERROR(base::MakeFolders(path_, 0755));
  return base::ListFolder(path_);
}

}  // namespace hami::dra
