// SPDX-License-Identifier: Apache-2.0
//
// cuInit, versions, which devices this process sees.
//
// CUDA_VISIBLE_DEVICES as the CUDA C Programming Guide says: numbers or UUID prefixes, the list
// ends at the first entry that is wrong; CUDA_DEVICE_ORDER only changes what the numbers mean, and
// all orders are the same here but for PCI_BUS_ID.

#include <stdlib.h>
#include <string.h>

#include "simgpu/cuda/core.h"
#include "simgpu/state/faults.h"
#include "simgpu/state/os.h"

namespace hami::simgpu::cuda {
namespace {

uint32_t init_lock;

bool IsBefore(const DeviceConfig& a, const DeviceConfig& b) {
  if (a.pci_domain != b.pci_domain) return a.pci_domain < b.pci_domain;
  if (a.pci_bus != b.pci_bus) return a.pci_bus < b.pci_bus;
  return a.pci_device < b.pci_device;
}

void SortByBus(uint32_t* devices, uint32_t count) {
  for (uint32_t i = 1; i < count; ++i) {
    for (uint32_t j = i; j > 0 && IsBefore(ConfigOf(devices[j]), ConfigOf(devices[j - 1])); --j) {
      const uint32_t other = devices[j];
      devices[j] = devices[j - 1];
      devices[j - 1] = other;
    }
  }
}

// One entry of the list: the index in `order`, or -1.
int FindEntry(const char* text, size_t length, const uint32_t* order, uint32_t count) {
  if (length >= 4 && (strncmp(text, "GPU-", 4) == 0 || strncmp(text, "MIG-", 4) == 0)) {
    int found = -1;
    for (uint32_t i = 0; i < count; ++i) {
      if (strncmp(ConfigOf(order[i]).uuid, text, length) != 0) continue;
      if (found >= 0) return -1;  // the prefix must be unique
      found = static_cast<int>(i);
    }
    return found;
  }
  if (length == 0 || length > 4) return -1;
  uint32_t number = 0;
  for (size_t i = 0; i < length; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    number = number * 10 + static_cast<uint32_t>(text[i] - '0');
  }
  return number < count ? static_cast<int>(number) : -1;
}

// Without MIG all GPUs. Where MIG is on anywhere, MIG devices only, of which CUDA uses one (NVIDIA
// Multi-Instance GPU User Guide, "Device enumeration").
uint32_t ListDevices(uint32_t* order) {
  const uint32_t gpus = GpuCount(MachineOf());
  const uint32_t first = MachineOf().device_count > gpus ? gpus : 0;
  const uint32_t count = MachineOf().device_count - first;
  for (uint32_t i = 0; i < count; ++i) order[i] = first + i;
  return count;
}

void FindVisibleDevices() {
  uint32_t order[kMaxDevices];
  const uint32_t count = ListDevices(order);
  const bool mig = ConfigOf(order[0]).parent_plus_1 != 0;
  const char* wish = getenv("CUDA_DEVICE_ORDER");
  if (wish != nullptr && TextEquals(wish, "PCI_BUS_ID")) SortByBus(order, count);
  const char* list = getenv("CUDA_VISIBLE_DEVICES");
  if (list == nullptr) {
    memcpy(process.devices, order, sizeof(order));
    process.device_count = mig ? 1 : count;
    return;
  }
  uint64_t seen = 0;
  process.device_count = 0;
  while (*list != 0) {
    while (*list == ' ') ++list;
    const size_t length = strcspn(list, ",");
    size_t trimmed = length;
    while (trimmed > 0 && list[trimmed - 1] == ' ') --trimmed;
    const int found = FindEntry(list, trimmed, order, count);
    if (found < 0) return;
    if ((seen >> found & 1) != 0) {  // a device twice: none at all
      process.device_count = 0;
      return;
    }
    seen |= uint64_t{1} << found;
    process.devices[process.device_count++] = order[found];
    if (mig) return;
    list += length + (list[length] == ',' ? 1 : 0);
  }
}

CUresult Initialise() {
  static char anchor;
  char path[kMaxStatePath];
  if (!FindState(&anchor, path)) return CUDA_ERROR_NO_DEVICE;
  switch (Attach(path, false, &process.machine)) {
    case AttachStatus::kOk:
      break;
    case AttachStatus::kNoState:
      return CUDA_ERROR_NO_DEVICE;
    case AttachStatus::kNoSlot:
      return CUDA_ERROR_OUT_OF_MEMORY;
    default:
      return CUDA_ERROR_SYSTEM_NOT_READY;
  }
  if (IsDriverOff(process.machine)) {
    Detach(&process.machine);
    return CUDA_ERROR_NO_DEVICE;
  }
  FindVisibleDevices();
  if (process.device_count == 0) return CUDA_ERROR_NO_DEVICE;
  process.alive = os::MapWipedOnFork();
  if (process.alive == nullptr) {
    process.alive = static_cast<uint32_t*>(AllocateZeroed(sizeof(uint32_t)));
    process.pid = os::ProcessId();
  }
  __atomic_store_n(process.alive, 1, __ATOMIC_RELEASE);
  return CUDA_SUCCESS;
}

}  // namespace

// Racing threads read the same values.
const Glance& GlanceAtMachine() {
  static Glance glance;
  static uint32_t known;
  if (__atomic_load_n(&known, __ATOMIC_ACQUIRE) != 0) return glance;
  static char anchor;
  char path[kMaxStatePath];
  Machine looker;
  if (!FindState(&anchor, path) || Attach(path, true, &looker) != AttachStatus::kOk) return glance;
  const MachineConfig& config = looker.state->config;
  glance = {static_cast<int>(config.cuda_version), config.proc_address_aliases != 0};
  if (glance.cuda_version < kLibraryCudaVersion) {
    glance = {kLibraryCudaVersion, kLibraryCudaVersion >= 12000};
  }
  Detach(&looker);
  __atomic_store_n(&known, 1, __ATOMIC_RELEASE);
  return glance;
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuInit(unsigned int flags) {
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  while (__atomic_exchange_n(&init_lock, 1, __ATOMIC_ACQUIRE) != 0) {
    hami::simgpu::os::FutexWait(&init_lock, 1, 1'000'000);
  }
  // A forked child of an initialised process never gets the driver again, as with the real one.
  static bool done;
  static CUresult result;
  if (!done) {
    result = Initialise();
    // A machine without devices may get one; everything else is final.
    done = result == CUDA_SUCCESS;
  } else if (*process.alive != 1) {
    __atomic_store_n(&init_lock, 0, __ATOMIC_RELEASE);
    return CUDA_ERROR_NOT_INITIALIZED;
  }
  __atomic_store_n(&init_lock, 0, __ATOMIC_RELEASE);
  return result;
}

HAMI_SIM_API CUresult cuDriverGetVersion(int* version) {
  if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *version = GlanceAtMachine().cuda_version;
  return CUDA_SUCCESS;
}
