// SPDX-License-Identifier: Apache-2.0
//
// The shared region: one file per share directory, mapped by every process of the tenant and by the
// node's monitor. Its first 2008953 bytes are HAMi's layout v1.2, byte for byte (an unmodified
// vGPUmonitor reads and writes them); what we need beyond that lies in an extension behind it.
//
// Trust: the tenant can write every byte. Nothing here is a limit; limits come from the limits file
// (api/limits). A reader on the host copies a field once and checks the copy.
//
// Layout only. Who may change what, and in which order, is in src/region.

#pragma once

#include <stddef.h>
#include <stdint.h>

namespace hami::api {

// ---- HAMi v1.2 (contract: HAMi-core 8f3a89c, x86-64 and aarch64 glibc) ------------------------

inline constexpr int32_t kRegionMagic = 19920718;
inline constexpr uint32_t kRegionMajor = 1;
inline constexpr uint32_t kRegionMinor = 2;
inline constexpr int kMaxDevices = 16;
inline constexpr int kMaxProcesses = 1024;
inline constexpr int kUuidBytes = 96;

// glibc's sem_t. We neither wait on nor post these; HAMi's library would.
struct alignas(8) HamiSemaphore {
  uint8_t opaque[32];
};

struct DeviceMemoryUsage {
  uint64_t context_bytes;
  uint64_t module_bytes;
  uint64_t data_bytes;
  uint64_t offset;
  uint64_t total_bytes;
  uint64_t unused[3];
};

struct DeviceUtilization {
  uint64_t decoder_pct;
  uint64_t encoder_pct;
  uint64_t sm_pct;
  uint64_t unused[3];
};

struct ProcessSlot {
  int32_t pid;       // in the tenant's PID namespace; 0: empty slot, all bytes zero
  int32_t host_pid;  // in the host's PID namespace; 0: unknown
  DeviceMemoryUsage used[kMaxDevices];
  uint64_t monitor_used[kMaxDevices];
  DeviceUtilization utilization[kMaxDevices];
  int32_t status;  // 1 running, 2 suspended
  uint64_t sequence;
  uint64_t unused[2];
};

struct RegionV1 {
  int32_t initialized;  // kRegionMagic once the header is complete
  uint32_t major_version;
  uint32_t minor_version;
  int32_t sm_init_flag;
  uint64_t owner_pid;
  HamiSemaphore semaphore;
  uint64_t device_count;
  char uuids[kMaxDevices][kUuidBytes];
  uint64_t limit_bytes[kMaxDevices];
  uint64_t limit_cores_pct[kMaxDevices];
  ProcessSlot processes[kMaxProcesses];
  int32_t process_count;       // readers look at processes[0 .. process_count-1]
  int32_t utilization_switch;  // written by the monitor: 1 limit compute, 0 do not
  int32_t recent_kernel;       // written by the monitor: counts down, negative blocks launches
  int32_t priority;
  uint64_t last_kernel_time;  // Unix seconds
  HamiSemaphore semaphore_postinit;
};

static_assert(sizeof(DeviceMemoryUsage) == 64);
static_assert(sizeof(DeviceUtilization) == 48);
static_assert(sizeof(ProcessSlot) == 1960);
static_assert(offsetof(ProcessSlot, used) == 8);
static_assert(offsetof(ProcessSlot, monitor_used) == 1032);
static_assert(offsetof(ProcessSlot, utilization) == 1160);
static_assert(offsetof(ProcessSlot, status) == 1928);
static_assert(offsetof(ProcessSlot, sequence) == 1936);
static_assert(offsetof(RegionV1, semaphore) == 24);
static_assert(offsetof(RegionV1, device_count) == 56);
static_assert(offsetof(RegionV1, uuids) == 64);
static_assert(offsetof(RegionV1, limit_bytes) == 1600);
static_assert(offsetof(RegionV1, limit_cores_pct) == 1728);
static_assert(offsetof(RegionV1, processes) == 1856);
static_assert(offsetof(RegionV1, process_count) == 2008896);
static_assert(offsetof(RegionV1, recent_kernel) == 2008904);
static_assert(offsetof(RegionV1, last_kernel_time) == 2008912);
static_assert(offsetof(RegionV1, semaphore_postinit) == 2008920);
static_assert(sizeof(RegionV1) == 2008952);

// ---- our extension
// --------------------------------------------------------------------------------

inline constexpr size_t kRegionV1FileBytes = 2008953;
inline constexpr size_t kExtensionOffset = 2011136;              // the next 4096-byte boundary
inline constexpr uint64_t kExtensionMagic = 0x31545845494d4148;  // "HAMIEXT1"
inline constexpr uint32_t kExtensionVersion = 1;

// A charge is kept in units of 512 bytes, the finest granularity of any driver allocation.
inline constexpr uint64_t kChargeUnitBytes = 512;

// Bytes of the region file that carry no data, only locks (fcntl F_OFD_*). Offsets far behind the
// end of the file, so that no read or write can meet them.
inline constexpr int64_t kInitLockOffset = int64_t{1} << 40;
inline constexpr int64_t kSlotLockOffset = kInitLockOffset + 4096;  // + slot number

// A word that carries a sum and the recount it belongs to (src/region/ledger.h).
//   bits 0..39 units, bit 40 "being recounted" (device totals only), bits 41..63 epoch
using LedgerWord = uint64_t;

struct alignas(128) DeviceExtension {
  LedgerWord total;  // sum of all slots' charges for this device
  uint64_t padding[7];

  // Compute: a generic cell rate algorithm in nanoseconds of CLOCK_MONOTONIC
  // (src/preload/compute.h).
  // When the GPU time granted so far has been earned, with the rate (src/preload/bucket.h).
  uint64_t next_free_ns;
  uint64_t charged_gpu_ns;  // GPU time granted since the region was made
  uint64_t throttled_ns;    // time callers slept for the limit
  uint32_t cost_scale_q16;  // written by the agent: true cost over estimated cost, 65536 = 1.0
  // Written by the agent: 1 + the percent that others used of this device lately; 0: nobody looks.
  uint32_t neighbour_busy_pct;
  uint64_t refused;  // allocations refused since the region was made
  // Written by the agent: bytes that the driver says the share's processes hold and that no slot
  // accounts for. They count against the limit.
  uint64_t hidden_bytes;
  uint64_t no_burst_until_ns;  // CLOCK_MONOTONIC: a neighbour was seen (src/preload/rate.h)
  uint64_t disturbed;  // words met here that no library can have written (src/region/ledger.h)
};
static_assert(sizeof(DeviceExtension) == 128);

enum class SlotState : uint32_t { kFree = 0, kActive = 1 };

struct alignas(128) SlotExtension {
  uint32_t state;  // SlotState; anything but kFree without the slot's lock held is a dead owner
  uint32_t generation;     // counts the owners of this slot
  uint64_t start_ticks;    // field 22 of /proc/<pid>/stat
  uint64_t pid_namespace;  // inode of /proc/<pid>/ns/pid
  uint64_t unused[13];
  LedgerWord charge[kMaxDevices];
  uint64_t driver_bytes[kMaxDevices];  // written by the agent: the driver's own figure
  uint64_t gpu_ns[kMaxDevices];        // GPU time this process was granted
};
static_assert(sizeof(SlotExtension) == 512);

struct alignas(4096) RegionExtension {
  uint64_t magic;  // kExtensionMagic once the extension is complete
  uint32_t version;
  uint32_t bytes;              // sizeof(RegionExtension)
  uint32_t limits_generation;  // counted up by the agent after it replaced the limits file
  uint32_t slots_ever_used;    // slots at and above this one have never been taken
  uint64_t slot_used[kMaxProcesses / 64];  // a hint, never proof: a bit per slot not kFree
  uint8_t unused1[4096 - 24 - kMaxProcesses / 8];
  DeviceExtension devices[kMaxDevices];
  uint8_t unused2[2048];
  SlotExtension slots[kMaxProcesses];
};
static_assert(offsetof(RegionExtension, devices) == 4096);
static_assert(offsetof(RegionExtension, slots) == 8192);

inline constexpr size_t kRegionFileBytes = kExtensionOffset + sizeof(RegionExtension);

struct Region {
  RegionV1 v1;
  uint8_t gap[kExtensionOffset - sizeof(RegionV1)];
  RegionExtension ext;
};
static_assert(offsetof(Region, ext) == kExtensionOffset);
static_assert(sizeof(Region) == kRegionFileBytes);

}  // namespace hami::api
