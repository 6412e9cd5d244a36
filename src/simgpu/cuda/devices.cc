// SPDX-License-Identifier: Apache-2.0
//
// Devices: identity, size, attributes.

#include <stdio.h>
#include <string.h>

#include "api/cuda/functions.h"
#include "simgpu/cuda/core.h"

namespace hami::simgpu::cuda {
namespace {

int Major(const DeviceConfig& d) { return static_cast<int>(d.compute_capability / 10); }
int Minor(const DeviceConfig& d) { return static_cast<int>(d.compute_capability % 10); }

// CUdevice_attribute by number (cuda.h). What a simulated device cannot do is 0.
bool LookUpAttribute(const DeviceConfig& d, int attribute, int64_t* value) {
  switch (attribute) {
    case 1: *value = 1024; return true;  // threads of a block
    case 2: case 3: *value = 1024; return true;
    case 4: *value = 64; return true;
    case 5: *value = 2147483647; return true;
    case 6: case 7: *value = 65535; return true;
    case 8: *value = d.shared_per_block_bytes; return true;
    case 9: *value = 65536; return true;
    case 10: *value = 32; return true;
    case 11: *value = 2147483647; return true;
    case 12: *value = 65536; return true;
    case 13: *value = int64_t{d.max_mhz[0]} * 1000; return true;
    case 14: *value = 512; return true;
    case 15: *value = d.copy_engines > 0 ? 1 : 0; return true;
    case 16: *value = d.multiprocessors; return true;
    case 19: *value = 1; return true;  // host memory can be mapped
    case 31: *value = 1; return true;  // concurrent kernels
    case 32: *value = d.ecc; return true;
    case 33: *value = d.pci_bus; return true;
    case 34: *value = d.pci_device; return true;
    case 36: *value = int64_t{d.max_mhz[1]} * 1000; return true;
    case 37: *value = d.bus_bits; return true;
    case 38: *value = d.l2_bytes; return true;
    case 39: *value = d.threads_per_multiprocessor; return true;
    case 40: *value = d.copy_engines; return true;
    case 41: *value = 1; return true;  // unified addressing
    case 50: *value = d.pci_domain; return true;
    case 51: *value = 32; return true;  // texture pitch alignment
    case 75: *value = Major(d); return true;
    case 76: *value = Minor(d); return true;
    case 78: case 79: case 80: *value = 1; return true;
    case 81: *value = d.shared_per_multiprocessor_bytes; return true;
    case 82: *value = d.registers_per_multiprocessor; return true;
    case 83: *value = 1; return true;  // managed memory
    case 87: *value = d.compute_capability % 10 == 0 ? 2 : 32; return true;
    case 90: *value = 1; return true;  // preemption
    case 95: *value = 1; return true;  // cooperative launch
    case 97: *value = d.shared_per_block_optin_bytes; return true;
    case 99: *value = 1; return true;  // cuMemHostRegister
    case 102: *value = 1; return true;  // virtual memory management
    case 106: *value = d.blocks_per_multiprocessor; return true;
    case 108: *value = d.l2_bytes * 3 / 4; return true;
    case 109: *value = 134213632; return true;
    case 111: *value = 1024; return true;  // shared memory that the system keeps per block
    case 115: *value = 1; return true;  // memory pools
    case 120: *value = d.compute_capability >= 90 ? 1 : 0; return true;
    case 126: *value = 1; return true;
    case 131: *value = -1; return true;
    default:
      // Sizes of textures and surfaces, which the simulation does not have, and capabilities of other
      // hardware.
      *value = 0;
      return attribute > 0 && attribute <= 150;
  }
}

bool ParseUuid(const char* text, char* bytes) {
  if (strncmp(text, "GPU-", 4) != 0) return false;
  int nibble = 0;
  for (const char* at = text + 4; *at != 0 && nibble < 32; ++at) {
    if (*at == '-') continue;
    const int digit = *at >= '0' && *at <= '9'   ? *at - '0'
                      : *at >= 'a' && *at <= 'f' ? *at - 'a' + 10
                                                 : -1;
    if (digit < 0) return false;
    if (nibble % 2 == 0) bytes[nibble / 2] = static_cast<char>(digit << 4);
    else bytes[nibble / 2] = static_cast<char>(bytes[nibble / 2] | digit);
    ++nibble;
  }
  return nibble == 32;
}

CUresult GetUuid(CUuuid* uuid, CUdevice ordinal) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (uuid == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  return ParseUuid(ConfigOf(device).uuid, uuid->bytes) ? CUDA_SUCCESS : CUDA_ERROR_UNKNOWN;
}

// "domain:bus:device.function", in the forms that cuDeviceGetByPCIBusId documents.
bool ParseBusId(const char* text, uint32_t* domain, uint32_t* bus, uint32_t* device) {
  unsigned d = 0;
  unsigned b = 0;
  unsigned n = 0;
  unsigned f = 0;
  if (sscanf(text, "%x:%x:%x.%x", &d, &b, &n, &f) < 3) {
    d = 0;
    if (sscanf(text, "%x:%x.%x", &b, &n, &f) < 2) return false;
  }
  *domain = d;
  *bus = b;
  *device = n;
  return f == 0;
}

}  // namespace
}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

// Writes value(config) for a device of this process.
#define GIVE(out, ordinal, value)                                         \
  HAMI_ENTER(Need::kInit);                                                \
  uint32_t device = 0;                                                    \
  if ((out) == nullptr) return CUDA_ERROR_INVALID_VALUE;                  \
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;    \
  const hami::simgpu::DeviceConfig& config = ConfigOf(device);            \
  *(out) = (value);                                                       \
  return CUDA_SUCCESS

HAMI_SIM_API CUresult cuDeviceGetCount(int* count) {
  HAMI_ENTER(Need::kInit);
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *count = static_cast<int>(process.device_count);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuDeviceGet(CUdevice* out, int ordinal) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  *out = ordinal;
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuDeviceGetName(char* name, int length, CUdevice ordinal) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (name == nullptr || length <= 0) return CUDA_ERROR_INVALID_VALUE;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  snprintf(name, static_cast<size_t>(length), "%s", ConfigOf(device).name);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) { return GetUuid(uuid, device); }
HAMI_SIM_API CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) {
  return GetUuid(uuid, device);
}

HAMI_SIM_API CUresult cuDeviceGetLuid(char*, unsigned int*, CUdevice) {
  return CUDA_ERROR_NOT_SUPPORTED;  // Windows only
}

HAMI_SIM_API CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice ordinal) {
  GIVE(bytes, ordinal, UsableBytes(config));
}
HAMI_SIM_API CUresult cuDeviceTotalMem(unsigned int* bytes, CUdevice ordinal) {
  GIVE(bytes, ordinal,
       static_cast<unsigned>(UsableBytes(config) > UINT32_MAX ? UINT32_MAX : UsableBytes(config)));
}

HAMI_SIM_API CUresult cuDeviceGetAttribute(int* value, int attribute, CUdevice ordinal) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  int64_t found = 0;
  if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  if (!LookUpAttribute(ConfigOf(device), attribute, &found)) return CUDA_ERROR_INVALID_VALUE;
  *value = static_cast<int>(found);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice ordinal) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (major == nullptr || minor == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  *major = Major(ConfigOf(device));
  *minor = Minor(ConfigOf(device));
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuDeviceGetPCIBusId(char* text, int length, CUdevice ordinal) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (text == nullptr || length < 13) return CUDA_ERROR_INVALID_VALUE;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  const auto& config = ConfigOf(device);
  snprintf(text, static_cast<size_t>(length), "%04X:%02X:%02X.0", config.pci_domain, config.pci_bus,
           config.pci_device);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuDeviceGetByPCIBusId(CUdevice* out, const char* text) {
  HAMI_ENTER(Need::kInit);
  uint32_t domain = 0;
  uint32_t bus = 0;
  uint32_t number = 0;
  if (out == nullptr || text == nullptr || !ParseBusId(text, &domain, &bus, &number)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  for (uint32_t i = 0; i < process.device_count; ++i) {
    const auto& config = ConfigOf(process.devices[i]);
    if (config.pci_domain == domain && config.pci_bus == bus && config.pci_device == number) {
      *out = static_cast<int>(i);
      return CUDA_SUCCESS;
    }
  }
  return CUDA_ERROR_INVALID_DEVICE;
}

HAMI_SIM_API CUresult cuDeviceCanAccessPeer(int* can, CUdevice a, CUdevice b) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (can == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!FindDevice(a, &device) || !FindDevice(b, &device)) return CUDA_ERROR_INVALID_DEVICE;
  *can = 0;
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuDeviceGetP2PAttribute(int* value, int attribute, CUdevice a, CUdevice b) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (value == nullptr || attribute < 1 || attribute > 5) return CUDA_ERROR_INVALID_VALUE;
  if (!FindDevice(a, &device) || !FindDevice(b, &device) || a == b) {
    return CUDA_ERROR_INVALID_DEVICE;
  }
  *value = 0;
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuDeviceGetExecAffinitySupport(int* supported, int, CUdevice ordinal) {
  static_cast<void>(supported);
  static_cast<void>(ordinal);
  return CUDA_ERROR_NOT_SUPPORTED;
}

// NVIDIA's libraries ask here for tables with which they check that the driver is genuine. There is
// no honest answer, so there is none (docs/adr/0008).
HAMI_SIM_API CUresult cuGetExportTable(const void** table, const CUuuid* id) {
  if (table == nullptr || id == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *table = nullptr;
  return CUDA_ERROR_NOT_FOUND;
}

HAMI_SIM_API CUresult cuProfilerStart() { return CUDA_SUCCESS; }
HAMI_SIM_API CUresult cuProfilerStop() { return CUDA_SUCCESS; }
