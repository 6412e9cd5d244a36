// SPDX-License-Identifier: Apache-2.0
//
// Start, stop, versions, error texts. nvmlInit and nvmlShutdown are counted; every other function
// but nvmlErrorString fails with NVML_ERROR_UNINITIALIZED while the count is 0.

#include <string.h>

#include <atomic>

#include "simgpu/nvml/device.h"
#include "simgpu/nvml/exports.h"
#include "simgpu/nvml/flag.h"
#include "simgpu/nvml/machine.h"

namespace hami::simgpu::nvml {
namespace {

constinit Device g_devices[kMaxDevices] = {};
constinit uint32_t g_device_count = 0;
constinit uint32_t g_gpu_count = 0;
// How many nvmlInit are not yet shut down. Devices are filled before it first leaves 0.
constinit std::atomic<int> g_users = 0;
// Held while the count changes.
constinit Flag g_starting = ATOMIC_FLAG_INIT;

nvmlReturn_t Start() {
  const FlagHolder holder(g_starting);
  if (g_users.load(std::memory_order_relaxed) == 0) {
    const nvmlReturn_t attached = AttachMachine();
    if (attached != NVML_SUCCESS) return attached;
    if (!IsDriverUp()) return NVML_ERROR_DRIVER_NOT_LOADED;
    uint32_t count = MachineDeviceCount();
    if (count > kMaxDevices) count = kMaxDevices;
    for (uint32_t i = 0; i < count; ++i) {
      g_devices[i].index = i;
      g_devices[i].parent_plus_1 = MachineParent(i);
      MachineTraits(i, &g_devices[i].traits);
    }
    g_device_count = count;
    g_gpu_count = MachineGpuCount();
  }
  g_users.fetch_add(1, std::memory_order_release);
  return NVML_SUCCESS;
}

struct ErrorText {
  nvmlReturn_t result;
  const char* text;
};
constexpr ErrorText kErrorTexts[] = {
    {NVML_SUCCESS, "Success"},
    {NVML_ERROR_UNINITIALIZED, "Uninitialized"},
    {NVML_ERROR_INVALID_ARGUMENT, "Invalid Argument"},
    {NVML_ERROR_NOT_SUPPORTED, "Not Supported"},
    {NVML_ERROR_NO_PERMISSION, "Insufficient Permissions"},
    {NVML_ERROR_ALREADY_INITIALIZED, "Already Initialized"},
    {NVML_ERROR_NOT_FOUND, "Not Found"},
    {NVML_ERROR_INSUFFICIENT_SIZE, "Insufficient Size"},
    {NVML_ERROR_INSUFFICIENT_POWER, "Insufficient External Power"},
    {NVML_ERROR_DRIVER_NOT_LOADED, "Driver Not Loaded"},
    {NVML_ERROR_TIMEOUT, "Timeout"},
    {NVML_ERROR_IRQ_ISSUE, "Interrupt Request Issue"},
    {NVML_ERROR_LIBRARY_NOT_FOUND, "NVML Shared Library Not Found"},
    {NVML_ERROR_FUNCTION_NOT_FOUND, "Function Not Found"},
    {NVML_ERROR_CORRUPTED_INFOROM, "Corrupted infoROM"},
    {NVML_ERROR_GPU_IS_LOST, "GPU is lost"},
    {NVML_ERROR_RESET_REQUIRED, "GPU requires reset"},
    {NVML_ERROR_OPERATING_SYSTEM, "Blocked by the operating system"},
    {NVML_ERROR_LIB_RM_VERSION_MISMATCH, "Driver/library version mismatch"},
    {NVML_ERROR_IN_USE, "In use by another client"},
    {NVML_ERROR_MEMORY, "Insufficient Memory"},
    {NVML_ERROR_NO_DATA, "No data"},
    {NVML_ERROR_VGPU_ECC_NOT_SUPPORTED, "Not supported with ECC enabled"},
    {NVML_ERROR_INSUFFICIENT_RESOURCES, "Insufficient Resources"},
    {NVML_ERROR_FREQ_NOT_SUPPORTED, "Frequency Not Supported"},
    {NVML_ERROR_ARGUMENT_VERSION_MISMATCH, "Argument Version Mismatch"},
    {NVML_ERROR_DEPRECATED, "Deprecated"},
    {NVML_ERROR_NOT_READY, "Not Ready"},
    {NVML_ERROR_GPU_NOT_FOUND, "GPU Not Found"},
    {NVML_ERROR_INVALID_STATE, "Invalid State"},
    {NVML_ERROR_RESET_TYPE_NOT_SUPPORTED, "Reset Type Not Supported"},
};

}  // namespace

bool IsInitialised() { return g_users.load(std::memory_order_acquire) > 0; }
uint32_t DeviceCount() { return g_gpu_count; }
uint32_t DeviceCountWithMig() { return g_device_count; }
const Device& DeviceAt(uint32_t index) { return g_devices[index]; }

nvmlDevice_t HandleOf(const Device& device) {
  return reinterpret_cast<nvmlDevice_t>(&g_devices[device.index]);
}

nvmlReturn_t FindDevice(nvmlDevice_t handle, const Device** device) {
  if (!IsInitialised()) return NVML_ERROR_UNINITIALIZED;
  const auto address = reinterpret_cast<uintptr_t>(handle);
  const auto first = reinterpret_cast<uintptr_t>(&g_devices[0]);
  if (address < first || (address - first) % sizeof(Device) != 0 ||
      (address - first) / sizeof(Device) >= g_device_count) {
    return NVML_ERROR_INVALID_ARGUMENT;
  }
  *device = &g_devices[(address - first) / sizeof(Device)];
  return MeetFaults((*device)->index);
}

nvmlReturn_t NotSupported(nvmlDevice_t handle) {
  const Device* device = nullptr;
  const nvmlReturn_t found = FindDevice(handle, &device);
  return found == NVML_SUCCESS ? NVML_ERROR_NOT_SUPPORTED : found;
}

nvmlReturn_t CopyText(const char* text, char* out, unsigned int length) {
  if (out == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  const size_t bytes = strlen(text) + 1;
  if (bytes > length) return NVML_ERROR_INSUFFICIENT_SIZE;
  memcpy(out, text, bytes);
  return NVML_SUCCESS;
}

}  // namespace hami::simgpu::nvml

namespace nvml = hami::simgpu::nvml;

nvmlReturn_t nvmlInit() { return nvml::Start(); }
nvmlReturn_t nvmlInit_v2() { return nvml::Start(); }

nvmlReturn_t nvmlInitWithFlags(unsigned int flags) {
  constexpr unsigned int kKnown =
      NVML_INIT_FLAG_NO_GPUS | NVML_INIT_FLAG_NO_ATTACH | NVML_INIT_FLAG_FORCE_INIT;
  return (flags & ~kKnown) != 0 ? NVML_ERROR_INVALID_ARGUMENT : nvml::Start();
}

nvmlReturn_t nvmlShutdown() {
  const nvml::FlagHolder holder(nvml::g_starting);
  if (nvml::g_users.load(std::memory_order_relaxed) == 0) return NVML_ERROR_UNINITIALIZED;
  nvml::g_users.fetch_sub(1, std::memory_order_release);
  return NVML_SUCCESS;
}

const char* nvmlErrorString(nvmlReturn_t result) {
  for (const nvml::ErrorText& entry : nvml::kErrorTexts) {
    if (entry.result == result) return entry.text;
  }
  return "Unknown Error";
}

nvmlReturn_t nvmlSystemGetDriverVersion(char* version, unsigned int length) {
  if (!nvml::IsInitialised()) return NVML_ERROR_UNINITIALIZED;
  return nvml::CopyText(nvml::MachineDriverVersion(), version, length);
}

// The library's own version: the CUDA major version it was built for and the driver's.
nvmlReturn_t nvmlSystemGetNVMLVersion(char* version, unsigned int length) {
  if (!nvml::IsInitialised()) return NVML_ERROR_UNINITIALIZED;
  char text[NVML_SYSTEM_NVML_VERSION_BUFFER_SIZE] = {};
  const int major = nvml::MachineCudaVersion() / 1000;
  char* end = text;
  if (major >= 10) *end++ = static_cast<char>('0' + major / 10);
  *end++ = static_cast<char>('0' + major % 10);
  *end++ = '.';
  strncpy(end, nvml::MachineDriverVersion(), sizeof(text) - 4);
  return nvml::CopyText(text, version, length);
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int* version) {
  if (!nvml::IsInitialised()) return NVML_ERROR_UNINITIALIZED;
  if (version == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *version = nvml::MachineCudaVersion();
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int* version) {
  return nvmlSystemGetCudaDriverVersion(version);
}

const char* hamiSimulation() { return nvml::MachineDescription(); }
