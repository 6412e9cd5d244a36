// SPDX-License-Identifier: Apache-2.0

#include "preload/shares.h"

#include <atomic>
#include <cstddef>

#include "api/share/agent.h"
#include "preload/environment.h"
#include "preload/log.h"
#include "region/os.h"

namespace hami::preload {
namespace {

constexpr char kDefaultRegionPath[] = "/tmp/cudevshr.cache";

constexpr char kTooLong[] = "the path of a share directory is too long";

constinit bool said_broken = false;

// directory + "/" + name, or false if it does not fit.
bool JoinPath(const char* directory, const char* name, char (&path)[region::kMaxPathBytes]) {
  size_t used = 0;
  const auto put = [&](char c) {
    if (used >= sizeof(path)) return false;
    path[used++] = c;
    return true;
  };
  for (const char* c = directory; *c != 0; ++c) {
    if (!put(*c)) return false;
  }
  if (!put('/')) return false;
  for (const char* c = name; *c != 0; ++c) {
    if (!put(*c)) return false;
  }
  return put(0);
}

void SayBroken(const char* directory, const char* what, int line) {
  if (line > 0) {
    LogAlways(&said_broken, "%s/limits line %d: %s; every GPU allocation is refused", directory,
              line, what);
  } else {
    LogAlways(&said_broken, "%s: %s; every GPU allocation is refused", directory, what);
  }
}

void Break(Shares* shares, const char* directory, const char* what, int line) {
  shares->grant = Grant::kBroken;
  SayBroken(directory, what, line);
}

// What the region shows to HAMi's monitor. Every process of the share writes the same.
void ShowLimits(const Share& share) {
  api::RegionV1& v1 = share.mapping.region->v1;
  for (int i = 0; i < share.limits.device_count; ++i) {
    const region::DeviceLimit& limit = share.limits.devices[i];
    __builtin_memcpy(v1.uuids[i], limit.uuid, sizeof(v1.uuids[i]));
    std::atomic_ref(v1.limit_bytes[i]).store(limit.memory_bytes, std::memory_order_relaxed);
    std::atomic_ref(v1.limit_cores_pct[i]).store(limit.cores_pct, std::memory_order_relaxed);
  }
  if (share.limits.device_count > 0) {
    std::atomic_ref(v1.priority).store(share.limits.devices[0].priority, std::memory_order_relaxed);
  }
  std::atomic_ref(v1.device_count)
      .store(static_cast<uint64_t>(share.limits.device_count), std::memory_order_release);
}

uint32_t GenerationOf(const Share& share) {
  return std::atomic_ref(share.mapping.region->ext.limits_generation)
      .load(std::memory_order_acquire);
}

// Adds the share directory `directory`; one whose limits cannot be read breaks the grant.
void AddShare(Shares* shares, const char* directory) {
  char path[region::kMaxPathBytes];
  if (!JoinPath(directory, api::kLimitsFile, path)) {
    Break(shares, "HAMI_SHARES", kTooLong, 0);  // a mounted one's is not
    return;
    return;
  }
  if (shares->count == kMaxShares) {
    Break(shares, directory, "more than 8 share directories", 0);
    return;
  }
  Share& share = shares->entries[shares->count];
  share = Share{};
  __builtin_strncpy(share.directory, directory, sizeof(share.directory) - 1);
  const region::LimitsError error = region::LoadLimits(path, &share.limits);
  if (error.what != nullptr) {
    Break(shares, directory, error.what, error.line);
    return;
  }
  if (!JoinPath(directory, api::kRegionFile, path)) return;
  const region::AttachError attached = region::Attach(path, true, nullptr, &share.mapping);
  if (attached != region::AttachError::kNone) {
    Break(shares, path, region::Describe(attached), 0);
    return;
  }
  // The agent may have replaced the file since it was read: the region is asked first.
  share.generation_seen = GenerationOf(share);
  if (!JoinPath(directory, api::kLimitsFile, path)) return;
  const region::LimitsError again = region::LoadLimits(path, &share.limits);
  if (again.what != nullptr) {
    Break(shares, directory, again.what, again.line);
    return;
  }
  ShowLimits(share);
  ++shares->count;
  if (shares->grant == Grant::kNone) shares->grant = Grant::kLimitsFiles;
}

void AddMountedShares(Shares* shares) {
  os::VisitDirectory(
      api::kSharesRoot,
      [](void* context, const char* name) {
        char directory[region::kMaxPathBytes];
        if (JoinPath(api::kSharesRoot, name, directory)) {
          AddShare(static_cast<Shares*>(context), directory);
        }
        return true;
      },
      shares);
}

void AddListedShares(Shares* shares, const char* list) {
  char directory[region::kMaxPathBytes];
  for (;;) {
    switch (TakeListedPath(&list, directory, sizeof(directory))) {
      case ListedPath::kEnd:
        return;
      case ListedPath::kTaken:
        AddShare(shares, directory);
        break;
      case ListedPath::kTooLong:
        Break(shares, "HAMI_SHARES", kTooLong, 0);
        break;
    }
  }
}

// Once for a variable that speaks for all devices.
void SayNoSize(const char* text) {
  static const char* said = nullptr;
  if (text == said) return;
  said = text;
  Log(LogLevel::kWarning, "CUDA_DEVICE_MEMORY_LIMIT=%s is not a size: no memory limit", text);
}

// One device's limits as the environment gives them. False: neither memory nor compute is limited.
bool ReadEnvironmentLimit(int index, region::DeviceLimit* limit) {
  bool limited = false;
  uint64_t number = 0;
  if (const char* text = FindIndexedEnvironment("CUDA_DEVICE_MEMORY_LIMIT", index)) {
    if (ParseMemorySize(text, &number)) {
      limit->memory_bytes = number;
      limited = true;
    } else {
      SayNoSize(text);
    }
  }
  if (const char* text = FindIndexedEnvironment("CUDA_DEVICE_SM_LIMIT", index)) {
    if (ParseWholeNumber(text, &number) && number > 0 && number < 100) {
      limit->cores_pct = static_cast<uint32_t>(number);
      limited = true;
    }
  }
  return limited;
}

// HAMi's way: limits by position in the container. A region that an earlier process of the
// container left limits in counts too, so that a process with a stripped environment is not
// unlimited.
void AddEnvironmentShare(Shares* shares) {
  const char* path = FindEnvironment("CUDA_DEVICE_MEMORY_SHARED_CACHE");
  region::Limits limits = {};
  bool limited = false;
  for (int i = 0; i < api::kMaxDevices; ++i) {
    limited = ReadEnvironmentLimit(i, &limits.devices[i]) || limited;
    limits.devices[i].policy = EnvironmentPolicy();
    limits.devices[i].priority = 1;
  }
  limits.device_count = api::kMaxDevices;
  uint64_t priority = 1;
  if (const char* text = FindEnvironment("CUDA_TASK_PRIORITY")) ParseWholeNumber(text, &priority);
  if (path == nullptr && !limited) return;
  if (path == nullptr) path = kDefaultRegionPath;

  Share& share = shares->entries[0];
  share = Share{};
  const region::AttachError error = region::Attach(path, true, nullptr, &share.mapping);
  if (error != region::AttachError::kNone) {
    Break(shares, path, region::Describe(error), 0);
    return;
  }
  api::RegionV1& v1 = share.mapping.region->v1;
  for (int i = 0; i < api::kMaxDevices; ++i) {
    region::DeviceLimit& mine = limits.devices[i];
    mine.priority = priority == 0 ? 0 : 1;
    const uint64_t kept = std::atomic_ref(v1.limit_bytes[i]).load(std::memory_order_relaxed);
    if (kept != 0 && (mine.memory_bytes == 0 || kept < mine.memory_bytes)) mine.memory_bytes = kept;
    const uint64_t cores = std::atomic_ref(v1.limit_cores_pct[i]).load(std::memory_order_relaxed);
    if (cores != 0 && cores < 100 && (mine.cores_pct == 0 || cores < mine.cores_pct)) {
      mine.cores_pct = static_cast<uint32_t>(cores);
    }
    std::atomic_ref(v1.limit_bytes[i]).store(mine.memory_bytes, std::memory_order_relaxed);
    std::atomic_ref(v1.limit_cores_pct[i]).store(mine.cores_pct, std::memory_order_relaxed);
  }
  std::atomic_ref(v1.priority).store(static_cast<int>(priority), std::memory_order_relaxed);
  share.limits = limits;
  share.generation_seen = GenerationOf(share);
  shares->count = 1;
  shares->grant = Grant::kEnvironment;
}

// The host's PID of this process, from the agent if there is one. 0: not known.
int AskHostPid(const Share& share) {
  char path[region::kMaxPathBytes];
  if (share.directory[0] == 0 || !JoinPath(share.directory, api::kAgentSocket, path)) return 0;
  const int fd = os::ConnectUnix(path);
  if (fd < 0) return 0;
  api::AgentHello hello = {};
  const int64_t got = os::Read(fd, &hello, sizeof(hello));
  os::Close(fd);
  const bool valid = got == sizeof(hello) && hello.magic == api::kAgentMagic && hello.version == 1;
  return valid ? hello.host_pid : 0;
}

}  // namespace

region::CorePolicy EnvironmentPolicy() {
  const char* text = FindEnvironment("GPU_CORE_UTILIZATION_POLICY");
  if (text == nullptr) return region::CorePolicy::kDefault;
  if (__builtin_strcmp(text, "force") == 0 || __builtin_strcmp(text, "FORCE") == 0) {
    return region::CorePolicy::kForce;
  }
  if (__builtin_strcmp(text, "disable") == 0 || __builtin_strcmp(text, "DISABLE") == 0) {
    return region::CorePolicy::kDisable;
  }
  if (__builtin_strcmp(text, "burst") == 0) return region::CorePolicy::kBurst;
  return region::CorePolicy::kDefault;
}

void FindShares(Shares* shares) {
  shares->grant = Grant::kNone;
  shares->count = 0;
  AddMountedShares(shares);
  if (shares->grant == Grant::kNone) {
    if (const char* list = FindEnvironment("HAMI_SHARES")) AddListedShares(shares, list);
  }
  if (shares->grant == Grant::kNone) AddEnvironmentShare(shares);
}

bool TakeSlots(Shares* shares) {
  const region::Identity identity = region::ReadIdentity();
  for (int i = 0; i < shares->count; ++i) {
    Share& share = shares->entries[i];
    if (share.mapping.slot >= 0) continue;
    const region::AttachError error = region::AttachSlot(identity, &share.mapping);
    if (error != region::AttachError::kNone) {
      Break(shares, share.mapping.path, region::Describe(error), 0);
      return false;
    }
    const int host_pid = AskHostPid(share);
    api::ProcessSlot& shown = share.mapping.region->v1.processes[share.mapping.slot];
    std::atomic_ref(shown.host_pid).store(host_pid, std::memory_order_relaxed);
    Log(LogLevel::kInfo, "slot %d in %s, host PID %d", share.mapping.slot, share.mapping.path,
        host_pid);
  }
  return true;
}

bool RefreshLimits(Shares* shares) {
  if (shares->grant != Grant::kLimitsFiles) {
    for (int i = 0; i < shares->count; ++i) {
      shares->entries[i].generation_seen = GenerationOf(shares->entries[i]);
    }
    return false;
  }
  bool changed = false;
  for (int i = 0; i < shares->count; ++i) {
    Share& share = shares->entries[i];
    const uint32_t generation = GenerationOf(share);
    if (generation == share.generation_seen) continue;
    char path[region::kMaxPathBytes];
    if (!JoinPath(share.directory, api::kLimitsFile, path)) continue;
    region::Limits limits;
    const region::LimitsError error = region::LoadLimits(path, &limits);
    share.generation_seen = generation;
    changed = true;
    if (error.what != nullptr) {
      // Until the next file nothing more is to be had; what is there stays charged and visible.
      SayBroken(share.directory, error.what, error.line);
      for (int d = 0; d < share.limits.device_count; ++d) share.limits.devices[d].memory_bytes = 0;
      continue;
    }
    said_broken = false;
    share.limits = limits;
    ShowLimits(share);
  }
  return changed;
}

int ReapShares(Shares* shares) {
  int reaped = 0;
  for (int i = 0; i < shares->count; ++i) {
    const int freed = region::ReapDead(shares->entries[i].mapping);
    if (freed > 0) reaped += freed;
  }
  return reaped;
}

}  // namespace hami::preload
