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

// CUdevice_attribute by number (cuda.h): what every simulated device has alike,
struct Constant {
  int attribute;
  int value;
};
constexpr Constant kConstants[] = {
    {1, 1024},                                        // threads of a block
    {2, 1024},                                        // block x, y, z
    {3, 1024},        {4, 64},      {5, 2147483647},  // grid x, y, z
    {6, 65535},       {7, 65535},   {9, 65536},       // constant memory
    {10, 32},                                         // warp
    {11, 2147483647},                                 // pitch
    {12, 65536},                                      // registers of a block
    {14, 512},                                        // texture alignment
    {21, 131072},     {22, 131072}, {23, 65536},      // arrays: 1D, 2D
    {24, 16384},      {25, 16384},  {26, 16384},      // 3D
    {27, 32768},      {28, 32768},  {29, 2048},       // layered 2D
    {19, 1},                                          // host memory can be mapped
    {31, 1},                                          // concurrent kernels
    {41, 1},                                          // unified addressing
    {42, 32768},      {43, 2048},                     // layered 1D arrays
    {51, 32},                                         // texture pitch alignment
    {78, 1},                                          // stream priorities
    {79, 1},                                          // L1 caches
    {80, 1},          {83, 1},                        // managed memory
    {90, 1},                                          // preemption
    {125, 1},                                         // events of other processes
    {119, 1},                                         // pools as file descriptors
    {95, 1},                                          // cooperative launch
    {99, 1},                                          // cuMemHostRegister
    {102, 1},                                         // virtual memory management
    {103, 1},                                         // memory exported as a descriptor
    {109, 134213632},                                 // access policy window
    {111, 1024},  // shared memory that the system keeps per block
    {115, 1},     // memory pools
    {126, 1},     // memory synchronisation domains
    {131, -1},    // NUMA id
};

// and what its profile says.
struct OfProfile {
  int attribute;
  uint32_t DeviceConfig::* field;
};
constexpr OfProfile kOfProfile[] = {
    {8, &DeviceConfig::shared_per_block_bytes},
    {16, &DeviceConfig::multiprocessors},
    {32, &DeviceConfig::ecc},
    {33, &DeviceConfig::pci_bus},
    {34, &DeviceConfig::pci_device},
    {37, &DeviceConfig::bus_bits},
    {38, &DeviceConfig::l2_bytes},
    {39, &DeviceConfig::threads_per_multiprocessor},
    {40, &DeviceConfig::copy_engines},
    {50, &DeviceConfig::pci_domain},
    {81, &DeviceConfig::shared_per_multiprocessor_bytes},
    {82, &DeviceConfig::registers_per_multiprocessor},
    {97, &DeviceConfig::shared_per_block_optin_bytes},
    {106, &DeviceConfig::blocks_per_multiprocessor},
};

constexpr int kLastAttribute = 150;
constexpr uint32_t kNoMultiDeviceLaunch = 13000;  // launch_old.cc

bool LookUpAttribute(const DeviceConfig& d, int attribute, int64_t* value) {
  for (const Constant& constant : kConstants) {
    if (constant.attribute == attribute) {
      *value = constant.value;
      return true;
    }
  }
  for (const OfProfile& entry : kOfProfile) {
    if (entry.attribute == attribute) {
      *value = d.*entry.field;
      return true;
    }
  }
  switch (attribute) {
    case 13:
      *value = int64_t{d.max_mhz[0]} * 1000;
      return true;
    case 15:
      *value = d.copy_engines > 0 ? 1 : 0;
      return true;
    case 36:
      *value = int64_t{d.max_mhz[1]} * 1000;
      return true;
    case 75:
      *value = Major(d);
      return true;
    case 76:
      *value = Minor(d);
      return true;
    case 87:
      *value = Minor(d) == 0 ? 2 : 32;
      return true;  // single to double
    case 96:
      *value = MachineOf().cuda_version < kNoMultiDeviceLaunch ? 1 : 0;
      return true;  // cooperative launches on several devices
    case 108:
      *value = d.l2_bytes * 3 / 4;
      return true;  // persisting
    case 112:       // sparse arrays
    case 121:       // deferred mapping (sparse_arrays.cc)
      *value = 1;
      return true;
    case 120:
      *value = Major(d) >= 9 ? 1 : 0;
      return true;  // clusters
    case 132:
      *value = Major(d) >= 9 ? 1 : 0;
      return true;  // multicast objects (multicast.cc)
    default:
      // Sizes of textures and surfaces, which the simulation does not have, and capabilities of
      // other hardware.
      *value = 0;
      return attribute > 0 && attribute <= kLastAttribute;
  }
}

bool ParseUuid(const char* text, char* bytes) {
  if (strncmp(text, "GPU-", 4) != 0 && strncmp(text, "MIG-", 4) != 0) return false;
  int nibble = 0;
  for (const char* at = text + 4; *at != 0 && nibble < 32; ++at) {
    if (*at == '-') continue;
    const int digit = *at >= '0' && *at <= '9'   ? *at - '0'
                      : *at >= 'a' && *at <= 'f' ? *at - 'a' + 10
                                                 : -1;
    if (digit < 0) return false;
    if (nibble % 2 == 0)
      bytes[nibble / 2] = static_cast<char>(digit << 4);
    else
      bytes[nibble / 2] = static_cast<char>(bytes[nibble / 2] | digit);
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
#define GIVE(out, ordinal, value)                                      \
  HAMI_ENTER(Need::kInit);                                             \
  uint32_t device = 0;                                                 \
  if ((out) == nullptr) return CUDA_ERROR_INVALID_VALUE;               \
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE; \
  const hami::simgpu::DeviceConfig& config = ConfigOf(device);         \
  *(out) = (value);                                                    \
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

HAMI_SIM_API CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) {
  return GetUuid(uuid, device);
}
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

HAMI_SIM_API CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute,
                                           CUdevice ordinal) {
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
