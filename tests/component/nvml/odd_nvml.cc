// SPDX-License-Identifier: Apache-2.0
//
// A libnvidia-ml.so.1 that shows what the simulated driver does not have: MIG devices, accounting,
// video sessions, confidential computing, limits of cgroups, a list of processes that is longer at
// the second question. What it shows is written in the file $ODD_NVML, which every call reads anew:
//   uuid UUID   a device; each has one MIG device, "MIG-" and the rest of its UUID
//   pid PID     a process, which every list of processes has
// A figure of a process is made from its PID, so that a test knows whose it is.

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "api/nvml/functions.h"

namespace {

constexpr unsigned long long kGib = 1ULL << 30;

struct Told {
  std::vector<std::string> uuids;
  std::vector<unsigned> pids;
};

Told Read() {
  Told told;
  const char* path = std::getenv("ODD_NVML");
  std::ifstream file(path != nullptr ? path : "");
  for (std::string key, value; file >> key >> value;) {
    if (key == "uuid") told.uuids.push_back(value);
    if (key == "pid") told.pids.push_back(static_cast<unsigned>(std::stoul(value)));
  }
  return told;
}

// Handles: 1.. are devices, 101.. their MIG devices.
nvmlDevice_t Handle(size_t number) { return reinterpret_cast<nvmlDevice_t>(number); }
size_t Number(nvmlDevice_t handle) { return reinterpret_cast<size_t>(handle); }
bool IsMig(nvmlDevice_t handle) { return Number(handle) > 100; }

std::string UuidOf(nvmlDevice_t handle) {
  const std::vector<std::string> uuids = Read().uuids;
  const size_t index = Number(handle) % 100 - 1;
  if (index >= uuids.size()) return "";
  return IsMig(handle) ? "MIG-" + uuids[index].substr(4) : uuids[index];
}

// Shorter when it is asked for the first time than ever after.
unsigned Listed(unsigned all) {
  static bool asked = false;
  if (asked || all == 0) return all;
  asked = true;
  return all - 1;
}

void Set(unsigned pid, unsigned* out) { *out = pid; }
void Set(unsigned pid, nvmlProcessInfo_v2_t* out) { *out = {pid, pid * kGib, 1, 2}; }
void Set(unsigned pid, nvmlProcessDetail_v1_t* out) { *out = {pid, pid * kGib, 1, 2, 3}; }
void Set(unsigned pid, nvmlProcessUtilizationSample_t* out) {
  *out = {pid, 1000, pid % 100, 1, 2, 3};
}
void Set(unsigned pid, nvmlProcessUtilizationInfo_v1_t* out) {
  *out = {1000, pid, pid % 100, 1, 2, 3, 4, 5};
}
void Set(unsigned pid, nvmlEncoderSessionInfo_t* out) {
  *out = {};
  out->pid = pid;
  out->hResolution = pid % 100;
}
void Set(unsigned pid, nvmlFBCSessionInfo_t* out) {
  *out = {};
  out->pid = pid;
  out->hResolution = pid % 100;
}

template <typename Item>
nvmlReturn_t List(unsigned* count, Item* items, nvmlReturn_t when_empty, bool number_is_success) {
  if (count == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  const std::vector<unsigned> pids = Read().pids;
  const unsigned found = items == nullptr ? Listed(static_cast<unsigned>(pids.size()))
                                          : static_cast<unsigned>(pids.size());
  const unsigned room = *count;
  *count = found;
  if (found == 0) return when_empty;
  if (room == 0 && number_is_success) return NVML_SUCCESS;
  if (room < found || items == nullptr) return NVML_ERROR_INSUFFICIENT_SIZE;
  for (unsigned i = 0; i < found; ++i) Set(pids[i], &items[i]);
  return NVML_SUCCESS;
}

bool IsListed(unsigned pid) {
  for (const unsigned known : Read().pids) {
    if (known == pid) return true;
  }
  return false;
}

nvmlReturn_t Devices(unsigned* count, nvmlDevice_t* devices) {
  const auto found = static_cast<unsigned>(Read().uuids.size());
  if (*count > 0 && devices == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  const unsigned fitting = *count < found ? *count : found;
  for (unsigned i = 0; i < fitting; ++i) devices[i] = Handle(i + 1);
  *count = *count == 0 ? found : fitting;
  return NVML_SUCCESS;
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

nvmlReturn_t nvmlInit_v2(void) { return NVML_SUCCESS; }
nvmlReturn_t nvmlShutdown(void) { return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetCount_v2(unsigned* count) {
  *count = static_cast<unsigned>(Read().uuids.size());
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t* device) {
  if (index >= Read().uuids.size()) return NVML_ERROR_INVALID_ARGUMENT;
  *device = Handle(index + 1);
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned* index) {
  if (IsMig(device)) return NVML_ERROR_NOT_SUPPORTED;
  *index = static_cast<unsigned>(Number(device) - 1);
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char* uuid, unsigned length) {
  const std::string text = UuidOf(device);
  if (text.empty()) return NVML_ERROR_INVALID_ARGUMENT;
  if (text.size() >= length) return NVML_ERROR_INSUFFICIENT_SIZE;
  std::strcpy(uuid, text.c_str());
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetHandleByUUID(const char* uuid, nvmlDevice_t* device) {
  if (uuid == nullptr || device == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  for (size_t i = 1; i <= Read().uuids.size(); ++i) {
    for (const size_t number : {i, i + 100}) {
      if (UuidOf(Handle(number)) != uuid) continue;
      *device = Handle(number);
      return NVML_SUCCESS;
    }
  }
  return NVML_ERROR_NOT_FOUND;
}
nvmlReturn_t nvmlDeviceGetHandleByUUIDV(const nvmlUUID_t* uuid, nvmlDevice_t* device) {
  if (uuid == nullptr || device == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  return nvmlDeviceGetHandleByUUID(uuid->value.str, device);
}
nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned index,
                                                 nvmlDevice_t* mig) {
  if (mig == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (index != 0) return NVML_ERROR_NOT_FOUND;
  *mig = Handle(Number(device) + 100);
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t mig, nvmlDevice_t* device) {
  if (device == nullptr || !IsMig(mig)) return NVML_ERROR_INVALID_ARGUMENT;
  *device = Handle(Number(mig) - 100);
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetTopologyNearestGpus(nvmlDevice_t, nvmlGpuTopologyLevel_t, unsigned* count,
                                              nvmlDevice_t* devices) {
  return count == nullptr ? NVML_ERROR_INVALID_ARGUMENT : Devices(count, devices);
}
nvmlReturn_t nvmlSystemGetTopologyGpuSet(unsigned, unsigned* count, nvmlDevice_t* devices) {
  return count == nullptr ? NVML_ERROR_INVALID_ARGUMENT : Devices(count, devices);
}
nvmlReturn_t nvmlUnitGetDevices(nvmlUnit_t, unsigned* count, nvmlDevice_t* devices) {
  return count == nullptr ? NVML_ERROR_INVALID_ARGUMENT : Devices(count, devices);
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t* memory) {
  if (memory == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  const unsigned long long total = IsMig(device) ? 10 * kGib : 24 * kGib;
  *memory = {total, total - 9 * kGib, 9 * kGib};
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t, nvmlBAR1Memory_t* memory) {
  if (memory == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *memory = {32 * kGib, 23 * kGib, 9 * kGib};
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t device, nvmlDeviceAttributes_t* attributes) {
  if (attributes == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (!IsMig(device)) return NVML_ERROR_NOT_SUPPORTED;
  *attributes = {14, 1, 0, 0, 0, 0, 1, 1, 10 << 10};
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetAttributes(nvmlDevice_t device, nvmlDeviceAttributes_t* attributes) {
  return nvmlDeviceGetAttributes_v2(device, attributes);
}
nvmlReturn_t nvmlDeviceGetConfComputeMemSizeInfo(nvmlDevice_t, nvmlConfComputeMemSizeInfo_t* info) {
  if (info == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *info = {3 << 20, 21 << 20};
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetConfComputeProtectedMemoryUsage(nvmlDevice_t device, nvmlMemory_t* m) {
  return nvmlDeviceGetMemoryInfo(device, m);
}
nvmlReturn_t nvmlDeviceGetMemoryLimits_v1(nvmlDevice_t, nvmlGetMemoryLimits_v1_t* limits) {
  if (limits == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  limits->softLimit = kGib;
  limits->hardLimit = ~0ULL;
  limits->currentUsed = 9 * kGib;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t, unsigned* count,
                                                     nvmlProcessInfo_t* infos) {
  return List(count, infos, NVML_SUCCESS, false);
}
nvmlReturn_t nvmlDeviceGetRunningProcessDetailList(nvmlDevice_t, nvmlProcessDetailList_t* list) {
  if (list == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  return List(&list->numProcArrayEntries, list->procArray, NVML_SUCCESS, false);
}
nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t, nvmlProcessUtilizationSample_t* samples,
                                             unsigned* count, unsigned long long) {
  return List(count, samples, NVML_ERROR_NOT_FOUND, false);
}
nvmlReturn_t nvmlDeviceGetProcessesUtilizationInfo(nvmlDevice_t,
                                                   nvmlProcessesUtilizationInfo_t* info) {
  if (info == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  return List(&info->processSamplesCount, info->procUtilArray, NVML_ERROR_NOT_FOUND, false);
}
nvmlReturn_t nvmlDeviceGetAccountingPids(nvmlDevice_t, unsigned* count, unsigned* pids) {
  return List(count, pids, NVML_SUCCESS, false);
}
nvmlReturn_t nvmlDeviceGetAccountingStats(nvmlDevice_t, unsigned pid,
                                          nvmlAccountingStats_t* stats) {
  if (stats == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (!IsListed(pid)) return NVML_ERROR_NOT_FOUND;
  *stats = {};
  stats->gpuUtilization = pid % 100;
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetAccountingStats_v2(nvmlDevice_t, nvmlAccountingStats_v2_t* stats) {
  if (stats == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (!IsListed(stats->pid)) return NVML_ERROR_NOT_FOUND;
  stats->gpuUtilization = stats->pid % 100;
  return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetEncoderSessions(nvmlDevice_t, unsigned* count,
                                          nvmlEncoderSessionInfo_t* sessions) {
  return List(count, sessions, NVML_SUCCESS, true);
}
nvmlReturn_t nvmlDeviceGetFBCSessions(nvmlDevice_t, unsigned* count,
                                      nvmlFBCSessionInfo_t* sessions) {
  return List(count, sessions, NVML_SUCCESS, true);
}
nvmlReturn_t nvmlSystemGetProcessName(unsigned pid, char* name, unsigned length) {
  if (name == nullptr || length == 0) return NVML_ERROR_INVALID_ARGUMENT;
  if (!IsListed(pid)) return NVML_ERROR_NOT_FOUND;
  std::strncpy(name, "somebody-elses", length);
  return NVML_SUCCESS;
}

}  // extern "C"
#pragma GCC visibility pop
