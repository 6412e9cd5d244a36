// SPDX-License-Identifier: Apache-2.0

#include "gpu/inventory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <map>

namespace hami::gpu {
namespace {

constexpr auto kNotAvailable = static_cast<unsigned long long>(NVML_VALUE_NOT_AVAILABLE);

// Asks until the buffer is large enough: processes may start between the two calls.
template <typename Info>
nvmlReturn_t ReadList(nvmlReturn_t (*function)(nvmlDevice_t, unsigned*, Info*), nvmlDevice_t device,
                      std::vector<Info>* infos) {
  unsigned count = 0;
  nvmlReturn_t result = function(device, &count, nullptr);
  for (int attempt = 0; attempt < 8 && result == NVML_ERROR_INSUFFICIENT_SIZE; ++attempt) {
    count += 8;
    infos->resize(count);
    result = function(device, &count, infos->data());
  }
  infos->resize(result == NVML_SUCCESS ? count : 0);
  return result;
}

// One process is in several lists when it computes and draws; the figure is the same in both.
template <typename Info>
void Merge(const std::vector<Info>& infos, std::map<int, std::optional<uint64_t>>* processes) {
  for (const Info& info : infos) {
    std::optional<uint64_t>& used = (*processes)[static_cast<int>(info.pid)];
    if (info.usedGpuMemory == kNotAvailable) continue;
    used = std::max<uint64_t>(used.value_or(0), info.usedGpuMemory);
  }
}

// The newest form that the driver has; all forms fill the same two fields that we use.
nvmlReturn_t ReadProcesses(decltype(&::nvmlDeviceGetComputeRunningProcesses_v3) v3,
                           decltype(&::nvmlDeviceGetComputeRunningProcesses_v2) v2,
                           decltype(&::nvmlDeviceGetComputeRunningProcesses) v1,
                           nvmlDevice_t device, std::map<int, std::optional<uint64_t>>* processes) {
  if (v3 != nullptr || v2 != nullptr) {
    std::vector<nvmlProcessInfo_t> infos;
    const nvmlReturn_t result = ReadList(v3 != nullptr ? v3 : v2, device, &infos);
    Merge(infos, processes);
    return result;
  }
  if (v1 == nullptr) return NVML_ERROR_FUNCTION_NOT_FOUND;
  std::vector<nvmlProcessInfo_v1_t> infos;
  const nvmlReturn_t result = ReadList(v1, device, &infos);
  Merge(infos, processes);
  return result;
}

Status ReadMemory(const Nvml& nvml, nvmlDevice_t handle, Device* device) {
  nvmlMemory_v2_t memory = {};
  memory.version = HAMI_NVML_STRUCT_VERSION(nvmlMemory_v2_t, 2U);
  if (nvml->nvmlDeviceGetMemoryInfo_v2 != nullptr &&
      nvml->nvmlDeviceGetMemoryInfo_v2(handle, &memory) == NVML_SUCCESS) {
    device->memory_bytes = memory.total;
    device->memory_used_bytes = memory.used;
    device->memory_reserved_bytes = memory.reserved;
    return {};
  }
  nvmlMemory_t old = {};
  const nvmlReturn_t result = nvml->nvmlDeviceGetMemoryInfo(handle, &old);
  if (result != NVML_SUCCESS) return Fail(nvml.Failure(result, "memory of the GPU"));
  device->memory_bytes = old.total;
  device->memory_used_bytes = old.used;
  return {};
}

// NVML's nvmlBrandType_t, as NVIDIA's Kubernetes components print it (go-nvlib).
std::string BrandName(const Nvml& nvml, nvmlDevice_t handle) {
  nvmlBrandType_t brand = {};
  if (nvml->nvmlDeviceGetBrand == nullptr ||
      nvml->nvmlDeviceGetBrand(handle, &brand) != NVML_SUCCESS) {
    return "Unknown";
  }
  static constexpr const char* kNames[] = {
      "Unknown",   "Quadro",      "Tesla",     "NVS",        "Grid",      "GeForce",
      "Titan",     "NvidiaVApps", "NvidiaVPC", "NvidiaVCS",  "NvidiaVWS", "NvidiaCloudGaming",
      "QuadroRTX", "NvidiaRTX",   "Nvidia",    "GeForceRTX", "TitanRTX"};
  const auto number = static_cast<size_t>(brand);
  return number < std::size(kNames) ? kNames[number] : kNames[0];
}

Result<Device> ReadDevice(const Nvml& nvml, unsigned index) {
  Device device;
  device.index = static_cast<int>(index);
  nvmlDevice_t handle = nullptr;
  nvmlReturn_t result = nvml->nvmlDeviceGetHandleByIndex_v2(index, &handle);
  if (result != NVML_SUCCESS) return Fail(nvml.Failure(result, fmt::format("GPU {}", index)));
  char text[NVML_DEVICE_UUID_V2_BUFFER_SIZE] = {};
  result = nvml->nvmlDeviceGetUUID(handle, text, sizeof(text));
  if (result != NVML_SUCCESS) return Fail(nvml.Failure(result, fmt::format("GPU {}", index)));
  device.uuid = text;
  char name[NVML_DEVICE_NAME_V2_BUFFER_SIZE] = {};
  if (nvml->nvmlDeviceGetName(handle, name, sizeof(name)) == NVML_SUCCESS) device.name = name;
  unsigned minor = 0;
  if (nvml->nvmlDeviceGetMinorNumber != nullptr &&
      nvml->nvmlDeviceGetMinorNumber(handle, &minor) == NVML_SUCCESS) {
    device.minor = static_cast<int>(minor);
  }
  nvmlPciInfo_t pci = {};
  if (nvml->nvmlDeviceGetPciInfo_v3 != nullptr &&
      nvml->nvmlDeviceGetPciInfo_v3(handle, &pci) == NVML_SUCCESS) {
    device.pci_bus_id = pci.busId;
  }
  device.brand = BrandName(nvml, handle);
  if (nvml->nvmlDeviceGetCudaComputeCapability != nullptr &&
      nvml->nvmlDeviceGetCudaComputeCapability(handle, &device.compute_major,
                                               &device.compute_minor) != NVML_SUCCESS) {
    device.compute_major = device.compute_minor = 0;
  }
  RETURN_IF_ERROR(ReadMemory(nvml, handle, &device));
  Result<std::vector<DeviceProcess>> processes = ListProcesses(nvml, handle);
  device.processes_known = processes.has_value();
  if (processes) device.processes = std::move(*processes);
  return device;
}

}  // namespace

std::string ArchitectureName(int compute_major, int compute_minor) {
  switch (compute_major) {
    case 3:
      return "Kepler";
    case 5:
      return "Maxwell";
    case 6:
      return "Pascal";
    case 7:
      return compute_minor < 5 ? "Volta" : "Turing";
    case 8:
      return compute_minor < 9 ? "Ampere" : "Ada Lovelace";
    case 9:
      return "Hopper";
    case 10:
    case 12:
      return "Blackwell";
    default:
      return "Unknown";
  }
}

std::string KernelBusId(const std::string& nvml_bus_id) {
  std::string id = nvml_bus_id;
  for (char& c : id) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  // The domain has eight digits in NVML and four in the kernel, unless it needs more.
  if (id.size() > 12 && id.starts_with("0000") && id.find(':') == 8) id.erase(0, 4);
  return id;
}

Result<std::vector<DeviceProcess>> ListProcesses(const Nvml& nvml, nvmlDevice_t device) {
  std::map<int, std::optional<uint64_t>> processes;
  const nvmlReturn_t compute = ReadProcesses(
      nvml->nvmlDeviceGetComputeRunningProcesses_v3, nvml->nvmlDeviceGetComputeRunningProcesses_v2,
      nvml->nvmlDeviceGetComputeRunningProcesses, device, &processes);
  if (compute != NVML_SUCCESS) return Fail(nvml.Failure(compute, "processes of the GPU"));
  // Not every device draws or has MPS: what these two cannot tell is nothing.
  ReadProcesses(nvml->nvmlDeviceGetGraphicsRunningProcesses_v3,
                nvml->nvmlDeviceGetGraphicsRunningProcesses_v2,
                nvml->nvmlDeviceGetGraphicsRunningProcesses, device, &processes);
  ReadProcesses(nvml->nvmlDeviceGetMPSComputeRunningProcesses_v3,
                nvml->nvmlDeviceGetMPSComputeRunningProcesses_v2,
                nvml->nvmlDeviceGetMPSComputeRunningProcesses, device, &processes);
  std::vector<DeviceProcess> list;
  list.reserve(processes.size());
  for (const auto& [pid, used_bytes] : processes) list.push_back({pid, used_bytes});
  return list;
}

Result<Inventory> ReadInventory(const Nvml& nvml) {
  Inventory inventory;
  inventory.simulation = nvml.simulation();
  inventory.library_folder = nvml.library_folder();
  char version[NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE] = {};
  nvmlReturn_t result = nvml->nvmlSystemGetDriverVersion(version, sizeof(version));
  if (result != NVML_SUCCESS) return Fail(nvml.Failure(result, "driver version"));
  inventory.driver_version = version;
  if (nvml->nvmlSystemGetCudaDriverVersion_v2 == nullptr ||
      nvml->nvmlSystemGetCudaDriverVersion_v2(&inventory.cuda_version) != NVML_SUCCESS) {
    inventory.cuda_version = 0;
  }
  unsigned count = 0;
  result = nvml->nvmlDeviceGetCount_v2(&count);
  if (result != NVML_SUCCESS) return Fail(nvml.Failure(result, "number of GPUs"));
  if (count == 0) return Fail(Code::kUnavailable, "the NVIDIA driver is loaded, but has no GPU");
  for (unsigned index = 0; index < count; ++index) {
    ASSIGN_OR_RETURN(Device device, ReadDevice(nvml, index));
    inventory.devices.push_back(std::move(device));
  }
  return inventory;
}

Result<const Device*> FindDevice(const Inventory& inventory, const std::string& index_or_uuid) {
  const Device* found = nullptr;
  int matches = 0;
  std::string known;
  for (const Device& device : inventory.devices) {
    known += fmt::format("\n  {}  {}  {}", device.index, device.uuid, device.name);
    if (std::to_string(device.index) == index_or_uuid || device.uuid == index_or_uuid) {
      return &device;
    }
    // "GPU-" and four digits: enough for a person, too much to match by accident.
    if (index_or_uuid.size() >= 8 && device.uuid.starts_with(index_or_uuid)) {
      found = &device;
      ++matches;
    }
  }
  if (matches == 1) return found;
  return Fail(Code::kInvalidArgument,
              fmt::format("no GPU \"{}\"{}; there {}:{}", index_or_uuid,
                          matches > 1 ? " (it fits several UUIDs)" : "",
                          inventory.devices.size() == 1 ? "is" : "are", known));
}

}  // namespace hami::gpu
