// SPDX-License-Identifier: Apache-2.0

#include "preload/nvml_devices.h"

#include <atomic>

#include "preload/driver.h"
#include "preload/process.h"

namespace hami::preload {
namespace {

// Handles are few and do not change while NVML is initialised; a changed one only costs a look-up.
struct CachedHandle {
  std::atomic<nvmlDevice_t> handle;
  std::atomic<Device*> device;
};
constinit CachedHandle cache[64] = {};

CachedHandle& PlaceOf(nvmlDevice_t handle) {
  const auto value = reinterpret_cast<uintptr_t>(handle);
  return cache[(value * 0x9e3779b97f4a7c15ULL) >> 58];
}

bool FiltersDevices() {
  return EnterNvml() == Mode::kLimit && CurrentShares().grant == Grant::kLimitsFiles;
}

bool ReadUuid(nvmlDevice_t handle, char (&uuid)[api::kUuidBytes]) {
  return nvml.nvmlDeviceGetUUID(handle, uuid, sizeof(uuid)) == NVML_SUCCESS;
}

// -1: not granted.
int GrantedIndex(const char* uuid) {
  for (int i = 0;; ++i) {
    const char* granted = GrantedUuid(CurrentShares(), i);
    if (granted == nullptr) return -1;
    if (__builtin_strcmp(granted, uuid) == 0) return i;
  }
}

// A granted device that is gone from the machine is not counted: NVML's indices have no holes.
unsigned int CountPresent(const char** uuid_at, unsigned int wanted) {
  unsigned int present = 0;
  for (int i = 0;; ++i) {
    const char* uuid = GrantedUuid(CurrentShares(), i);
    if (uuid == nullptr) return present;
    nvmlDevice_t handle = nullptr;
    // One that is lost meanwhile is still counted, as the driver does.
    const nvmlReturn_t result = nvml.nvmlDeviceGetHandleByUUID(uuid, &handle);
    if (result != NVML_SUCCESS && result != NVML_ERROR_GPU_IS_LOST) continue;
    if (present == wanted && uuid_at != nullptr) *uuid_at = uuid;
    ++present;
  }
}

template <typename Real>
nvmlReturn_t Count(unsigned int* count, const Real& real) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  const nvmlReturn_t result = real(count);
  if (result == NVML_SUCCESS && FiltersDevices()) *count = CountPresent(nullptr, 0);
  return result;
}

template <typename Real>
nvmlReturn_t HandleByIndex(unsigned int index, nvmlDevice_t* device, const Real& real) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  if (device == nullptr || !FiltersDevices()) return real(index, device);
  const char* uuid = nullptr;
  CountPresent(&uuid, index);
  if (uuid != nullptr) return nvml.nvmlDeviceGetHandleByUUID(uuid, device);
  // Out of range, or NVML is not initialised: the driver's own answer for an index that cannot be.
  return real(~0U, device);
}

bool IsMigUuid(const char* uuid) { return __builtin_strncmp(uuid, "MIG-", 4) == 0; }

// The device that a MIG device is a part of; nullptr if the driver does not tell.
nvmlDevice_t ParentOf(nvmlDevice_t mig) {
  nvmlDevice_t parent = nullptr;
  const nvmlReturn_t result = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(mig, &parent);
  return result == NVML_SUCCESS ? parent : nullptr;
}

// A MIG device is granted by its own name or with the whole device that it is a part of.
bool IsGranted(nvmlDevice_t handle) {
  char uuid[api::kUuidBytes] = {};
  if (!ReadUuid(handle, uuid)) return false;
  if (GrantedIndex(uuid) >= 0) return true;
  if (!IsMigUuid(uuid)) return false;
  const nvmlDevice_t parent = ParentOf(handle);
  return parent != nullptr && ReadUuid(parent, uuid) && GrantedIndex(uuid) >= 0;
}

// Handles found by name: those of other tenants' devices are not given out. `otherwise` is what the
// function says of a device that is not there.
nvmlReturn_t OnlyIfGranted(nvmlReturn_t result, nvmlDevice_t* device,
                           nvmlReturn_t otherwise = NVML_ERROR_NOT_FOUND) {
  if (result != NVML_SUCCESS || device == nullptr || !FiltersDevices()) return result;
  if (IsGranted(*device)) return result;
  *device = nullptr;
  return otherwise;
}

// Sets of devices. By the manual *count 0 asks for the number of devices, and otherwise says how
// many of them fit.
template <typename Real>
nvmlReturn_t GrantedSet(unsigned int* count, nvmlDevice_t* devices, const Real& real) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  if (count == nullptr || (*count > 0 && devices == nullptr) || !FiltersDevices()) {
    return real(count, devices);
  }
  nvmlDevice_t all[256] = {};
  unsigned int found = sizeof(all) / sizeof(all[0]);
  const nvmlReturn_t result = real(&found, all);
  if (result != NVML_SUCCESS) return result;
  unsigned int granted = 0;
  for (unsigned int i = 0; i < found; ++i) {
    if (!IsGranted(all[i])) continue;
    if (granted < *count) devices[granted] = all[i];
    ++granted;
  }
  if (*count == 0 || granted < *count) *count = granted;
  return NVML_SUCCESS;
}

// Not remembered: the driver uses the handles of MIG devices again for others.
Device* DeviceOfMig(nvmlDevice_t handle, const char* uuid) {
  if (FiltersDevices() && GrantedIndex(uuid) >= 0) return FindNvmlDevice(uuid, -1);
  const nvmlDevice_t parent = ParentOf(handle);
  return parent != nullptr && parent != handle ? DeviceOfHandle(parent) : nullptr;
}

}  // namespace

Device* DeviceOfHandle(nvmlDevice_t handle) {
  if (handle == nullptr || EnterNvml() != Mode::kLimit) return nullptr;
  CachedHandle& place = PlaceOf(handle);
  if (place.handle.load(std::memory_order_acquire) == handle) {
    return place.device.load(std::memory_order_relaxed);
  }
  char uuid[api::kUuidBytes] = {};
  if (!ReadUuid(handle, uuid)) return nullptr;
  if (IsMigUuid(uuid)) return DeviceOfMig(handle, uuid);
  unsigned int position = 0;
  const bool has_position = nvml.nvmlDeviceGetIndex(handle, &position) == NVML_SUCCESS;
  Device* device = FindNvmlDevice(uuid, has_position ? static_cast<int>(position) : -1);
  place.handle.store(nullptr, std::memory_order_release);
  place.device.store(device, std::memory_order_relaxed);
  place.handle.store(handle, std::memory_order_release);
  return device;
}

}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetCount(unsigned int* count) {
  return Count(count, [](unsigned int* c) { return nvml.nvmlDeviceGetCount(c); });
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int* count) {
  return Count(count, [](unsigned int* c) { return nvml.nvmlDeviceGetCount_v2(c); });
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t* device) {
  return HandleByIndex(index, device, [](unsigned int i, nvmlDevice_t* d) {
    return nvml.nvmlDeviceGetHandleByIndex(i, d);
  });
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t* device) {
  return HandleByIndex(index, device, [](unsigned int i, nvmlDevice_t* d) {
    return nvml.nvmlDeviceGetHandleByIndex_v2(i, d);
  });
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUID(const char* uuid, nvmlDevice_t* device) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  return OnlyIfGranted(nvml.nvmlDeviceGetHandleByUUID(uuid, device), device);
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char* bus_id, nvmlDevice_t* device) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  return OnlyIfGranted(nvml.nvmlDeviceGetHandleByPciBusId(bus_id, device), device);
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id,
                                                          nvmlDevice_t* device) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  return OnlyIfGranted(nvml.nvmlDeviceGetHandleByPciBusId_v2(bus_id, device), device);
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetHandleBySerial(const char* serial, nvmlDevice_t* device) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  return OnlyIfGranted(nvml.nvmlDeviceGetHandleBySerial(serial, device), device);
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUIDV(const nvmlUUID_t* uuid, nvmlDevice_t* device) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  return OnlyIfGranted(nvml.nvmlDeviceGetHandleByUUIDV(uuid, device), device);
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device,
                                                             unsigned int index,
                                                             nvmlDevice_t* mig) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  return OnlyIfGranted(nvml.nvmlDeviceGetMigDeviceHandleByIndex(device, index, mig), mig);
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t mig,
                                                                      nvmlDevice_t* device) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  return OnlyIfGranted(nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(mig, device), device,
                       NVML_ERROR_NOT_SUPPORTED);
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetTopologyNearestGpus(nvmlDevice_t device,
                                                          nvmlGpuTopologyLevel_t level,
                                                          unsigned int* count,
                                                          nvmlDevice_t* devices) {
  return GrantedSet(count, devices, [=](unsigned int* c, nvmlDevice_t* d) {
    return nvml.nvmlDeviceGetTopologyNearestGpus(device, level, c, d);
  });
}

HAMI_EXPORT nvmlReturn_t nvmlSystemGetTopologyGpuSet(unsigned int cpu, unsigned int* count,
                                                     nvmlDevice_t* devices) {
  return GrantedSet(count, devices, [=](unsigned int* c, nvmlDevice_t* d) {
    return nvml.nvmlSystemGetTopologyGpuSet(cpu, c, d);
  });
}

HAMI_EXPORT nvmlReturn_t nvmlUnitGetDevices(nvmlUnit_t unit, unsigned int* count,
                                            nvmlDevice_t* devices) {
  return GrantedSet(count, devices, [=](unsigned int* c, nvmlDevice_t* d) {
    return nvml.nvmlUnitGetDevices(unit, c, d);
  });
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int* index) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  const nvmlReturn_t result = nvml.nvmlDeviceGetIndex(device, index);
  if (result != NVML_SUCCESS || !FiltersDevices()) return result;
  char uuid[hami::api::kUuidBytes] = {};
  if (!ReadUuid(device, uuid)) return result;
  const int granted = GrantedIndex(uuid);
  if (granted >= 0) *index = static_cast<unsigned int>(granted);
  return result;
}

}  // extern "C"
