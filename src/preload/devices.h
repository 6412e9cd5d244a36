// SPDX-License-Identifier: Apache-2.0
//
// The devices of this process and what it may take of each: CUDA ordinals and NVML handles brought
// together with the grants by UUID, never by index. Several share directories that name one device
// add up: the device then has several parts.
//
// Built once under the attach lock, read without locks. Limits inside are atomics, because they may
// be refreshed while hooks read them.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "preload/shares.h"
#include "region/ledger.h"

namespace hami::preload {

// One share's part of a device.
struct DevicePart {
  Share* share;
  int index;                          // of the device in that share's region
  std::atomic<uint64_t> limit_units;  // kUnlimitedUnits: no memory limit
  std::atomic<uint32_t> cores_pct;    // 0: no compute limit
  std::atomic<region::CorePolicy> policy;
};

struct Device {
  int number;                  // counts the devices met so far, from 0; below 32
  char uuid[api::kUuidBytes];  // "GPU-..."; "" if only the position is known
  int part_count;              // 0: not granted, its limit is 0 bytes
  DevicePart parts[kMaxShares];
  std::atomic<uint64_t> context_bytes;  // what a context is charged before it exists
  uint64_t page_bytes;                  // physical granularity of the driver's allocations
};

inline constexpr int kMaxOrdinals = 64;

// The device behind a CUDA ordinal. Never nullptr for 0 <= ordinal < device count; nullptr
// otherwise.
Device* DeviceOfOrdinal(int ordinal);

// The number of the only granted device among the ordinals; -1 if there are several or none.
int SoleGrantedDevice();

// Builds the devices behind the CUDA ordinals. The driver must be initialised. False: the driver
// does not answer.
bool MapOrdinals(Shares* shares);

// The device with this UUID: a granted one, or in environment grants the one at `position` in the
// container. nullptr: not granted. The caller holds the attach lock (process.h has FindNvmlDevice).
Device* DeviceOfUuid(Shares* shares, const char* uuid, int position);

// Forgets everything; only in a forked child, before anything is looked up.
void ResetDevicesAfterFork();

// The granted devices in the order of the share directories (what NVML indices count through);
// nullptr behind the last.
const char* GrantedUuid(const Shares& shares, int index);

// Follows changed limits (RefreshLimits).
void UpdateDeviceLimits(Shares* shares);

// "GPU-" and 16 bytes in hexadecimal, as nvidia-smi and NVML write it.
void FormatUuid(const char (&bytes)[16], char (&text)[api::kUuidBytes]);

// ---- charging

// Takes `bytes` for this process on `device` if the limit allows; dead processes are looked for
// before a refusal. kind says where HAMi's monitor sees it.
bool Charge(Device& device, uint64_t bytes, region::ChargeKind kind);
// The same for memory that this process has already, taken through another interface: what the
// agent has found (hidden memory, docs/adr/0011) may be it, so it is not counted on top of that.
bool ChargeExisting(Device& device, uint64_t bytes, region::ChargeKind kind);
// Takes them although the limit forbids: the memory exists already.
void ChargeAnyway(Device& device, uint64_t bytes, region::ChargeKind kind);
// Says once, at any log level, that the region was written over, if that was met.
void SayDisturbances();
void Refund(Device& device, uint64_t bytes, region::ChargeKind kind);

struct MemoryView {
  bool limited;          // false: show what the driver says
  uint64_t limit_bytes;  // sum over the parts
  uint64_t used_bytes;
};
MemoryView ViewMemory(const Device& device);

}  // namespace hami::preload
