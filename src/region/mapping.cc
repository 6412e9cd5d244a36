// SPDX-License-Identifier: Apache-2.0

#include "region/mapping.h"

#include <atomic>
#include <cstddef>

#include "region/os.h"

namespace hami::region {
namespace {

constexpr uint64_t kInitPatienceNs = 5'000'000'000;
constexpr uint64_t kInitPollNs = 500'000;

template <typename T>
std::atomic_ref<T> Ref(T& value) {
  return std::atomic_ref<T>(value);
}

// Closes on the way out. (region/ has no hosted helpers.)
struct File {
  int fd;
  ~File() {
    if (fd >= 0) os::Close(fd);
  }
};

int OpenRegion(const char* path, bool create) {
  int fd = os::Open(path, os::kReadWrite, 0);
  if (fd != -os::kErrNoEntry || !create) return fd;
  fd = os::Open(path, os::kReadWrite | os::kCreate, 0666);
  // The umask of the application has taken bits away; other users of the container need them.
  if (fd >= 0) os::ChangeMode(fd, 0666);
  return fd;
}

bool IsComplete(api::Region& region) {
  return Ref(region.v1.initialized).load(std::memory_order_acquire) == api::kRegionMagic &&
         Ref(region.ext.magic).load(std::memory_order_acquire) == api::kExtensionMagic;
}

bool IsOurVersion(const api::Region& region) {
  return region.v1.major_version == api::kRegionMajor &&
         region.v1.minor_version == api::kRegionMinor &&
         region.ext.version == api::kExtensionVersion &&
         region.ext.bytes == sizeof(api::RegionExtension);
}

// All but the slots, which whoever takes one reserves.
bool ReserveHeaders(int fd) {
  constexpr auto kProcesses = static_cast<int64_t>(offsetof(api::RegionV1, processes));
  constexpr auto kBehind = static_cast<int64_t>(offsetof(api::RegionV1, process_count));
  constexpr auto kSlots =
      static_cast<int64_t>(api::kExtensionOffset + offsetof(api::RegionExtension, slots));
  return os::Reserve(fd, 0, kProcesses) == 0 && os::Reserve(fd, kBehind, kSlots - kBehind) == 0;
}

// Fills what is still missing. The caller holds the initialisation lock. Idempotent: a death
// half-way leaves the magic numbers unset and the next process starts over.
AttachError Complete(int fd, api::Region& region) {
  api::RegionV1& v1 = region.v1;
  bool fresh = false;
  if (v1.initialized != api::kRegionMagic) {
    fresh = true;
    if (v1.initialized != 0) return AttachError::kNotARegion;
    v1.major_version = api::kRegionMajor;
    v1.minor_version = api::kRegionMinor;
    v1.utilization_switch = 1;
    v1.recent_kernel = 2;
    v1.priority = 1;
    Ref(v1.initialized).store(api::kRegionMagic, std::memory_order_release);
  } else if (v1.major_version != api::kRegionMajor || v1.minor_version != api::kRegionMinor) {
    return AttachError::kNotARegion;
  }
  api::RegionExtension& ext = region.ext;
  if (ext.magic != api::kExtensionMagic) {
    // A region without our extension was HAMi's. Its processes are not ours to count: nobody holds
    // a slot lock, so its slots are empty from here on.
    if (!fresh) {
      if (os::Reserve(fd, 0, sizeof(v1)) != 0) return AttachError::kCannotGrow;
      __builtin_memset(v1.processes, 0, sizeof(v1.processes));
      v1.process_count = 0;
    }
    ext.version = api::kExtensionVersion;
    ext.bytes = sizeof(api::RegionExtension);
    for (api::DeviceExtension& device : ext.devices) device.cost_scale_q16 = 65536;
    Ref(ext.magic).store(api::kExtensionMagic, std::memory_order_release);
  }
  return AttachError::kNone;
}

AttachError CompleteUnderLock(int fd, api::Region& region) {
  const uint64_t deadline = os::NowNs() + kInitPatienceNs;
  os::LockResult lock;
  while ((lock = os::TryLock(fd, api::kInitLockOffset)) == os::LockResult::kBusy) {
    if (IsComplete(region)) return AttachError::kNone;
    if (os::NowNs() > deadline) return AttachError::kBusy;
    os::SleepUntil(os::NowNs() + kInitPollNs);
  }
  if (lock == os::LockResult::kUnsupported) return AttachError::kNoLocks;
  const AttachError error = Complete(fd, region);
  os::Unlock(fd, api::kInitLockOffset);
  return error;
}

AttachError MapAndCheck(int fd, api::Region** region) {
  os::FileInfo info;
  if (os::Stat(fd, &info) != 0 || !info.regular) return AttachError::kNotARegion;
  // Growing is atomic and idempotent; a racing process sets the same length.
  if (info.bytes < static_cast<int64_t>(api::kRegionFileBytes) &&
      os::Truncate(fd, api::kRegionFileBytes) != 0) {
    return AttachError::kCannotGrow;
  }
  if (!ReserveHeaders(fd)) return AttachError::kCannotGrow;
  auto* mapped = static_cast<api::Region*>(os::MapShared(fd, api::kRegionFileBytes));
  if (mapped == nullptr) return AttachError::kCannotMap;
  AttachError error = AttachError::kNone;
  if (!IsComplete(*mapped)) error = CompleteUnderLock(fd, *mapped);
  if (error == AttachError::kNone && !IsOurVersion(*mapped)) error = AttachError::kNotARegion;
  if (error != AttachError::kNone) {
    os::Unmap(mapped, api::kRegionFileBytes);
    return error;
  }
  *region = mapped;
  return AttachError::kNone;
}

AttachError TakeSlot(int fd, api::Region& region, const Identity& identity, int* slot) {
  // Distinguishes "no room" from "no locks": the initialisation byte is free for a moment or busy.
  if (os::QueryLock(fd, api::kInitLockOffset, 1) == os::LockResult::kUnsupported) {
    return AttachError::kNoLocks;
  }
  *slot = ClaimSlot(region, fd, identity);
  if (*slot == kNoSpace) return AttachError::kCannotGrow;
  if (*slot == kNeverSettles) return AttachError::kUnsettled;
  return *slot < 0 ? AttachError::kNoSlot : AttachError::kNone;
}

bool CopyPath(const char* from, char* to) {
  for (int i = 0; i < kMaxPathBytes; ++i) {
    to[i] = from[i];
    if (from[i] == 0) return true;
  }
  return false;
}

}  // namespace

const char* Describe(AttachError error) {
  switch (error) {
    case AttachError::kNone:
      return "no error";
    case AttachError::kCannotOpen:
      return "cannot be opened";
    case AttachError::kNotARegion:
      return "is not a shared region of this version";
    case AttachError::kCannotGrow:
      return "cannot be given its size (file system full?)";
    case AttachError::kCannotMap:
      return "cannot be mapped";
    case AttachError::kBusy:
      return "is being initialised by a process that does not finish";
    case AttachError::kNoLocks:
      return "is on a file system or kernel without F_OFD_SETLK locks";
    case AttachError::kNoSlot:
      return "has no free process slot (1024 live processes)";
    case AttachError::kUnsettled:
      return "never settles: a process of its tenant writes over it all the time";
  }
  return "unknown";
}

AttachError Attach(const char* path, bool create, const Identity* identity, Mapping* mapping) {
  Mapping made;
  if (!CopyPath(path, made.path)) return AttachError::kCannotOpen;
  const File file = {OpenRegion(path, create)};
  if (file.fd < 0) return AttachError::kCannotOpen;
  AttachError error = MapAndCheck(file.fd, &made.region);
  if (error != AttachError::kNone) return error;
  os::FileInfo info;
  os::Stat(file.fd, &info);
  made.device = info.device;
  made.inode = info.inode;
  if (identity != nullptr) error = TakeSlot(file.fd, *made.region, *identity, &made.slot);
  if (error != AttachError::kNone) {
    os::Unmap(made.region, api::kRegionFileBytes);
    return error;
  }
  *mapping = made;
  return AttachError::kNone;
}

AttachError AttachSlot(const Identity& identity, Mapping* mapping) {
  const File file = {ReopenFile(*mapping)};
  if (file.fd < 0) return AttachError::kCannotOpen;
  api::Region* region = nullptr;
  AttachError error = MapAndCheck(file.fd, &region);
  if (error != AttachError::kNone) return error;
  int slot = -1;
  error = TakeSlot(file.fd, *region, identity, &slot);
  if (error != AttachError::kNone) {
    os::Unmap(region, api::kRegionFileBytes);
    return error;
  }
  mapping->region = region;
  mapping->slot = slot;
  return AttachError::kNone;
}

int ReopenFile(const Mapping& mapping) {
  const int fd = os::Open(mapping.path, os::kReadWrite, 0);
  if (fd < 0) return -1;
  os::FileInfo info;
  if (os::Stat(fd, &info) != 0 || info.device != mapping.device || info.inode != mapping.inode) {
    os::Close(fd);
    return -1;
  }
  return fd;
}

int ReapDead(const Mapping& mapping) {
  if (!HasOtherSlots(*mapping.region, mapping.slot)) return 0;
  const File file = {ReopenFile(mapping)};
  return file.fd < 0 ? 0 : ReapDeadSlots(*mapping.region, file.fd);
}

}  // namespace hami::region
