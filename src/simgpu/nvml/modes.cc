// SPDX-License-Identifier: Apache-2.0
//
// Modes. Nothing can be switched: the setters are stubs (stubs.cc).

#include "simgpu/nvml/device.h"
#include "simgpu/nvml/exports.h"
#include "simgpu/nvml/machine.h"

namespace {

// Those that were asked for; the machine has been running since they were all 0, so volatile and
// aggregate counters are the same.
unsigned long long ErrorsOf(uint32_t device, nvmlMemoryErrorType_t type) {
  const hami::simgpu::nvml::EccErrors errors = hami::simgpu::nvml::CountEccErrors(device);
  return type == NVML_MEMORY_ERROR_TYPE_CORRECTED ? errors.corrected : errors.uncorrected;
}

}  // namespace

using hami::simgpu::nvml::Device;
using hami::simgpu::nvml::FindDevice;
using hami::simgpu::nvml::Give;

nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t device, nvmlEnableState_t* mode) {
  // The state outlives its clients, which is what persistence means.
  return Give(device, mode, [](const Device&) { return NVML_FEATURE_ENABLED; });
}
nvmlReturn_t nvmlDeviceGetDisplayMode(nvmlDevice_t device, nvmlEnableState_t* mode) {
  return Give(device, mode, [](const Device&) { return NVML_FEATURE_DISABLED; });
}
nvmlReturn_t nvmlDeviceGetDisplayActive(nvmlDevice_t device, nvmlEnableState_t* active) {
  return Give(device, active, [](const Device&) { return NVML_FEATURE_DISABLED; });
}
nvmlReturn_t nvmlDeviceGetAccountingMode(nvmlDevice_t device, nvmlEnableState_t* mode) {
  return Give(device, mode, [](const Device&) { return NVML_FEATURE_DISABLED; });
}
nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t device, nvmlComputeMode_t* mode) {
  return Give(device, mode, [](const Device&) { return NVML_COMPUTEMODE_DEFAULT; });
}

nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t device, nvmlEnableState_t* current,
                                  nvmlEnableState_t* pending) {
  if (pending == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  return Give(device, current, [&](const Device& d) {
    *pending = d.traits.ecc ? NVML_FEATURE_ENABLED : NVML_FEATURE_DISABLED;
    return *pending;
  });
}
nvmlReturn_t nvmlDeviceGetDefaultEccMode(nvmlDevice_t device, nvmlEnableState_t* mode) {
  return Give(device, mode, [](const Device& d) {
    return d.traits.ecc ? NVML_FEATURE_ENABLED : NVML_FEATURE_DISABLED;
  });
}
nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, nvmlMemoryErrorType_t type,
                                         nvmlEccCounterType_t, unsigned long long* count) {
  const Device* found = nullptr;
  const nvmlReturn_t result = FindDevice(device, &found);
  if (result != NVML_SUCCESS) return result;
  if (count == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (!found->traits.ecc) return NVML_ERROR_NOT_SUPPORTED;
  *count = ErrorsOf(found->index, type);
  return NVML_SUCCESS;
}
// All errors are of device memory.
nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t device, nvmlMemoryErrorType_t type,
                                             nvmlEccCounterType_t counter,
                                             nvmlMemoryLocation_t location,
                                             unsigned long long* count) {
  const nvmlReturn_t result = nvmlDeviceGetTotalEccErrors(device, type, counter, count);
  if (result == NVML_SUCCESS && location != NVML_MEMORY_LOCATION_DEVICE_MEMORY) *count = 0;
  return result;
}

nvmlReturn_t nvmlDeviceGetGpuFabricInfo(nvmlDevice_t device, nvmlGpuFabricInfo_t* info) {
  return Give(device, info, [](const Device&) {
    return nvmlGpuFabricInfo_t{{}, NVML_SUCCESS, 0, NVML_GPU_FABRIC_STATE_NOT_SUPPORTED};
  });
}
