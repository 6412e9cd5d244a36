// SPDX-License-Identifier: Apache-2.0

#include "smi/gpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace hami::smi {
namespace {

void ReadMemory(const NvmlCalls& calls, Gpu* gpu) {
  nvmlMemory_v2_t v2 = {};
  v2.version = HAMI_NVML_STRUCT_VERSION(nvmlMemory_v2_t, 2);
  nvmlReturn_t result = Call(calls.nvmlDeviceGetMemoryInfo_v2, gpu->handle, &v2);
  if (result == NVML_SUCCESS) {
    gpu->memory_total = Value::Of(v2.total);
    gpu->memory_reserved = Value::Of(v2.reserved);
    gpu->memory_used = Value::Of(v2.used);
    gpu->memory_free = Value::Of(v2.free);
    return;
  }
  nvmlMemory_t v1 = {};
  result = Call(calls.nvmlDeviceGetMemoryInfo, gpu->handle, &v1);
  gpu->memory_total = Value{result, v1.total};
  gpu->memory_used = Value{result, v1.used};
  gpu->memory_free = Value{result, v1.free};
}

// Fills infos of the _v2 layout, whichever version of the call the driver has.
nvmlReturn_t ListProcesses(const NvmlCalls& calls, nvmlDevice_t device, uint32_t* count,
                           nvmlProcessInfo_t* infos) {
  if (calls.nvmlDeviceGetComputeRunningProcesses_v3 != nullptr) {
    return calls.nvmlDeviceGetComputeRunningProcesses_v3(device, count, infos);
  }
  if (calls.nvmlDeviceGetComputeRunningProcesses_v2 != nullptr) {
    return calls.nvmlDeviceGetComputeRunningProcesses_v2(device, count, infos);
  }
  if (calls.nvmlDeviceGetComputeRunningProcesses == nullptr) return NVML_ERROR_FUNCTION_NOT_FOUND;
  // The first version's entries are smaller: they fit in front and are spread out from the back.
  auto* old = reinterpret_cast<nvmlProcessInfo_v1_t*>(infos);
  const nvmlReturn_t result =
      calls.nvmlDeviceGetComputeRunningProcesses(device, count, infos == nullptr ? nullptr : old);
  if (result != NVML_SUCCESS || infos == nullptr) return result;
  for (uint32_t i = *count; i-- > 0;) {
    const nvmlProcessInfo_v1_t entry = old[i];
    infos[i] = {entry.pid, entry.usedGpuMemory, UINT32_MAX, UINT32_MAX};
  }
  return result;
}

}  // namespace

void ReadSystem(const Nvml& nvml, System* out) {
  const NvmlCalls& calls = nvml.calls();
  *out = System{};
  if (Call(calls.nvmlSystemGetDriverVersion, out->driver_version, sizeof(out->driver_version)) !=
      NVML_SUCCESS) {
    snprintf(out->driver_version, sizeof(out->driver_version), "N/A");
  }
  if (Call(calls.nvmlSystemGetCudaDriverVersion_v2, &out->cuda_version) != NVML_SUCCESS &&
      Call(calls.nvmlSystemGetCudaDriverVersion, &out->cuda_version) != NVML_SUCCESS) {
    out->cuda_version = 0;
  }
  out->simulation = nvml.simulation();
}

nvmlReturn_t ReadGpu(const Nvml& nvml, uint32_t index, Gpu* out) {
  const NvmlCalls& calls = nvml.calls();
  *out = Gpu{};
  out->index = index;
  const nvmlReturn_t result = Call(calls.nvmlDeviceGetHandleByIndex_v2, index, &out->handle);
  if (result != NVML_SUCCESS) return result;
  if (Call(calls.nvmlDeviceGetName, out->handle, out->name, sizeof(out->name)) != NVML_SUCCESS) {
    snprintf(out->name, sizeof(out->name), "N/A");
  }
  if (Call(calls.nvmlDeviceGetUUID, out->handle, out->uuid, sizeof(out->uuid)) != NVML_SUCCESS) {
    snprintf(out->uuid, sizeof(out->uuid), "N/A");
  }
  nvmlPciInfo_t pci = {};
  const bool has_pci = Call(calls.nvmlDeviceGetPciInfo_v3, out->handle, &pci) == NVML_SUCCESS;
  snprintf(out->bus_id, sizeof(out->bus_id), "%s", has_pci ? pci.busId : "N/A");
  ReadMemory(calls, out);
  nvmlUtilization_t utilization = {};
  const nvmlReturn_t rates = Call(calls.nvmlDeviceGetUtilizationRates, out->handle, &utilization);
  out->utilization_gpu_pct = Value{rates, utilization.gpu};
  out->utilization_memory_pct = Value{rates, utilization.memory};
  return NVML_SUCCESS;
}

Process* ReadProcesses(const Nvml& nvml, const Gpu& gpu, uint32_t* count, nvmlReturn_t* result) {
  const NvmlCalls& calls = nvml.calls();
  *count = 0;
  uint32_t capacity = 0;
  nvmlProcessInfo_t* infos = nullptr;
  // Processes come between asking how many there are and reading them: room for more, and again.
  for (int attempt = 0; attempt < 8; ++attempt) {
    uint32_t found = capacity;
    *result = ListProcesses(calls, gpu.handle, &found, infos);
    if (*result == NVML_SUCCESS) {
      *count = infos == nullptr ? 0 : found;
      break;
    }
    if (*result != NVML_ERROR_INSUFFICIENT_SIZE) break;
    capacity = found * 2 + 8;
    free(infos);
    infos = static_cast<nvmlProcessInfo_t*>(calloc(capacity, sizeof(nvmlProcessInfo_t)));
    if (infos == nullptr) {
      *result = NVML_ERROR_MEMORY;
      break;
    }
  }
  if (*count == 0) {
    free(infos);
    return nullptr;
  }
  auto* processes = static_cast<Process*>(calloc(*count, sizeof(Process)));
  if (processes == nullptr) {
    *result = NVML_ERROR_MEMORY;
    *count = 0;
  }
  for (uint32_t i = 0; i < *count; ++i) {
    Process& process = processes[i];
    process.pid = infos[i].pid;
    // The driver says -1 where it cannot know.
    const bool known = infos[i].usedGpuMemory != static_cast<unsigned long long>(-1);
    process.used_bytes = known ? Value::Of(infos[i].usedGpuMemory) : Value{};
    // The PID may be of a namespace that is not ours.
    if (Call(calls.nvmlSystemGetProcessName, process.pid, process.name,
             static_cast<unsigned int>(sizeof(process.name))) != NVML_SUCCESS) {
      snprintf(process.name, sizeof(process.name), "[Not Found]");
    }
  }
  free(infos);
  return processes;
}

}  // namespace hami::smi
