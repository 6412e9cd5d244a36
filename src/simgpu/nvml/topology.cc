// SPDX-License-Identifier: Apache-2.0
//
// Where devices are relative to each other and to CPUs: every device has a root port of its own,
// and those on one NUMA node are joined there. NVLink (nvlink.cc) is beside that.

#include <string.h>

#include "simgpu/nvml/device.h"
#include "simgpu/nvml/exports.h"

namespace hami::simgpu::nvml {
namespace {

constexpr unsigned int kBitsPerWord = 8 * sizeof(unsigned long);

nvmlGpuTopologyLevel_t Level(const Device& first, const Device& second) {
  return first.traits.numa_node == second.traits.numa_node ? NVML_TOPOLOGY_NODE
                                                           : NVML_TOPOLOGY_SYSTEM;
}

nvmlReturn_t FindTwo(nvmlDevice_t first_handle, nvmlDevice_t second_handle, const Device** first,
                     const Device** second) {
  const nvmlReturn_t found = FindDevice(first_handle, first);
  return found != NVML_SUCCESS ? found : FindDevice(second_handle, second);
}

// By the manual: *count 0 asks for the number, otherwise so many handles are filled in.
template <typename Predicate>
nvmlReturn_t GiveDevices(unsigned int* count, nvmlDevice_t* out, Predicate wanted) {
  const unsigned int capacity = *count;
  if (capacity > 0 && out == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  unsigned int found = 0;
  for (uint32_t i = 0; i < DeviceCount(); ++i) {
    if (!wanted(DeviceAt(i))) continue;
    if (found < capacity) out[found] = HandleOf(DeviceAt(i));
    ++found;
  }
  *count = capacity > 0 && found > capacity ? capacity : found;
  return NVML_SUCCESS;
}

// The simulation does not know which CPUs are near which node: all are.
nvmlReturn_t AllCpus(nvmlDevice_t handle, unsigned int words, unsigned long* cpus) {
  const Device* device = nullptr;
  const nvmlReturn_t found = FindDevice(handle, &device);
  if (found != NVML_SUCCESS) return found;
  if (words == 0 || cpus == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  memset(cpus, 0xFF, words * sizeof(unsigned long));
  return NVML_SUCCESS;
}

}  // namespace
}  // namespace hami::simgpu::nvml

namespace nvml = hami::simgpu::nvml;

nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t first, nvmlDevice_t second,
                                                 nvmlGpuTopologyLevel_t* level) {
  const nvml::Device* a = nullptr;
  const nvml::Device* b = nullptr;
  const nvmlReturn_t found = nvml::FindTwo(first, second, &a, &b);
  if (found != NVML_SUCCESS) return found;
  if (level == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *level = a == b ? NVML_TOPOLOGY_INTERNAL : nvml::Level(*a, *b);
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetTopologyNearestGpus(nvmlDevice_t device, nvmlGpuTopologyLevel_t level,
                                              unsigned int* count, nvmlDevice_t* devices) {
  const nvml::Device* self = nullptr;
  const nvmlReturn_t found = nvml::FindDevice(device, &self);
  if (found != NVML_SUCCESS) return found;
  if (count == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  return nvml::GiveDevices(count, devices, [&](const nvml::Device& other) {
    return &other != self && nvml::Level(*self, other) <= level;
  });
}

nvmlReturn_t nvmlSystemGetTopologyGpuSet(unsigned int, unsigned int* count, nvmlDevice_t* devices) {
  if (!nvml::IsInitialised()) return NVML_ERROR_UNINITIALIZED;
  if (count == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  return nvml::GiveDevices(count, devices, [](const nvml::Device&) { return true; });
}

nvmlReturn_t nvmlDeviceGetP2PStatus(nvmlDevice_t first, nvmlDevice_t second,
                                    nvmlGpuP2PCapsIndex_t index, nvmlGpuP2PStatus_t* status) {
  const nvml::Device* a = nullptr;
  const nvml::Device* b = nullptr;
  const nvmlReturn_t found = nvml::FindTwo(first, second, &a, &b);
  if (found != NVML_SUCCESS) return found;
  if (status == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  const bool copies = index == NVML_P2P_CAPS_INDEX_READ || index == NVML_P2P_CAPS_INDEX_WRITE ||
                      index == NVML_P2P_CAPS_INDEX_PCI;
  const bool linked = index == NVML_P2P_CAPS_INDEX_NVLINK && a != b && a->traits.nvlink_links > 0 &&
                      b->traits.nvlink_links > 0;
  *status = copies || linked ? NVML_P2P_STATUS_OK : NVML_P2P_STATUS_NOT_SUPPORTED;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceOnSameBoard(nvmlDevice_t first, nvmlDevice_t second, int* same) {
  const nvml::Device* a = nullptr;
  const nvml::Device* b = nullptr;
  const nvmlReturn_t found = nvml::FindTwo(first, second, &a, &b);
  if (found != NVML_SUCCESS) return found;
  if (same == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *same = a == b ? 1 : 0;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryAffinity(nvmlDevice_t device, unsigned int words,
                                         unsigned long* nodes, nvmlAffinityScope_t) {
  const nvml::Device* self = nullptr;
  const nvmlReturn_t found = nvml::FindDevice(device, &self);
  if (found != NVML_SUCCESS) return found;
  const unsigned int node = self->traits.numa_node;
  if (nodes == nullptr || words == 0) return NVML_ERROR_INVALID_ARGUMENT;
  if (node / nvml::kBitsPerWord >= words) return NVML_ERROR_INSUFFICIENT_SIZE;
  memset(nodes, 0, words * sizeof(unsigned long));
  nodes[node / nvml::kBitsPerWord] = 1UL << node % nvml::kBitsPerWord;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCpuAffinity(nvmlDevice_t device, unsigned int words,
                                      unsigned long* cpus) {
  return nvml::AllCpus(device, words, cpus);
}
nvmlReturn_t nvmlDeviceGetCpuAffinityWithinScope(nvmlDevice_t device, unsigned int words,
                                                 unsigned long* cpus, nvmlAffinityScope_t) {
  return nvml::AllCpus(device, words, cpus);
}
