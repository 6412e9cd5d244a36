// SPDX-License-Identifier: Apache-2.0
//
// Utilisation, from the time in which kernels ran. Percentages are whole numbers and time stamps
// are microseconds of the wall clock, as the driver's.

#include "simgpu/nvml/device.h"
#include "simgpu/nvml/exports.h"
#include "simgpu/nvml/machine.h"

namespace hami::simgpu::nvml {
namespace {

constexpr uint32_t kMaxProcesses = 4096;
constexpr uint32_t kEnginePeriodUs = 200000;

void Assign(const ProcessLoad& load, nvmlProcessUtilizationSample_t* out) {
  *out = {load.pid, load.end_us, load.sm_pct, load.memory_pct, 0, 0};
}
void Assign(const ProcessLoad& load, nvmlProcessUtilizationInfo_v1_t* out) {
  *out = {load.end_us, load.pid, load.sm_pct, load.memory_pct, 0, 0, 0, 0};
}

// "On MIG-enabled GPUs, querying [it] is not currently supported" (NVML manual).
bool IsMig(const Device& device) { return device.traits.mig_on || device.parent_plus_1 != 0; }

// Without an array the number of entries that would suffice is given, as
// NVML_ERROR_INSUFFICIENT_SIZE; NVML_ERROR_NOT_FOUND when nothing is newer (NVML manual).
template <typename Sample>
nvmlReturn_t ListLoads(nvmlDevice_t handle, uint64_t last_seen_us, unsigned int* count,
                       Sample* samples) {
  const Device* device = nullptr;
  const nvmlReturn_t result = FindDevice(handle, &device);
  if (result != NVML_SUCCESS) return result;
  if (count == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (IsMig(*device)) return NVML_ERROR_NOT_SUPPORTED;
  ProcessLoad loads[kMaxProcesses];
  const uint32_t found = ListProcessLoads(device->index, last_seen_us, loads, kMaxProcesses);
  const unsigned int capacity = *count;
  *count = found;
  if (found == 0) return NVML_ERROR_NOT_FOUND;
  if (samples == nullptr || found > capacity) return NVML_ERROR_INSUFFICIENT_SIZE;
  for (uint32_t i = 0; i < found; ++i) Assign(loads[i], &samples[i]);
  return NVML_SUCCESS;
}

// No kernel of the simulation uses a video engine.
nvmlReturn_t IdleEngine(nvmlDevice_t handle, unsigned int* percent, unsigned int* period_us) {
  if (period_us == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  return Give(handle, percent, [&](const Device&) {
    *period_us = kEnginePeriodUs;
    return 0U;
  });
}

}  // namespace
}  // namespace hami::simgpu::nvml

namespace nvml = hami::simgpu::nvml;

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t* utilization) {
  const nvml::Device* found = nullptr;
  const nvmlReturn_t result = nvml::FindDevice(device, &found);
  if (result != NVML_SUCCESS) return result;
  if (nvml::IsMig(*found)) return NVML_ERROR_NOT_SUPPORTED;
  return nvml::Give(device, utilization, [](const nvml::Device& d) {
    const nvml::Load load = nvml::CurrentLoad(d.index);
    return nvmlUtilization_t{load.gpu_pct, load.memory_pct};
  });
}

nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device,
                                             nvmlProcessUtilizationSample_t* samples,
                                             unsigned int* count, unsigned long long last_seen_us) {
  return nvml::ListLoads(device, last_seen_us, count, samples);
}

nvmlReturn_t nvmlDeviceGetProcessesUtilizationInfo(nvmlDevice_t device,
                                                   nvmlProcessesUtilizationInfo_t* info) {
  if (info == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (info->version != HAMI_NVML_STRUCT_VERSION(nvmlProcessesUtilizationInfo_v1_t, 1)) {
    return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  }
  return nvml::ListLoads(device, info->lastSeenTimeStamp, &info->processSamplesCount,
                         info->procUtilArray);
}

nvmlReturn_t nvmlDeviceGetEncoderUtilization(nvmlDevice_t device, unsigned int* percent,
                                             unsigned int* period_us) {
  return nvml::IdleEngine(device, percent, period_us);
}
nvmlReturn_t nvmlDeviceGetDecoderUtilization(nvmlDevice_t device, unsigned int* percent,
                                             unsigned int* period_us) {
  return nvml::IdleEngine(device, percent, period_us);
}

nvmlReturn_t nvmlDeviceGetDynamicPstatesInfo(nvmlDevice_t device,
                                             nvmlGpuDynamicPstatesInfo_t* info) {
  return nvml::Give(device, info, [](const nvml::Device& d) {
    const nvml::Load load = nvml::CurrentLoad(d.index);
    nvmlGpuDynamicPstatesInfo_t out = {};
    out.utilization[0] = {1, load.gpu_pct, 0, 0};     // graphics engine
    out.utilization[1] = {1, load.memory_pct, 0, 0};  // frame buffer
    out.utilization[2] = {1, 0, 0, 0};                // video
    out.utilization[3] = {1, 0, 0, 0};                // bus
    return out;
  });
}

// One sample, the newest, where the driver has a buffer of them.
nvmlReturn_t nvmlDeviceGetSamples(nvmlDevice_t device, nvmlSamplingType_t type,
                                  unsigned long long last_seen_us, nvmlValueType_t* value_type,
                                  unsigned int* count, nvmlSample_t* samples) {
  const nvml::Device* found = nullptr;
  const nvmlReturn_t result = nvml::FindDevice(device, &found);
  if (result != NVML_SUCCESS) return result;
  if (value_type == nullptr || count == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  const nvml::Load load = nvml::CurrentLoad(found->index);
  nvmlSample_t sample = {};
  sample.timeStamp = nvml::WallUs();
  switch (type) {
    case NVML_GPU_UTILIZATION_SAMPLES:
      sample.sampleValue.uiVal = load.gpu_pct;
      break;
    case NVML_MEMORY_UTILIZATION_SAMPLES:
      sample.sampleValue.uiVal = load.memory_pct;
      break;
    default:
      return NVML_ERROR_NOT_SUPPORTED;
  }
  *value_type = NVML_VALUE_TYPE_UNSIGNED_INT;
  if (sample.timeStamp <= last_seen_us) return NVML_ERROR_NOT_FOUND;
  if (samples != nullptr) {
    if (*count == 0) return NVML_ERROR_INSUFFICIENT_SIZE;
    samples[0] = sample;
  }
  *count = 1;
  return NVML_SUCCESS;
}
