// SPDX-License-Identifier: Apache-2.0
//
// Prints what NVML says about memory, for every device that it shows:
//   gpu INDEX | v1 TOTAL FREE USED | v2 TOTAL RESERVED FREE USED | process PID BYTES (one a line)

#include <dlfcn.h>

#include <iostream>
#include <vector>

#include "api/nvml/functions.h"

namespace {

void* library = nullptr;

template <typename Function, typename... Arguments>
nvmlReturn_t CallAs(Function*, const char* name, Arguments... arguments) {
  auto* function = reinterpret_cast<Function*>(dlsym(library, name));
  const nvmlReturn_t result = function != nullptr ? function(arguments...) : NVML_ERROR_UNKNOWN;
  if (result != NVML_SUCCESS) std::cout << name << " error " << static_cast<int>(result) << '\n';
  return result;
}
#define CALL(name, ...) CallAs(&name, #name __VA_OPT__(, ) __VA_ARGS__)

bool Has(const char* name) { return dlsym(library, name) != nullptr; }

void PrintMemory(nvmlDevice_t device) {
  nvmlMemory_t v1 = {};
  if (CALL(nvmlDeviceGetMemoryInfo, device, &v1) == NVML_SUCCESS) {
    std::cout << "v1 " << v1.total << ' ' << v1.free << ' ' << v1.used << '\n';
  }
  if (!Has("nvmlDeviceGetMemoryInfo_v2")) return;
  nvmlMemory_v2_t v2 = {};
  v2.version = HAMI_NVML_STRUCT_VERSION(nvmlMemory_v2_t, 2);
  if (CALL(nvmlDeviceGetMemoryInfo_v2, device, &v2) == NVML_SUCCESS) {
    std::cout << "v2 " << v2.total << ' ' << v2.reserved << ' ' << v2.free << ' ' << v2.used
              << '\n';
  }
}

template <typename Info, typename Function>
void PrintProcessesOf(Function* function, const char* name, nvmlDevice_t device) {
  std::vector<Info> processes(1024);
  auto count = static_cast<unsigned int>(processes.size());
  if (CallAs(function, name, device, &count, processes.data()) != NVML_SUCCESS) return;
  for (unsigned int i = 0; i < count; ++i) {
    std::cout << "process " << processes[i].pid << ' ' << processes[i].usedGpuMemory << '\n';
  }
}

// In the newest form that the driver has: before 510 there is no third, before 450 only the first.
void PrintProcesses(nvmlDevice_t device) {
  if (constexpr char kThird[] = "nvmlDeviceGetComputeRunningProcesses_v3"; Has(kThird)) {
    PrintProcessesOf<nvmlProcessInfo_t>(&nvmlDeviceGetComputeRunningProcesses_v3, kThird, device);
  } else {
    PrintProcessesOf<nvmlProcessInfo_v1_t>(&nvmlDeviceGetComputeRunningProcesses,
                                           "nvmlDeviceGetComputeRunningProcesses", device);
  }
}

}  // namespace

int main() {
  library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
  if (library == nullptr) {
    std::cerr << "nvml_view: " << dlerror() << '\n';
    return 1;
  }
  unsigned int count = 0;
  if (CALL(nvmlInit_v2) != NVML_SUCCESS) return 1;
  if (CALL(nvmlDeviceGetCount_v2, &count) != NVML_SUCCESS) return 1;
  for (unsigned int i = 0; i < count; ++i) {
    nvmlDevice_t device = nullptr;
    if (CALL(nvmlDeviceGetHandleByIndex_v2, i, &device) != NVML_SUCCESS) return 1;
    std::cout << "gpu " << i << '\n';
    PrintMemory(device);
    PrintProcesses(device);
  }
  return CALL(nvmlShutdown) == NVML_SUCCESS ? 0 : 1;
}
