// SPDX-License-Identifier: Apache-2.0
//
// One GPU as this process sees it, read from NVML once, for every form of output. A value that the
// driver does not have is absent, never a made-up zero.

#pragma once

#include <stdint.h>

#include "smi/nvml.h"

namespace hami::smi {

// A number with the reason why it may be missing.
struct Value {
  nvmlReturn_t result = NVML_ERROR_NOT_SUPPORTED;
  uint64_t number = 0;

  bool ok() const { return result == NVML_SUCCESS; }
  static Value Of(uint64_t number) { return Value{NVML_SUCCESS, number}; }
};

struct Process {
  uint32_t pid;
  Value used_bytes;
  char name[256];
};

struct Gpu {
  uint32_t index;
  nvmlDevice_t handle;
  char name[NVML_DEVICE_NAME_V2_BUFFER_SIZE];
  char uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE];
  char bus_id[NVML_DEVICE_PCI_BUS_ID_BUFFER_SIZE];
  Value memory_total;  // bytes
  Value memory_reserved;
  Value memory_used;
  Value memory_free;
  Value utilization_gpu_pct;
  Value utilization_memory_pct;
};

// The driver and the GPUs selected.
struct System {
  char driver_version[NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE];
  int cuda_version;  // 12040, or 0
  const char* simulation;
};

void ReadSystem(const Nvml& nvml, System* out);
nvmlReturn_t ReadGpu(const Nvml& nvml, uint32_t index, Gpu* out);

// The compute processes of a GPU: malloc'ed, the caller frees. nullptr with *count 0 if there are
// none, or with the reason in *result.
Process* ReadProcesses(const Nvml& nvml, const Gpu& gpu, uint32_t* count, nvmlReturn_t* result);

}  // namespace hami::smi
