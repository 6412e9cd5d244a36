// SPDX-License-Identifier: Apache-2.0
//
// A libnvidia-ml.so.1 for inventory_test: one old-style device (no _v2 memory, no _v3 process
// lists), with failures chosen by FAKE_NVML_INIT. Cases that the simulated driver does not have.

#include <cstdlib>
#include <cstring>

#include "api/nvml/functions.h"

namespace {

constexpr unsigned long long kNotAvailable = static_cast<unsigned long long>(-1);

nvmlReturn_t Copy(const char* text, char* out, unsigned length) {
  if (std::strlen(text) >= length) return NVML_ERROR_INSUFFICIENT_SIZE;
  std::strcpy(out, text);
  return NVML_SUCCESS;
}

int Number(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

nvmlReturn_t nvmlInit_v2(void) { return static_cast<nvmlReturn_t>(Number("FAKE_NVML_INIT", 0)); }
nvmlReturn_t nvmlShutdown(void) { return NVML_SUCCESS; }
const char* nvmlErrorString(nvmlReturn_t result) {
  return result == NVML_SUCCESS ? "fine" : "not fine";
}
nvmlReturn_t nvmlSystemGetDriverVersion(char* version, unsigned length) {
  return Copy("440.33.01", version, length);
}
nvmlReturn_t nvmlDeviceGetCount_v2(unsigned* count) {
  *count = static_cast<unsigned>(Number("FAKE_NVML_GPUS", 1));
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t* device) {
  *device = reinterpret_cast<nvmlDevice_t>(size_t{index} + 1);
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char* uuid, unsigned length) {
  char text[] = "GPU-aaaa0000-0000-0000-0000-000000000000";
  text[8] = static_cast<char>('0' + reinterpret_cast<size_t>(device) - 1);
  return Copy(text, uuid, length);
}
nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t, char* name, unsigned length) {
  return Copy("Old GPU", name, length);
}
nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t, nvmlMemory_t* memory) {
  *memory = {16ULL << 30, 15ULL << 30, 1ULL << 30};
  return NVML_SUCCESS;
}

// Grows between the question and the answer, as the real list does when a process starts.
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t, unsigned* count,
                                                  nvmlProcessInfo_v1_t* infos) {
  static unsigned calls = 0;
  const unsigned have = ++calls == 1 ? 2 : 12;
  if (*count < have) {
    *count = have;
    return NVML_ERROR_INSUFFICIENT_SIZE;
  }
  for (unsigned i = 0; i < have; ++i) infos[i] = {100 + i, (1ULL + i) << 20};
  infos[1].usedGpuMemory = kNotAvailable;
  *count = have;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses(nvmlDevice_t, unsigned* count,
                                                   nvmlProcessInfo_v1_t* infos) {
  if (*count < 2) {
    *count = 2;
    return NVML_ERROR_INSUFFICIENT_SIZE;
  }
  infos[0] = {100, 1ULL << 20};  // computes and draws
  infos[1] = {900, 7ULL << 20};
  *count = 2;
  return NVML_SUCCESS;
}

}  // extern "C"
#pragma GCC visibility pop
