// SPDX-License-Identifier: Apache-2.0
//
// NVML's view of processes: those of this container, with the PIDs that they have there. Their
// memory comes from the region; what else the driver knows of them (utilisation, accounting,
// sessions of the video engines) from the driver, without the processes of others.

#include "preload/driver.h"
#include "preload/nvml_devices.h"
#include "preload/nvml_own.h"
#include "preload/process.h"
#include "region/os.h"

namespace hami::preload {
namespace {

// Room for a list: on the stack for the usual few, else a mapping.
template <typename Item>
class Room {
 public:
  Room() = default;
  ~Room() { Drop(); }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  Item* items() { return mapped_ != nullptr ? mapped_ : few_; }
  unsigned int size() const { return size_; }

  // At least so many. False: there is no memory.
  bool Grow(unsigned int wanted) {
    if (wanted <= size_) return true;
    void* made = os::MapAnonymous(wanted * sizeof(Item));
    if (made == nullptr) return false;
    Drop();
    mapped_ = static_cast<Item*>(made);
    size_ = wanted;
    return true;
  }

 private:
  static constexpr unsigned int kFew = 32;

  void Drop() {
    if (mapped_ != nullptr) os::Unmap(mapped_, size_ * sizeof(Item));
    mapped_ = nullptr;
  }

  Item few_[kFew];
  Item* mapped_ = nullptr;
  unsigned int size_ = kFew;
};

// ---- memory of processes

constexpr unsigned int kNoInstance = ~0U;  // not on a MIG device

void Fill(const Listed& from, nvmlProcessInfo_v1_t* to) { *to = {from.pid, from.used_bytes}; }
void Fill(const Listed& from, nvmlProcessInfo_v2_t* to) {
  *to = {from.pid, from.used_bytes, kNoInstance, kNoInstance};
}
void Fill(const Listed& from, nvmlProcessDetail_v1_t* to) {
  *to = {from.pid, from.used_bytes, kNoInstance, kNoInstance, 0};
}

// NVML's protocol: *count says how much room there is and then how many there are; too little room
// is an error that tells the number.
template <typename Info>
nvmlReturn_t Answer(Device& device, unsigned int* count, Info* infos) {
  Reclaim(device);
  Room<Listed> room;
  unsigned int found = ListOwnProcesses(device, room.items(), room.size());
  if (found > room.size()) {
    if (!room.Grow(api::kMaxProcesses)) return NVML_ERROR_MEMORY;
    found = ListOwnProcesses(device, room.items(), room.size());
    if (found > room.size()) found = room.size();
  }
  const bool fits = found <= *count;
  *count = found;
  if (!fits) return NVML_ERROR_INSUFFICIENT_SIZE;
  if (found > 0 && infos == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  for (unsigned int i = 0; i < found; ++i) Fill(room.items()[i], &infos[i]);
  return NVML_SUCCESS;
}

enum class ProcessKind : uint8_t { kCompute, kOther };

// Everything that we account is compute; graphics and MPS lists are empty.
template <typename Info, typename Real>
nvmlReturn_t Processes(nvmlDevice_t handle, unsigned int* count, Info* infos, ProcessKind kind,
                       const Real& real) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  Device* device = count != nullptr ? DeviceOfHandle(handle) : nullptr;
  if (device == nullptr) return real(handle, count, infos);
  // The driver is asked all the same: not initialised, lost GPUs and the like are its to report.
  unsigned int none = 0;
  const nvmlReturn_t result = real(handle, &none, nullptr);
  if (result != NVML_SUCCESS && result != NVML_ERROR_INSUFFICIENT_SIZE) return result;
  if (kind == ProcessKind::kOther) {
    *count = 0;
    return NVML_SUCCESS;
  }
  return Answer(*device, count, infos);
}

// ---- what the driver knows of processes

unsigned int& PidOf(unsigned int& pid) { return pid; }
template <typename Item>
unsigned int& PidOf(Item& item) {
  return item.pid;
}

// The driver's list in full. `real` is called with a count and an array, as the driver.
template <typename Item, typename Real>
nvmlReturn_t ReadAll(Room<Item>* room, unsigned int* found, const Real& real) {
  // Processes may begin between two calls.
  constexpr unsigned int kMore = 16;
  constexpr int kTries = 8;
  nvmlReturn_t result = NVML_SUCCESS;
  for (int i = 0; i < kTries; ++i) {
    *found = room->size();
    result = real(found, room->items());
    if (result != NVML_ERROR_INSUFFICIENT_SIZE) return result;
    if (!room->Grow(*found + kMore)) return NVML_ERROR_MEMORY;
  }
  return result;
}

// Leaves the items of this container, under its own PIDs, at the beginning; how many.
template <typename Item>
unsigned int KeepOwn(Device& device, Item* items, unsigned int found) {
  OwnProcesses own(device);
  own.Learn(items, found, [](const Item& item) { return PidOf(const_cast<Item&>(item)); });
  unsigned int kept = 0;
  for (unsigned int i = 0; i < found; ++i) {
    const unsigned int pid = own.Own(PidOf(items[i]));
    if (pid == 0) continue;
    items[kept] = items[i];
    PidOf(items[kept++]) = pid;
  }
  return kept;
}

// What a function says about lists that are empty, and to who only asks for the number.
enum class Protocol : uint8_t {
  kSamples,   // NVML_ERROR_NOT_FOUND; without an array NVML_ERROR_INSUFFICIENT_SIZE
  kSessions,  // success; for *count 0 success
  kPids,      // success; for *count 0 NVML_ERROR_INSUFFICIENT_SIZE
};

template <typename Item, typename Real>
nvmlReturn_t OwnItems(Device& device, unsigned int* count, Item* out, Protocol protocol,
                      const Real& real) {
  Room<Item> room;
  unsigned int found = 0;
  const nvmlReturn_t result = ReadAll(&room, &found, real);
  if (result == NVML_ERROR_NOT_FOUND) *count = 0;
  if (result != NVML_SUCCESS) return result;
  const unsigned int kept = KeepOwn(device, room.items(), found);
  const unsigned int fitting = *count;
  *count = kept;
  if (kept == 0) {
    return protocol == Protocol::kSamples ? NVML_ERROR_NOT_FOUND : NVML_SUCCESS;
  }
  if (protocol == Protocol::kSessions && fitting == 0) return NVML_SUCCESS;
  if (kept > fitting) return NVML_ERROR_INSUFFICIENT_SIZE;
  if (out == nullptr) {
    return protocol == Protocol::kSamples ? NVML_ERROR_INSUFFICIENT_SIZE
                                          : NVML_ERROR_INVALID_ARGUMENT;
  }
  for (unsigned int i = 0; i < kept; ++i) out[i] = room.items()[i];
  return NVML_SUCCESS;
}

template <typename Item, typename Real>
nvmlReturn_t OwnItemsOf(nvmlDevice_t handle, unsigned int* count, Item* out, Protocol protocol,
                        const Real& real) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  Device* device = count != nullptr ? DeviceOfHandle(handle) : nullptr;
  if (device == nullptr) return real(count, out);
  return OwnItems(*device, count, out, protocol, real);
}

// What the driver calls one of our processes; 0: it does not know it, or it is not ours.
unsigned int AccountedPid(nvmlDevice_t handle, Device& device, unsigned int own_pid) {
  Room<unsigned int> room;
  unsigned int found = 0;
  const nvmlReturn_t result = ReadAll(&room, &found, [=](unsigned int* c, unsigned int* p) {
    return nvml.nvmlDeviceGetAccountingPids(handle, c, p);
  });
  if (result != NVML_SUCCESS) found = 0;
  OwnProcesses own(device);
  own.Learn(room.items(), found, [](unsigned int pid) { return pid; });
  return own.ToDriver(own_pid);
}

// ---- names

// The first word of a process' command line as this container's /proc has it. False: there is none.
bool ReadName(unsigned int pid, char* name, unsigned int length) {
  char path[32] = "/proc/";
  char digits[12];
  int used = 0;
  for (unsigned int rest = pid; used == 0 || rest != 0; rest /= 10) {
    digits[used++] = static_cast<char>('0' + rest % 10);
  }
  char* out = path + 6;
  while (used > 0) *out++ = digits[--used];
  __builtin_memcpy(out, "/cmdline", 9);
  const int fd = os::Open(path, os::kRead, 0);
  if (fd < 0) return false;
  const int64_t bytes = os::Read(fd, name, length - 1);
  os::Close(fd);
  if (bytes <= 0) return false;  // a kernel thread, or a zombie
  name[bytes] = 0;
  return true;
}

}  // namespace
}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

#define HAMI_PROCESS_LIST(symbol, info_type, kind)                                              \
  HAMI_EXPORT nvmlReturn_t symbol(nvmlDevice_t device, unsigned int* count, info_type* infos) { \
    return Processes(                                                                           \
        device, count, infos, ProcessKind::kind,                                                \
        [](nvmlDevice_t d, unsigned int* c, info_type* i) { return nvml.symbol(d, c, i); });    \
  }

HAMI_PROCESS_LIST(nvmlDeviceGetComputeRunningProcesses, nvmlProcessInfo_v1_t, kCompute)
HAMI_PROCESS_LIST(nvmlDeviceGetComputeRunningProcesses_v2, nvmlProcessInfo_v2_t, kCompute)
HAMI_PROCESS_LIST(nvmlDeviceGetComputeRunningProcesses_v3, nvmlProcessInfo_t, kCompute)
HAMI_PROCESS_LIST(nvmlDeviceGetGraphicsRunningProcesses, nvmlProcessInfo_v1_t, kOther)
HAMI_PROCESS_LIST(nvmlDeviceGetGraphicsRunningProcesses_v2, nvmlProcessInfo_v2_t, kOther)
HAMI_PROCESS_LIST(nvmlDeviceGetGraphicsRunningProcesses_v3, nvmlProcessInfo_t, kOther)
HAMI_PROCESS_LIST(nvmlDeviceGetMPSComputeRunningProcesses, nvmlProcessInfo_v1_t, kOther)
HAMI_PROCESS_LIST(nvmlDeviceGetMPSComputeRunningProcesses_v2, nvmlProcessInfo_v2_t, kOther)
HAMI_PROCESS_LIST(nvmlDeviceGetMPSComputeRunningProcesses_v3, nvmlProcessInfo_t, kOther)

#undef HAMI_PROCESS_LIST

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetRunningProcessDetailList(nvmlDevice_t device,
                                                               nvmlProcessDetailList_t* list) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  constexpr unsigned int kComputeMode = 0;
  constexpr unsigned int kVersion = HAMI_NVML_STRUCT_VERSION(nvmlProcessDetailList_v1_t, 1);
  Device* granted = list != nullptr && list->version == kVersion ? DeviceOfHandle(device) : nullptr;
  if (granted == nullptr) {
    // A version that we do not know would show everybody's processes.
    const bool limited = list != nullptr && DeviceOfHandle(device) != nullptr;
    if (limited) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    return nvml.nvmlDeviceGetRunningProcessDetailList(device, list);
  }
  return Processes(device, &list->numProcArrayEntries, list->procArray,
                   list->mode == kComputeMode ? ProcessKind::kCompute : ProcessKind::kOther,
                   [=](nvmlDevice_t d, unsigned int* count, nvmlProcessDetail_v1_t* infos) {
                     nvmlProcessDetailList_t own = {kVersion, list->mode, *count, infos};
                     const nvmlReturn_t result =
                         nvml.nvmlDeviceGetRunningProcessDetailList(d, &own);
                     *count = own.numProcArrayEntries;
                     return result;
                   });
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device,
                                                         nvmlProcessUtilizationSample_t* samples,
                                                         unsigned int* count,
                                                         unsigned long long last_seen_us) {
  return OwnItemsOf(device, count, samples, Protocol::kSamples,
                    [=](unsigned int* c, nvmlProcessUtilizationSample_t* s) {
                      return nvml.nvmlDeviceGetProcessUtilization(device, s, c, last_seen_us);
                    });
}

HAMI_EXPORT nvmlReturn_t
nvmlDeviceGetProcessesUtilizationInfo(nvmlDevice_t device, nvmlProcessesUtilizationInfo_t* info) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  constexpr unsigned int kVersion = HAMI_NVML_STRUCT_VERSION(nvmlProcessesUtilizationInfo_v1_t, 1);
  Device* granted = info != nullptr ? DeviceOfHandle(device) : nullptr;
  if (granted == nullptr) return nvml.nvmlDeviceGetProcessesUtilizationInfo(device, info);
  if (info->version != kVersion) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  return OwnItems(
      *granted, &info->processSamplesCount, info->procUtilArray, Protocol::kSamples,
      [=](unsigned int* count, nvmlProcessUtilizationInfo_v1_t* samples) {
        nvmlProcessesUtilizationInfo_t own = {kVersion, *count, info->lastSeenTimeStamp, samples};
        const nvmlReturn_t result = nvml.nvmlDeviceGetProcessesUtilizationInfo(device, &own);
        *count = own.processSamplesCount;
        return result;
      });
}

// Those that have ended are not shown: nobody knows any more whose they were.
HAMI_EXPORT nvmlReturn_t nvmlDeviceGetAccountingPids(nvmlDevice_t device, unsigned int* count,
                                                     unsigned int* pids) {
  return OwnItemsOf(device, count, pids, Protocol::kPids, [=](unsigned int* c, unsigned int* p) {
    return nvml.nvmlDeviceGetAccountingPids(device, c, p);
  });
}

// The driver is asked about nobody (a PID that cannot be) for what it has to say all the same.
HAMI_EXPORT nvmlReturn_t nvmlDeviceGetAccountingStats(nvmlDevice_t device, unsigned int pid,
                                                      nvmlAccountingStats_t* stats) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  if (Device* granted = stats != nullptr ? DeviceOfHandle(device) : nullptr) {
    pid = AccountedPid(device, *granted, pid);
  }
  return nvml.nvmlDeviceGetAccountingStats(device, pid, stats);
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetAccountingStats_v2(nvmlDevice_t device,
                                                         nvmlAccountingStats_v2_t* stats) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  Device* granted = stats != nullptr ? DeviceOfHandle(device) : nullptr;
  if (granted == nullptr) return nvml.nvmlDeviceGetAccountingStats_v2(device, stats);
  const unsigned int pid = stats->pid;
  stats->pid = AccountedPid(device, *granted, pid);
  const nvmlReturn_t result = nvml.nvmlDeviceGetAccountingStats_v2(device, stats);
  stats->pid = pid;
  return result;
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetEncoderSessions(nvmlDevice_t device, unsigned int* count,
                                                      nvmlEncoderSessionInfo_t* sessions) {
  return OwnItemsOf(device, count, sessions, Protocol::kSessions,
                    [=](unsigned int* c, nvmlEncoderSessionInfo_t* s) {
                      return nvml.nvmlDeviceGetEncoderSessions(device, c, s);
                    });
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetFBCSessions(nvmlDevice_t device, unsigned int* count,
                                                  nvmlFBCSessionInfo_t* sessions) {
  return OwnItemsOf(device, count, sessions, Protocol::kSessions,
                    [=](unsigned int* c, nvmlFBCSessionInfo_t* s) {
                      return nvml.nvmlDeviceGetFBCSessions(device, c, s);
                    });
}

// The PIDs that the container is shown are its own, so their names are those of its own /proc.
HAMI_EXPORT nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char* name,
                                                  unsigned int length) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  const nvmlReturn_t result = nvml.nvmlSystemGetProcessName(pid, name, length);
  const bool answered = result == NVML_SUCCESS || result == NVML_ERROR_NOT_FOUND;
  if (!answered || name == nullptr || length == 0 || EnterNvml() != Mode::kLimit) return result;
  if (ReadName(pid, name, length)) return NVML_SUCCESS;
  name[0] = 0;
  return NVML_ERROR_NOT_FOUND;
}

}  // extern "C"
