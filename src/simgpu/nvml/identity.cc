// SPDX-License-Identifier: Apache-2.0
//
// Counting devices, finding handles, and what identifies a device.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "simgpu/nvml/device.h"
#include "simgpu/nvml/exports.h"
#include "simgpu/nvml/machine.h"

namespace hami::simgpu::nvml {
namespace {

// "00000000:65:01.0"; the legacy form has a domain of four digits.
void FormatBusId(const Traits& traits, const char* format, char* out, size_t bytes) {
  snprintf(out, bytes, format, traits.pci_domain, traits.pci_bus, traits.pci_device);
}

struct PciAddress {
  unsigned int domain = 0;
  unsigned int bus = 0;
  unsigned int device = 0;
};

// Reads one hexadecimal number; nullptr when there is none.
const char* ParseHex(const char* text, unsigned int* out) {
  char* end = nullptr;
  const unsigned long value = strtoul(text, &end, 16);
  if (end == text || value > UINT32_MAX) return nullptr;
  *out = static_cast<unsigned int>(value);
  return end;
}

// "[domain:]bus:device[.0]"
bool ParsePciAddress(const char* text, PciAddress* out) {
  unsigned int parts[3] = {};
  int count = 0;
  while (true) {
    text = ParseHex(text, &parts[count]);
    if (text == nullptr) return false;
    ++count;
    if (*text != ':' || count == 3) break;
    ++text;
  }
  if (count < 2) return false;
  if (strcmp(text, "") != 0 && strcmp(text, ".0") != 0) return false;
  *out = count == 3 ? PciAddress{parts[0], parts[1], parts[2]} : PciAddress{0, parts[0], parts[1]};
  return true;
}

template <typename Predicate>
nvmlReturn_t FindBy(nvmlDevice_t* out, Predicate matches, uint32_t count = DeviceCount()) {
  for (uint32_t i = 0; i < count; ++i) {
    if (!matches(DeviceAt(i).traits)) continue;
    *out = HandleOf(DeviceAt(i));
    return MeetFaults(i);
  }
  return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t HandleByPciBusId(const char* bus_id, nvmlDevice_t* out) {
  if (!IsInitialised()) return NVML_ERROR_UNINITIALIZED;
  PciAddress address;
  if (bus_id == nullptr || out == nullptr || !ParsePciAddress(bus_id, &address)) {
    return NVML_ERROR_INVALID_ARGUMENT;
  }
  return FindBy(out, [&](const Traits& traits) {
    return traits.pci_domain == address.domain && traits.pci_bus == address.bus &&
           traits.pci_device == address.device;
  });
}

nvmlReturn_t GiveText(nvmlDevice_t handle, const char* (*text)(const Traits&), char* out,
                      unsigned int length) {
  const Device* device = nullptr;
  const nvmlReturn_t found = FindDevice(handle, &device);
  return found != NVML_SUCCESS ? found : CopyText(text(device->traits), out, length);
}

// The older structures end before busId, which callers of that time did not reserve.
void FillLegacyPci(const Traits& traits, nvmlPciInfo_t* out) {
  FormatBusId(traits, "%04X:%02X:%02X.0", out->busIdLegacy, sizeof(out->busIdLegacy));
  out->domain = traits.pci_domain;
  out->bus = traits.pci_bus;
  out->device = traits.pci_device;
  out->pciDeviceId = traits.pci_device_id;
}

// Whether a text such as "GPU-01234567-..." has these 16 bytes.
bool IsUuid(const char* text, const unsigned char* bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  const char* at = strchr(text, '-');
  for (int i = 0; at != nullptr && i < NVML_DEVICE_UUID_BINARY_LEN; ++i) {
    while (*at == '-') ++at;
    if (at[0] != kDigits[bytes[i] >> 4] || at[1] != kDigits[bytes[i] & 15]) return false;
    at += 2;
  }
  return at != nullptr && *at == 0;
}

nvmlReturn_t CountDevices(unsigned int* count) {
  if (!IsInitialised()) return NVML_ERROR_UNINITIALIZED;
  if (count == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *count = DeviceCount();
  return NVML_SUCCESS;
}

nvmlReturn_t HandleByIndex(unsigned int index, nvmlDevice_t* out) {
  if (!IsInitialised()) return NVML_ERROR_UNINITIALIZED;
  if (out == nullptr || index >= DeviceCount()) return NVML_ERROR_INVALID_ARGUMENT;
  *out = HandleOf(DeviceAt(index));
  return MeetFaults(index);
}

// Attributes are those of MIG devices; a whole device has none (NVML manual).
nvmlReturn_t FillAttributes(nvmlDevice_t handle, nvmlDeviceAttributes_t* out) {
  const Device* device = nullptr;
  const nvmlReturn_t found = FindDevice(handle, &device);
  if (found != NVML_SUCCESS) return found;
  if (out == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (device->parent_plus_1 == 0) return NVML_ERROR_NOT_SUPPORTED;
  *out = {};
  out->multiprocessorCount = device->traits.multiprocessors;
  out->sharedCopyEngineCount = 1;
  out->gpuInstanceSliceCount = device->traits.mig_slices;
  out->computeInstanceSliceCount = device->traits.mig_slices;
  out->memorySizeMB = device->traits.memory_bytes >> 20;
  return NVML_SUCCESS;
}

}  // namespace
}  // namespace hami::simgpu::nvml

using hami::simgpu::nvml::Device;
using hami::simgpu::nvml::FindBy;
using hami::simgpu::nvml::FindDevice;
using hami::simgpu::nvml::Give;
using hami::simgpu::nvml::GiveText;
using hami::simgpu::nvml::IsInitialised;
using hami::simgpu::nvml::NotSupported;
using hami::simgpu::nvml::Traits;

nvmlReturn_t nvmlDeviceGetCount(unsigned int* count) {
  return hami::simgpu::nvml::CountDevices(count);
}
nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int* count) {
  return hami::simgpu::nvml::CountDevices(count);
}
nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t* device) {
  return hami::simgpu::nvml::HandleByIndex(index, device);
}
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t* device) {
  return hami::simgpu::nvml::HandleByIndex(index, device);
}
nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char* bus_id, nvmlDevice_t* device) {
  return hami::simgpu::nvml::HandleByPciBusId(bus_id, device);
}
nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id, nvmlDevice_t* device) {
  return hami::simgpu::nvml::HandleByPciBusId(bus_id, device);
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char* uuid, nvmlDevice_t* device) {
  if (!IsInitialised()) return NVML_ERROR_UNINITIALIZED;
  if (uuid == nullptr || device == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  // Also without its prefix, the form that CUDA gives: cuda-core's to_system_device asks so.
  constexpr char kPrefix[] = "GPU-";
  constexpr size_t kPrefixLength = sizeof(kPrefix) - 1;
  const auto matches = [&](const Traits& traits) {
    const bool prefixed = strncmp(traits.uuid, kPrefix, kPrefixLength) == 0;
    return strcasecmp(traits.uuid, uuid) == 0 ||
           (prefixed && strcasecmp(traits.uuid + kPrefixLength, uuid) == 0);
  };
  return FindBy(device, matches, hami::simgpu::nvml::DeviceCountWithMig());
}

nvmlReturn_t nvmlDeviceGetHandleByUUIDV(const nvmlUUID_t* uuid, nvmlDevice_t* device) {
  if (!IsInitialised()) return NVML_ERROR_UNINITIALIZED;
  if (uuid == nullptr || device == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (uuid->version != HAMI_NVML_STRUCT_VERSION(nvmlUUID_v1_t, 1)) {
    return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  }
  if (uuid->type == NVML_UUID_TYPE_ASCII) {
    char text[NVML_DEVICE_UUID_ASCII_LEN + 1] = {};
    memcpy(text, uuid->value.str, NVML_DEVICE_UUID_ASCII_LEN);
    return nvmlDeviceGetHandleByUUID(text, device);
  }
  if (uuid->type != NVML_UUID_TYPE_BINARY) return NVML_ERROR_INVALID_ARGUMENT;
  const auto matches = [&](const Traits& traits) {
    return hami::simgpu::nvml::IsUuid(traits.uuid, uuid->value.bytes);
  };
  return FindBy(device, matches, hami::simgpu::nvml::DeviceCountWithMig());
}

nvmlReturn_t nvmlDeviceGetHandleBySerial(const char* serial, nvmlDevice_t* device) {
  if (!IsInitialised()) return NVML_ERROR_UNINITIALIZED;
  if (serial == nullptr || device == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  return FindBy(device, [&](const Traits& traits) { return strcmp(traits.serial, serial) == 0; });
}

// Of a MIG device its index among those of its GPU (NVML manual).
nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int* index) {
  return Give(device, index,
              [](const Device& d) { return d.parent_plus_1 == 0 ? d.index : d.traits.mig_index; });
}
nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char* name, unsigned int length) {
  return GiveText(device, [](const Traits& t) { return t.name; }, name, length);
}
nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char* uuid, unsigned int length) {
  return GiveText(device, [](const Traits& t) { return t.uuid; }, uuid, length);
}
nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t device, char* serial, unsigned int length) {
  return GiveText(device, [](const Traits& t) { return t.serial; }, serial, length);
}
nvmlReturn_t nvmlDeviceGetBoardPartNumber(nvmlDevice_t device, char* part, unsigned int length) {
  return GiveText(device, [](const Traits& t) { return t.part_number; }, part, length);
}
nvmlReturn_t nvmlDeviceGetVbiosVersion(nvmlDevice_t device, char* version, unsigned int length) {
  return GiveText(device, [](const Traits& t) { return t.vbios_version; }, version, length);
}

nvmlReturn_t nvmlDeviceGetBrand(nvmlDevice_t device, nvmlBrandType_t* brand) {
  return Give(device, brand, [](const Device& d) { return d.traits.brand; });
}
nvmlReturn_t nvmlDeviceGetArchitecture(nvmlDevice_t device, nvmlDeviceArchitecture_t* out) {
  return Give(device, out, [](const Device& d) { return d.traits.architecture; });
}
nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned int* minor) {
  return Give(device, minor, [](const Device& d) { return d.traits.minor_number; });
}
nvmlReturn_t nvmlDeviceGetBoardId(nvmlDevice_t device, unsigned int* board) {
  // One device per board, so its address tells boards apart.
  return Give(device, board, [](const Device& d) {
    return d.traits.pci_domain << 16 | d.traits.pci_bus << 8 | d.traits.pci_device << 3;
  });
}
nvmlReturn_t nvmlDeviceGetMultiGpuBoard(nvmlDevice_t device, unsigned int* multi_gpu) {
  return Give(device, multi_gpu, [](const Device&) { return 0U; });
}
nvmlReturn_t nvmlDeviceGetModuleId(nvmlDevice_t device, unsigned int* module) {
  return Give(device, module, [](const Device& d) { return d.index; });
}
nvmlReturn_t nvmlDeviceGetBusType(nvmlDevice_t device, nvmlBusType_t* type) {
  return Give(device, type, [](const Device&) { return NVML_BUS_TYPE_PCIE; });
}
nvmlReturn_t nvmlDeviceGetNumGpuCores(nvmlDevice_t device, unsigned int* cores) {
  return Give(device, cores, [](const Device& d) { return d.traits.cores; });
}
nvmlReturn_t nvmlDeviceGetMemoryBusWidth(nvmlDevice_t device, unsigned int* bits) {
  return Give(device, bits, [](const Device& d) { return d.traits.memory_bus_bits; });
}
nvmlReturn_t nvmlDeviceGetNumaNodeId(nvmlDevice_t device, unsigned int* node) {
  // Only devices whose memory is a NUMA node have one (NVML manual); these have not.
  if (node == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  return NotSupported(device);
}
nvmlReturn_t nvmlDeviceGetVirtualizationMode(nvmlDevice_t device,
                                             nvmlGpuVirtualizationMode_t* mode) {
  return Give(device, mode, [](const Device&) { return NVML_GPU_VIRTUALIZATION_MODE_NONE; });
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int* major, int* minor) {
  if (minor == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  return Give(device, major, [&](const Device& d) {
    *minor = d.traits.compute_minor;
    return d.traits.compute_major;
  });
}

nvmlReturn_t nvmlDeviceGetAttributes(nvmlDevice_t device, nvmlDeviceAttributes_t* attributes) {
  return hami::simgpu::nvml::FillAttributes(device, attributes);
}
nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t device, nvmlDeviceAttributes_t* attributes) {
  return hami::simgpu::nvml::FillAttributes(device, attributes);
}

nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device, nvmlPciInfo_t* pci) {
  const Device* found = nullptr;
  const nvmlReturn_t result = FindDevice(device, &found);
  if (result != NVML_SUCCESS) return result;
  if (pci == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  hami::simgpu::nvml::FillLegacyPci(found->traits, pci);
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_t* pci) {
  const Device* found = nullptr;
  const nvmlReturn_t result = FindDevice(device, &found);
  if (result != NVML_SUCCESS) return result;
  if (pci == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  hami::simgpu::nvml::FillLegacyPci(found->traits, pci);
  pci->pciSubSystemId = found->traits.pci_subsystem_id;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t* pci) {
  const nvmlReturn_t result = nvmlDeviceGetPciInfo_v2(device, pci);
  if (result != NVML_SUCCESS) return result;
  const Device* found = nullptr;
  static_cast<void>(FindDevice(device, &found));
  hami::simgpu::nvml::FormatBusId(found->traits, "%08X:%02X:%02X.0", pci->busId,
                                  sizeof(pci->busId));
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPciInfoExt(nvmlDevice_t device, nvmlPciInfoExt_v1_t* pci) {
  const Device* found = nullptr;
  const nvmlReturn_t result = FindDevice(device, &found);
  if (result != NVML_SUCCESS) return result;
  if (pci == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (pci->version != HAMI_NVML_STRUCT_VERSION(nvmlPciInfoExt_v1_t, 1)) {
    return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  }
  const Traits& traits = found->traits;
  pci->domain = traits.pci_domain;
  pci->bus = traits.pci_bus;
  pci->device = traits.pci_device;
  pci->pciDeviceId = traits.pci_device_id;
  pci->pciSubSystemId = traits.pci_subsystem_id;
  pci->baseClass = 3;  // display controller
  pci->subClass = 2;   // 3D
  hami::simgpu::nvml::FormatBusId(traits, "%08X:%02X:%02X.0", pci->busId, sizeof(pci->busId));
  return NVML_SUCCESS;
}
