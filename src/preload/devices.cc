// SPDX-License-Identifier: Apache-2.0

#include "preload/devices.h"

#include "preload/driver.h"
#include "preload/environment.h"
#include "preload/log.h"
#include "preload/process.h"
#include "preload/visible_devices.h"

namespace hami::preload {
namespace {

// Used where a limits file does not say what a context costs (HAMi's environment variables). The
// agent puts it right from the driver's own figure; without one it stays an estimate on the safe
// side for current GPUs.
constexpr uint64_t kAssumedContextBytes = uint64_t{512} << 20;

// CUDA's device memory is handed out in 2 MiB pages since Pascal; asked from the driver where it
// can tell (cuMemGetAllocationGranularity, CUDA 10.2).
constexpr uint64_t kAssumedPageBytes = uint64_t{2} << 20;

// Devices that some share names, then devices that were met without a grant.
constinit Device devices[api::kMaxDevices * 2] = {};
constinit int device_count = 0;
constinit Device* ordinals[kMaxOrdinals] = {};
constinit int ordinal_count = 0;

// Without the prefix: CUDA has the same 16 bytes for a MIG device that NVML calls "MIG-...", and
// does not tell what it is.
const char* DigitsOf(const char* uuid) {
  const bool prefixed =
      __builtin_strncmp(uuid, "GPU-", 4) == 0 || __builtin_strncmp(uuid, "MIG-", 4) == 0;
  return prefixed ? uuid + 4 : uuid;
}

bool SameUuid(const char* a, const char* b) {
  return __builtin_strcmp(DigitsOf(a), DigitsOf(b)) == 0;
}

Device* FindDevice(const char* uuid) {
  for (int i = 0; i < device_count; ++i) {
    if (SameUuid(devices[i].uuid, uuid)) return &devices[i];
  }
  return nullptr;
}

Device* NewDevice(const char* uuid) {
  if (device_count == static_cast<int>(sizeof(devices) / sizeof(devices[0]))) return nullptr;
  Device& device = devices[device_count];
  device.number = device_count++;
  __builtin_strncpy(device.uuid, uuid, sizeof(device.uuid) - 1);
  device.part_count = 0;
  device.page_bytes = kAssumedPageBytes;
  device.context_bytes.store(kAssumedContextBytes, std::memory_order_relaxed);
  return &device;
}

// The position of a device among those that its share names, for HAMi's indexed variables.
void LowerByEnvironment(int position, uint64_t* limit_bytes, uint32_t* cores_pct) {
  uint64_t number = 0;
  const char* text = FindIndexedEnvironment("CUDA_DEVICE_MEMORY_LIMIT", position);
  if (text != nullptr && ParseMemorySize(text, &number) && number < *limit_bytes) {
    *limit_bytes = number;
  }
  text = FindIndexedEnvironment("CUDA_DEVICE_SM_LIMIT", position);
  if (text != nullptr && ParseWholeNumber(text, &number) && number > 0 && number < 100 &&
      (*cores_pct == 0 || number < *cores_pct)) {
    *cores_pct = static_cast<uint32_t>(number);
  }
}

void SetLimits(const Shares& shares, DevicePart& part) {
  const region::DeviceLimit& limit = part.share->limits.devices[part.index];
  uint64_t bytes = limit.memory_bytes;
  uint32_t cores_pct = limit.cores_pct;
  bool unlimited = false;
  if (shares.grant == Grant::kLimitsFiles) {
    LowerByEnvironment(part.index, &bytes, &cores_pct);
  } else {
    unlimited = bytes == 0;  // HAMi: no variable, no limit
  }
  part.limit_units.store(unlimited ? region::kUnlimitedUnits : region::LimitUnits(bytes),
                         std::memory_order_relaxed);
  part.cores_pct.store(cores_pct, std::memory_order_relaxed);
  const bool forced = EnvironmentPolicy() == region::CorePolicy::kForce;
  part.policy.store(forced ? region::CorePolicy::kForce : limit.policy, std::memory_order_relaxed);
}

void AddPart(const Shares& shares, Device& device, Share* share, int index) {
  if (device.part_count == kMaxShares) return;
  DevicePart& part = device.parts[device.part_count];
  part.share = share;
  part.index = index;
  SetLimits(shares, part);
  const uint64_t context_bytes = share->limits.devices[index].context_bytes;
  if (context_bytes != 0) device.context_bytes.store(context_bytes, std::memory_order_relaxed);
  ++device.part_count;
}

void AddGrantedDevices(Shares* shares) {
  if (device_count != 0 || shares->grant != Grant::kLimitsFiles) return;
  for (int s = 0; s < shares->count; ++s) {
    Share& share = shares->entries[s];
    for (int i = 0; i < share.limits.device_count; ++i) {
      const char* uuid = share.limits.devices[i].uuid;
      Device* device = FindDevice(uuid);
      if (device == nullptr) device = NewDevice(uuid);
      if (device != nullptr) AddPart(*shares, *device, &share, i);
    }
  }
}

// In HAMi's environment grants a device is known by its position in the container.
Device* DeviceAtPosition(Shares* shares, const char* uuid, int position) {
  if (Device* known = FindDevice(uuid)) return known;
  Device* device = NewDevice(uuid);
  if (device == nullptr || position < 0 || position >= api::kMaxDevices) return device;
  AddPart(*shares, *device, &shares->entries[0], position);
  api::RegionV1& v1 = shares->entries[0].mapping.region->v1;
  __builtin_memcpy(v1.uuids[position], device->uuid, sizeof(v1.uuids[position]));
  std::atomic_ref<uint64_t> count(v1.device_count);
  uint64_t seen = count.load(std::memory_order_relaxed);
  while (seen <= static_cast<uint64_t>(position) &&
         !count.compare_exchange_weak(seen, static_cast<uint64_t>(position) + 1,
                                      std::memory_order_relaxed)) {
  }
  return device;
}

// The position in the container of a CUDA ordinal. With CUDA_VISIBLE_DEVICES as a list of numbers
// the ordinal counts through that list; other forms keep the order.
int PositionOfOrdinal(int ordinal) {
  const char* list = FindEnvironment("CUDA_VISIBLE_DEVICES");
  return list != nullptr ? VisibleNumber(list, ordinal) : ordinal;
}

bool ReadUuid(CUdevice handle, char (&text)[api::kUuidBytes]) {
  CUuuid uuid = {};
  CUresult result = cuda.cuDeviceGetUuid_v2(&uuid, handle);
  if (result != CUDA_SUCCESS) result = cuda.cuDeviceGetUuid(&uuid, handle);
  if (result != CUDA_SUCCESS) return false;
  FormatUuid(uuid.bytes, text);
  return true;
}

void ReadPageBytes(CUdevice handle, Device& device) {
  CUmemAllocationProp props = {};
  props.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  props.location = {CU_MEM_LOCATION_TYPE_DEVICE, handle};
  size_t bytes = 0;
  if (cuda.cuMemGetAllocationGranularity(&bytes, &props, CU_MEM_ALLOC_GRANULARITY_MINIMUM) ==
          CUDA_SUCCESS &&
      bytes >= 4096 && (bytes & (bytes - 1)) == 0) {
    device.page_bytes = bytes;
  }
}

}  // namespace

void FormatUuid(const char (&bytes)[16], char (&text)[api::kUuidBytes]) {
  constexpr char kDigits[] = "0123456789abcdef";
  char* out = text;
  for (const char c : {'G', 'P', 'U', '-'}) *out++ = c;
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
    const auto byte = static_cast<unsigned char>(bytes[i]);
    *out++ = kDigits[byte >> 4];
    *out++ = kDigits[byte & 15];
  }
  *out = 0;
}

Device* DeviceOfOrdinal(int ordinal) {
  const int count = std::atomic_ref(ordinal_count).load(std::memory_order_acquire);
  return ordinal >= 0 && ordinal < count ? ordinals[ordinal] : nullptr;
}

int SoleGrantedDevice() {
  const Device* sole = nullptr;
  const int count = std::atomic_ref(ordinal_count).load(std::memory_order_acquire);
  for (int i = 0; i < count; ++i) {
    if (ordinals[i]->part_count == 0 || ordinals[i] == sole) continue;
    if (sole != nullptr) return -1;
    sole = ordinals[i];
  }
  return sole != nullptr ? sole->number : -1;
}

bool MapOrdinals(Shares* shares) {
  int count = 0;
  if (cuda.cuDeviceGetCount(&count) != CUDA_SUCCESS) return false;
  AddGrantedDevices(shares);
  for (int ordinal = 0; ordinal < count && ordinal < kMaxOrdinals; ++ordinal) {
    CUdevice handle = 0;
    char uuid[api::kUuidBytes] = {};
    if (cuda.cuDeviceGet(&handle, ordinal) != CUDA_SUCCESS || !ReadUuid(handle, uuid)) return false;
    Device* device = shares->grant == Grant::kEnvironment
                         ? DeviceAtPosition(shares, uuid, PositionOfOrdinal(ordinal))
                         : FindDevice(uuid);
    if (device == nullptr) device = NewDevice(uuid);  // not granted
    if (device == nullptr) return false;
    ReadPageBytes(handle, *device);
    ordinals[ordinal] = device;
    Log(LogLevel::kInfo, "CUDA device %d is %s, %s", ordinal, device->uuid,
        device->part_count == 0 ? "not granted" : "granted");
  }
  std::atomic_ref(ordinal_count)
      .store(count < kMaxOrdinals ? count : kMaxOrdinals, std::memory_order_release);
  return true;
}

Device* DeviceOfUuid(Shares* shares, const char* uuid, int position) {
  if (shares->grant == Grant::kEnvironment) return DeviceAtPosition(shares, uuid, position);
  AddGrantedDevices(shares);
  Device* device = FindDevice(uuid);
  return device != nullptr && device->part_count > 0 ? device : nullptr;
}

void ResetDevicesAfterFork() {
  std::atomic_ref(ordinal_count).store(0, std::memory_order_relaxed);
  device_count = 0;
}

const char* GrantedUuid(const Shares& shares, int index) {
  // A device that several shares name counts once, where it is named first.
  int seen = 0;
  for (int s = 0; s < shares.count; ++s) {
    for (int i = 0; i < shares.entries[s].limits.device_count; ++i) {
      const char* uuid = shares.entries[s].limits.devices[i].uuid;
      bool named_before = false;
      for (int t = 0; t < s && !named_before; ++t) {
        for (int j = 0; j < shares.entries[t].limits.device_count; ++j) {
          named_before = named_before || SameUuid(shares.entries[t].limits.devices[j].uuid, uuid);
        }
      }
      if (!named_before && seen++ == index) return uuid;
    }
  }
  return nullptr;
}

void UpdateDeviceLimits(Shares* shares) {
  for (int d = 0; d < device_count; ++d) {
    for (int p = 0; p < devices[d].part_count; ++p) {
      DevicePart& part = devices[d].parts[p];
      // The agent may have replaced the list: find the device by name.
      const region::Limits& limits = part.share->limits;
      const bool kept = part.index < limits.device_count &&
                        SameUuid(limits.devices[part.index].uuid, devices[d].uuid);
      if (shares->grant == Grant::kEnvironment || kept) {
        SetLimits(*shares, part);
      } else {
        part.limit_units.store(0, std::memory_order_relaxed);  // no longer granted
      }
    }
  }
}

}  // namespace hami::preload
