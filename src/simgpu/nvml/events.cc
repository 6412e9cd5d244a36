// SPDX-License-Identifier: Apache-2.0
//
// Events: what a tester raises (hami sim fault) is delivered in its order to every set that was
// registered for it before.

#include <string.h>

#include "simgpu/nvml/device.h"
#include "simgpu/nvml/exports.h"
#include "simgpu/nvml/flag.h"
#include "simgpu/nvml/machine.h"

namespace hami::simgpu::nvml {
namespace {

constexpr unsigned long long kEccTypes =
    nvmlEventTypeSingleBitEccError | nvmlEventTypeDoubleBitEccError;

// A set is one of a static array, as devices are. `lock` is held while one is looked for and while
// it changes; a set that is waited for is copied, so that waiting holds nothing.
constexpr uint32_t kMaxSets = 256;
struct Registration {
  unsigned long long types;
  uint64_t since;  // the number of the first event that counts
};
struct EventSet {
  bool in_use;
  uint64_t next;  // number of the next event to look at
  Registration devices[kMaxDevices];
};
constinit EventSet g_sets[kMaxSets] = {};
constinit Flag g_lock = ATOMIC_FLAG_INIT;

EventSet* FindSet(nvmlEventSet_t handle) {
  const auto address = reinterpret_cast<uintptr_t>(handle);
  const auto first = reinterpret_cast<uintptr_t>(&g_sets[0]);
  if (address < first || address >= first + sizeof(g_sets)) return nullptr;
  if ((address - first) % sizeof(EventSet) != 0) return nullptr;
  EventSet* set = &g_sets[(address - first) / sizeof(EventSet)];
  return set->in_use ? set : nullptr;
}

unsigned long long SupportedTypes(const Device& device) {
  return nvmlEventTypeXidCriticalError | (device.traits.ecc ? kEccTypes : 0);
}

bool Wants(const void* context, const Event& event) {
  const auto* set = static_cast<const EventSet*>(context);
  const Registration& registration = set->devices[event.device];
  return (registration.types & event.type) != 0 && event.number >= registration.since;
}

// Whether a device of the set is off the bus; then waiting is over.
bool HasLostDevice(const EventSet& set) {
  for (uint32_t i = 0; i < DeviceCount(); ++i) {
    if (set.devices[i].types != 0 && IsDeviceLost(i)) return true;
  }
  return false;
}

bool CopySet(nvmlEventSet_t handle, EventSet* copy) {
  const FlagHolder holder(g_lock);
  const EventSet* set = FindSet(handle);
  if (set == nullptr) return false;
  *copy = *set;
  return true;
}

// False: another thread that waits for the same set had it before.
bool TakeEvent(nvmlEventSet_t handle, const Event& event) {
  const FlagHolder holder(g_lock);
  EventSet* set = FindSet(handle);
  if (set == nullptr || set->next > event.number) return false;
  set->next = event.number + 1;
  return true;
}

nvmlReturn_t Wait(nvmlEventSet_t handle, uint32_t timeout_ms, Event* event) {
  if (!IsInitialised()) return NVML_ERROR_UNINITIALIZED;
  const uint64_t end_ms = NowMs() + timeout_ms;
  EventSet copy;
  while (CopySet(handle, &copy)) {
    // What was raised before is delivered first; then nothing comes any more from a lost device.
    bool found = WaitForEvent(&copy.next, 0, Wants, &copy, event);
    if (!found && HasLostDevice(copy)) return NVML_ERROR_GPU_IS_LOST;
    const uint64_t now_ms = NowMs();
    const auto rest_ms = static_cast<uint32_t>(now_ms < end_ms ? end_ms - now_ms : 0);
    if (!found) found = WaitForEvent(&copy.next, rest_ms, Wants, &copy, event);
    if (!found) return NVML_ERROR_TIMEOUT;
    if (TakeEvent(handle, *event)) return NVML_SUCCESS;
  }
  return NVML_ERROR_INVALID_ARGUMENT;
}

}  // namespace
}  // namespace hami::simgpu::nvml

namespace nvml = hami::simgpu::nvml;

nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t device, unsigned long long* types) {
  return nvml::Give(device, types, nvml::SupportedTypes);
}

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t* out) {
  if (!nvml::IsInitialised()) return NVML_ERROR_UNINITIALIZED;
  if (out == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  const nvml::FlagHolder holder(nvml::g_lock);
  for (nvml::EventSet& set : nvml::g_sets) {
    if (set.in_use) continue;
    memset(&set, 0, sizeof(set));
    set.in_use = true;
    set.next = nvml::EventsRaised();
    *out = reinterpret_cast<nvmlEventSet_t>(&set);
    return NVML_SUCCESS;
  }
  return NVML_ERROR_INSUFFICIENT_RESOURCES;
}

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t handle) {
  if (!nvml::IsInitialised()) return NVML_ERROR_UNINITIALIZED;
  const nvml::FlagHolder holder(nvml::g_lock);
  nvml::EventSet* set = nvml::FindSet(handle);
  if (set == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  set->in_use = false;
  return NVML_SUCCESS;
}

// Events from before are not delivered (NVML manual).
nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types,
                                      nvmlEventSet_t handle) {
  const nvml::Device* found = nullptr;
  const nvmlReturn_t result = nvml::FindDevice(device, &found);
  if (result != NVML_SUCCESS) return result;
  const nvml::FlagHolder holder(nvml::g_lock);
  nvml::EventSet* set = nvml::FindSet(handle);
  if (set == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if ((types & ~nvml::SupportedTypes(*found)) != 0) return NVML_ERROR_NOT_SUPPORTED;
  nvml::Registration& registration = set->devices[found->index];
  if (registration.types == 0) registration.since = nvml::EventsRaised();
  registration.types |= types;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t* data,
                                 unsigned int timeout_ms) {
  if (data == nullptr) {
    return nvml::IsInitialised() ? NVML_ERROR_INVALID_ARGUMENT : NVML_ERROR_UNINITIALIZED;
  }
  nvml::Event event = {};
  const nvmlReturn_t result = nvml::Wait(set, timeout_ms, &event);
  if (result != NVML_SUCCESS) return result;
  *data = {nvml::HandleOf(nvml::DeviceAt(event.device)), event.type, event.data, UINT32_MAX,
           UINT32_MAX};
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, nvmlEventData_t* data, unsigned int timeout_ms) {
  if (data == nullptr) {
    return nvml::IsInitialised() ? NVML_ERROR_INVALID_ARGUMENT : NVML_ERROR_UNINITIALIZED;
  }
  nvml::Event event = {};
  const nvmlReturn_t result = nvml::Wait(set, timeout_ms, &event);
  if (result != NVML_SUCCESS) return result;
  data->device = nvml::HandleOf(nvml::DeviceAt(event.device));
  data->eventType = event.type;
  data->eventData = event.data;
  return NVML_SUCCESS;
}
