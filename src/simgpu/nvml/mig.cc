// SPDX-License-Identifier: Apache-2.0
//
// MIG as the profile describes it: it is on where there are instances, and nothing changes it.
// Every GPU instance has one compute instance, number 0.

#include "simgpu/nvml/device.h"
#include "simgpu/nvml/exports.h"
#include "simgpu/nvml/machine.h"

using hami::simgpu::nvml::Device;
using hami::simgpu::nvml::DeviceAt;
using hami::simgpu::nvml::DeviceCount;
using hami::simgpu::nvml::DeviceCountWithMig;
using hami::simgpu::nvml::FindDevice;
using hami::simgpu::nvml::Give;
using hami::simgpu::nvml::HandleOf;

namespace {

bool IsMigDevice(const Device& device) { return device.parent_plus_1 != 0; }

// Of MIG devices only.
nvmlReturn_t GiveInstance(nvmlDevice_t handle, unsigned int* id,
                          unsigned int (*value)(const Device&)) {
  const Device* device = nullptr;
  const nvmlReturn_t found = FindDevice(handle, &device);
  if (found != NVML_SUCCESS) return found;
  if (id == nullptr || !IsMigDevice(*device)) return NVML_ERROR_INVALID_ARGUMENT;
  *id = value(*device);
  return NVML_SUCCESS;
}

}  // namespace

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int* current,
                                  unsigned int* pending) {
  const Device* found = nullptr;
  const nvmlReturn_t result = FindDevice(device, &found);
  if (result != NVML_SUCCESS) return result;
  if (current == nullptr || pending == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (!found->traits.mig_capable) return NVML_ERROR_NOT_SUPPORTED;
  *current = found->traits.mig_on ? NVML_DEVICE_MIG_ENABLE : NVML_DEVICE_MIG_DISABLE;
  *pending = *current;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int* count) {
  return Give(device, count, [](const Device& d) { return d.traits.mig_capable ? 7U : 0U; });
}

nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned int* is_mig) {
  return Give(device, is_mig, [](const Device& d) { return IsMigDevice(d) ? 1U : 0U; });
}

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index,
                                                 nvmlDevice_t* mig) {
  const Device* found = nullptr;
  const nvmlReturn_t result = FindDevice(device, &found);
  if (result != NVML_SUCCESS) return result;
  if (mig == nullptr || IsMigDevice(*found)) return NVML_ERROR_INVALID_ARGUMENT;
  if (!found->traits.mig_capable) return NVML_ERROR_NOT_SUPPORTED;
  for (uint32_t i = DeviceCount(); i < DeviceCountWithMig(); ++i) {
    const Device& instance = DeviceAt(i);
    if (instance.parent_plus_1 != found->index + 1 || instance.traits.mig_index != index) continue;
    *mig = HandleOf(instance);
    return NVML_SUCCESS;
  }
  return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t mig, nvmlDevice_t* device) {
  const Device* found = nullptr;
  const nvmlReturn_t result = FindDevice(mig, &found);
  if (result != NVML_SUCCESS) return result;
  if (device == nullptr || !IsMigDevice(*found)) return NVML_ERROR_INVALID_ARGUMENT;
  *device = HandleOf(DeviceAt(found->parent_plus_1 - 1));
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t device, unsigned int* id) {
  return GiveInstance(device, id, [](const Device& d) { return d.traits.gpu_instance; });
}

nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t device, unsigned int* id) {
  return GiveInstance(device, id, [](const Device&) { return 0U; });
}
