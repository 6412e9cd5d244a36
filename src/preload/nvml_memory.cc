// SPDX-License-Identifier: Apache-2.0
//
// NVML's view of memory and processes: the slice's memory, and this container's processes with the
// PIDs that they have there. Both come from the region, so they agree with each other and with
// CUDA.

#include "preload/driver.h"
#include "preload/nvml_devices.h"
#include "preload/process.h"
#include "region/ledger.h"
#include "region/slots.h"

namespace hami::preload {
namespace {

// The device's memory as NVML is to show it. False: show what the driver says.
bool ViewOf(nvmlDevice_t handle, MemoryView* view) {
  Device* device = DeviceOfHandle(handle);
  if (device == nullptr) return false;
  FollowLimits();
  Reclaim(*device);
  *view = ViewMemory(*device);
  return view->limited;
}

template <typename Memory>
void Show(const MemoryView& view, Memory* memory) {
  if (view.limit_bytes < memory->total) memory->total = view.limit_bytes;
  memory->used = view.used_bytes;
  const uint64_t room = view.used_bytes < memory->total ? memory->total - view.used_bytes : 0;
  if (room < memory->free) memory->free = room;
}

// ---- processes
// --------------------------------------------------------------------------------------

struct Listed {
  unsigned int pid;
  unsigned long long used_bytes;
};

// Collects the processes of this container that hold memory on a device, the parts of several
// shares added up. Returns how many there are; fills at most `room`.
unsigned int ListProcesses(const Device& device, Listed* out, unsigned int room) {
  const uint64_t here = region::ReadIdentity().pid_namespace;
  unsigned int count = 0;
  for (int p = 0; p < device.part_count; ++p) {
    const DevicePart& part = device.parts[p];
    api::Region& region = *part.share->mapping.region;
    const int slots = region::SlotsEverUsed(region.ext);
    for (int slot = 0; slot < slots; ++slot) {
      api::SlotExtension& extension = region.ext.slots[slot];
      const uint64_t units = region::SlotUnits(region.ext, slot, part.index);
      if (units == 0) continue;
      if (std::atomic_ref(extension.pid_namespace).load(std::memory_order_relaxed) != here)
        continue;
      const auto pid = static_cast<unsigned int>(
          std::atomic_ref(region.v1.processes[slot].pid).load(std::memory_order_relaxed));
      const unsigned long long bytes = units * api::kChargeUnitBytes;
      unsigned int at = 0;
      while (at < count && at < room && out[at].pid != pid) ++at;
      if (at < count && at < room) {
        out[at].used_bytes += bytes;
      } else {
        if (count < room) out[count] = {pid, bytes};
        ++count;
      }
    }
  }
  return count;
}

void Fill(const Listed& from, nvmlProcessInfo_v1_t* to) { *to = {from.pid, from.used_bytes}; }

void Fill(const Listed& from, nvmlProcessInfo_v2_t* to) {
  constexpr unsigned int kNoInstance = ~0U;  // not on a MIG device
  *to = {from.pid, from.used_bytes, kNoInstance, kNoInstance};
}

// NVML's protocol: *count says how much room there is and then how many there are; too little room
// is an error that tells the number.
template <typename Info>
nvmlReturn_t Answer(const Device& device, unsigned int* count, Info* infos) {
  constexpr unsigned int kMost = api::kMaxProcesses;
  Listed listed[64];
  constexpr unsigned int kRoom = sizeof(listed) / sizeof(listed[0]);
  Listed* list = listed;
  unsigned int room = kRoom;
  unsigned int found = ListProcesses(device, list, room);
  void* scratch = nullptr;
  if (found > room) {
    scratch = os::MapAnonymous(kMost * sizeof(Listed));
    if (scratch == nullptr) return NVML_ERROR_MEMORY;
    list = static_cast<Listed*>(scratch);
    room = kMost;
    found = ListProcesses(device, list, room);
    if (found > room) found = room;
  }
  nvmlReturn_t result = NVML_SUCCESS;
  if (found > *count || (found > 0 && infos == nullptr)) {
    result = NVML_ERROR_INSUFFICIENT_SIZE;
  } else {
    for (unsigned int i = 0; i < found; ++i) Fill(list[i], &infos[i]);
  }
  *count = found;
  if (scratch != nullptr) os::Unmap(scratch, kMost * sizeof(Listed));
  return result;
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
  Reclaim(*device);
  return Answer(*device, count, infos);
}

}  // namespace
}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t* memory) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  const nvmlReturn_t result = nvml.nvmlDeviceGetMemoryInfo(device, memory);
  MemoryView view;
  if (result == NVML_SUCCESS && ViewOf(device, &view)) Show(view, memory);
  return result;
}

HAMI_EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t* memory) {
  if (!BindNvml()) return NVML_ERROR_UNINITIALIZED;
  const nvmlReturn_t result = nvml.nvmlDeviceGetMemoryInfo_v2(device, memory);
  MemoryView view;
  if (result == NVML_SUCCESS && ViewOf(device, &view)) {
    Show(view, memory);
    memory->reserved = 0;  // the driver's own part is not in the slice
  }
  return result;
}

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

}  // extern "C"
