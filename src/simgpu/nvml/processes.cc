// SPDX-License-Identifier: Apache-2.0
//
// Memory of devices and processes. Exact: what the processes' allocations and contexts took, per
// process and in total (tests/component). A process that died is gone before the answer.

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "simgpu/nvml/device.h"
#include "simgpu/nvml/exports.h"
#include "simgpu/nvml/machine.h"

namespace hami::simgpu::nvml {
namespace {

// More processes than the state has room for do not exist (state/layout.h).
constexpr uint32_t kMaxProcesses = 4096;

void Assign(const ProcessUse& use, nvmlProcessInfo_v1_t* out) {
  *out = {use.pid, use.memory_bytes};
}
// No instance ids without MIG (NVML manual: all ones).
void Assign(const ProcessUse& use, nvmlProcessInfo_v2_t* out) {
  *out = {use.pid, use.memory_bytes, use.gpu_instance, use.compute_instance};
}
void Assign(const ProcessUse& use, nvmlProcessDetail_v1_t* out) {
  *out = {use.pid, use.memory_bytes, use.gpu_instance, use.compute_instance, 0};
}

// Too small an array: nothing is written, and *count says how many there are. That is also how
// clients ask for the number: with *count 0.
template <typename Info>
nvmlReturn_t List(uint32_t device, unsigned int* count, Info* infos) {
  ProcessUse uses[kMaxProcesses];
  const uint32_t found = ListProcesses(device, uses, kMaxProcesses);
  const unsigned int capacity = *count;
  *count = found;
  if (found > capacity) return NVML_ERROR_INSUFFICIENT_SIZE;
  if (found != 0 && infos == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  for (uint32_t i = 0; i < found; ++i) Assign(uses[i], &infos[i]);
  return NVML_SUCCESS;
}

template <typename Info>
nvmlReturn_t ListCompute(nvmlDevice_t handle, unsigned int* count, Info* infos) {
  const Device* device = nullptr;
  const nvmlReturn_t found = FindDevice(handle, &device);
  if (found != NVML_SUCCESS) return found;
  if (count == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  return List(device->index, count, infos);
}

// There are no graphics contexts and no MPS here.
nvmlReturn_t ListNone(nvmlDevice_t handle, unsigned int* count) {
  return Give(handle, count, [](const Device&) { return 0U; });
}

nvmlReturn_t ReadMemory(nvmlDevice_t handle, nvmlMemory_v2_t* out) {
  const Device* device = nullptr;
  const nvmlReturn_t found = FindDevice(handle, &device);
  if (found != NVML_SUCCESS) return found;
  const Traits& traits = device->traits;
  out->total = traits.memory_bytes;
  out->reserved = traits.reserved_bytes;
  out->used = UsedBytes(device->index);
  out->free = traits.memory_bytes - traits.reserved_bytes - out->used;
  return NVML_SUCCESS;
}

}  // namespace
}  // namespace hami::simgpu::nvml

using hami::simgpu::nvml::Device;
using hami::simgpu::nvml::Give;
using hami::simgpu::nvml::ListCompute;
using hami::simgpu::nvml::ListNone;

// Version 1 has no field for what the driver keeps and counts it as used.
nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t* memory) {
  if (memory == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  nvmlMemory_v2_t v2 = {};
  const nvmlReturn_t result = hami::simgpu::nvml::ReadMemory(device, &v2);
  if (result == NVML_SUCCESS) *memory = {v2.total, v2.free, v2.used + v2.reserved};
  return result;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t* memory) {
  if (memory == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (memory->version != HAMI_NVML_STRUCT_VERSION(nvmlMemory_v2_t, 2)) {
    return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  }
  return hami::simgpu::nvml::ReadMemory(device, memory);
}

nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlBAR1Memory_t* memory) {
  return Give(device, memory, [](const Device& d) {
    // Some of it is always mapped for the driver itself.
    const unsigned long long used = d.traits.bar1_bytes < 1 << 20 ? 0 : 1 << 20;
    return nvmlBAR1Memory_t{d.traits.bar1_bytes, d.traits.bar1_bytes - used, used};
  });
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t device, unsigned int* count,
                                                  nvmlProcessInfo_v1_t* infos) {
  return ListCompute(device, count, infos);
}
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t device, unsigned int* count,
                                                     nvmlProcessInfo_v2_t* infos) {
  return ListCompute(device, count, infos);
}
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int* count,
                                                     nvmlProcessInfo_t* infos) {
  return ListCompute(device, count, infos);
}
nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses(nvmlDevice_t device, unsigned int* count,
                                                   nvmlProcessInfo_v1_t*) {
  return ListNone(device, count);
}
nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v2(nvmlDevice_t device, unsigned int* count,
                                                      nvmlProcessInfo_v2_t*) {
  return ListNone(device, count);
}
nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device, unsigned int* count,
                                                      nvmlProcessInfo_t*) {
  return ListNone(device, count);
}
nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses(nvmlDevice_t device, unsigned int* count,
                                                     nvmlProcessInfo_v1_t*) {
  return ListNone(device, count);
}
nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v2(nvmlDevice_t device, unsigned int* count,
                                                        nvmlProcessInfo_v2_t*) {
  return ListNone(device, count);
}
nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int* count,
                                                        nvmlProcessInfo_t*) {
  return ListNone(device, count);
}

nvmlReturn_t nvmlDeviceGetRunningProcessDetailList(nvmlDevice_t device,
                                                   nvmlProcessDetailList_t* list) {
  constexpr unsigned int kCompute = 0;
  constexpr unsigned int kMps = 2;
  if (list == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (list->version != HAMI_NVML_STRUCT_VERSION(nvmlProcessDetailList_v1_t, 1)) {
    return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  }
  if (list->mode > kMps) return NVML_ERROR_INVALID_ARGUMENT;
  if (list->mode != kCompute) return ListNone(device, &list->numProcArrayEntries);
  return ListCompute(device, &list->numProcArrayEntries, list->procArray);
}

// The name as the host's /proc has it; only where this process sees the host's PIDs is it the right
// one, as with the driver.
nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char* name, unsigned int length) {
  if (!hami::simgpu::nvml::IsInitialised()) return NVML_ERROR_UNINITIALIZED;
  if (name == nullptr || length == 0) return NVML_ERROR_INVALID_ARGUMENT;
  char path[64];
  snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return NVML_ERROR_NOT_FOUND;
  char text[1024];
  const ssize_t bytes = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (bytes <= 0) return NVML_ERROR_NOT_FOUND;  // a kernel thread, or a zombie
  text[bytes] = '\0';
  // Unlike other strings a name that is too long is cut (NVML manual).
  strncpy(name, text, length - 1);
  name[length - 1] = '\0';
  return NVML_SUCCESS;
}
