// SPDX-License-Identifier: Apache-2.0

#include "simgpu/nvml/machine.h"

#include <string.h>

#include "simgpu/state/faults.h"
#include "simgpu/state/lock.h"
#include "simgpu/state/machine.h"
#include "simgpu/state/os.h"
#include "simgpu/state/pids.h"
#include "simgpu/state/shared_memory.h"
#include "simgpu/state/timeline.h"

namespace hami::simgpu::nvml {
namespace {

constinit Machine g_machine;

const MachineConfig& Config() { return g_machine.state->config; }

template <size_t kBytes, size_t kFromBytes>
void CopyName(const char (&from)[kFromBytes], char (&to)[kBytes]) {
  const size_t bytes = strnlen(from, kFromBytes);
  memcpy(to, from, bytes < kBytes ? bytes : kBytes - 1);
  to[bytes < kBytes ? bytes : kBytes - 1] = 0;
}

// NVML manual, nvmlBrandType_t.
nvmlBrandType_t BrandOf(const char* brand) {
  struct Brand {
    const char* name;
    nvmlBrandType_t value;
  };
  static constexpr Brand kBrands[] = {
      {"Quadro", NVML_BRAND_QUADRO},         {"Tesla", NVML_BRAND_TESLA},
      {"GeForce", NVML_BRAND_GEFORCE},       {"Titan", NVML_BRAND_TITAN},
      {"Nvidia RTX", NVML_BRAND_NVIDIA_RTX}, {"Nvidia", NVML_BRAND_NVIDIA}};
  for (const Brand& known : kBrands) {
    if (strcmp(known.name, brand) == 0) return known.value;
  }
  return NVML_BRAND_UNKNOWN;
}

// NVML manual, nvmlDeviceArchitecture_t: Kepler 2 ... Ampere 7, Ada 8, Hopper 9, Blackwell 10.
nvmlDeviceArchitecture_t ArchitectureOf(uint32_t capability) {
  if (capability >= 100) return 10;
  if (capability >= 90) return 9;
  if (capability == 89) return 8;
  if (capability >= 80) return 7;
  if (capability == 75) return 6;
  if (capability >= 70) return 5;
  if (capability >= 60) return 4;
  if (capability >= 50) return 3;
  return 2;
}

void SetClocks(const uint32_t (&mhz)[3], Clocks* clocks) {
  clocks->mhz[NVML_CLOCK_GRAPHICS] = mhz[0];
  clocks->mhz[NVML_CLOCK_SM] = mhz[0];
  clocks->mhz[NVML_CLOCK_MEM] = mhz[1];
  clocks->mhz[NVML_CLOCK_VIDEO] = mhz[2];
}

// The state as it is now, for as long as the guard lives.
class View {
 public:
  View() : guard_(g_machine) {
    ReapDead(g_machine, state());
    now_ns_ = os::NowNs();
    AdvanceAll(state(), now_ns_);
  }
  State& state() const { return *g_machine.state; }
  uint64_t now_ns() const { return now_ns_; }

  // The end of the newest full period, as a wall clock time: within a period always the same one,
  // so that who has seen it is not shown it again.
  uint64_t PeriodEndUs() const {
    static uint64_t period = 0;  // the guard is held
    static uint64_t end_us = 0;
    if (period != now_ns_ / kLoadPeriodNs) {
      period = now_ns_ / kLoadPeriodNs;
      end_us = os::WallUs() - now_ns_ % kLoadPeriodNs / 1000;
    }
    return end_us;
  }

  // Clients that hold something of the device.
  template <typename Visit>
  void ForEachUser(uint32_t device, Visit visit) const {
    for (uint32_t i = 0; i < state().clients_high; ++i) {
      const Client& client = state().clients[i];
      if (client.in_use == 0 || client.observer != 0) continue;
      const ClientDevice& share = client.devices[device];
      if (share.used_bytes > 0 || share.contexts > 0) visit(client, share);
    }
  }

 private:
  LockGuard guard_;
  uint64_t now_ns_ = 0;
};

constexpr uint64_t kLookNs = 100'000'000;

uint32_t Percent(uint64_t busy_ns) {
  const uint64_t pct = (busy_ns * 100 + kLoadPeriodNs / 2) / kLoadPeriodNs;
  return pct > 100 ? 100 : static_cast<uint32_t>(pct);
}

// The device itself, or a MIG device on it.
bool IsPartOf(uint32_t device, uint32_t whole) {
  return device == whole || Config().devices[device].parent_plus_1 == whole + 1;
}

// What a busy device does with its memory is not simulated: assumed to be half as busy.
uint32_t MemoryPercent(uint32_t sm_pct) { return sm_pct / 2; }

}  // namespace

nvmlReturn_t AttachMachine() {
  if (g_machine.state != nullptr) return NVML_SUCCESS;
  static char anchor;
  char path[kMaxStatePath];
  if (!FindState(&anchor, path)) return NVML_ERROR_DRIVER_NOT_LOADED;
  switch (Attach(path, true, &g_machine)) {
    case AttachStatus::kOk:
      return NVML_SUCCESS;
    case AttachStatus::kWrongState:
      return NVML_ERROR_LIB_RM_VERSION_MISMATCH;
    case AttachStatus::kNoSlot:
      return NVML_ERROR_INSUFFICIENT_RESOURCES;
    default:
      return NVML_ERROR_DRIVER_NOT_LOADED;
  }
}

bool IsDriverUp() { return !IsDriverOff(g_machine); }

uint32_t MachineDeviceCount() { return Config().device_count; }
uint32_t MachineGpuCount() { return GpuCount(Config()); }
uint32_t MachineParent(uint32_t device) { return Config().devices[device].parent_plus_1; }

void MachineTraits(uint32_t index, Traits* traits) {
  const DeviceConfig& config = Config().devices[index];
  *traits = {};
  CopyName(config.name, traits->name);
  CopyName(config.uuid, traits->uuid);
  CopyName(config.serial, traits->serial);
  CopyName(config.part_number, traits->part_number);
  CopyName(config.vbios, traits->vbios_version);
  traits->brand = BrandOf(config.brand);
  traits->architecture = ArchitectureOf(config.compute_capability);
  traits->compute_major = static_cast<int>(config.compute_capability / 10);
  traits->compute_minor = static_cast<int>(config.compute_capability % 10);
  traits->minor_number = config.minor;
  traits->pci_domain = config.pci_domain;
  traits->pci_bus = config.pci_bus;
  traits->pci_device = config.pci_device;
  traits->pci_device_id = config.pci_device_id;
  traits->pci_subsystem_id = config.pci_subsystem_id;
  traits->numa_node = config.numa_node;
  traits->memory_bytes = config.memory_bytes;
  traits->reserved_bytes = config.reserved_bytes;
  traits->bar1_bytes = config.bar1_bytes;
  traits->multiprocessors = config.multiprocessors;
  traits->cores = config.multiprocessors * config.cores_per_multiprocessor;
  traits->memory_bus_bits = config.bus_bits;
  SetClocks(config.idle_mhz, &traits->clocks_idle);
  SetClocks(config.max_mhz, &traits->clocks_max);
  traits->power_idle_mw = config.power_idle_mw;
  traits->power_limit_mw = config.power_limit_mw;
  traits->power_min_limit_mw = config.power_min_limit_mw;
  traits->temperature_idle_c = config.temperature_idle_c;
  traits->temperature_load_c = config.temperature_load_c;
  traits->temperature_slowdown_c = config.temperature_slowdown_c;
  traits->temperature_shutdown_c = config.temperature_shutdown_c;
  traits->pcie_generation = config.pcie_generation;
  traits->pcie_lanes = config.pcie_lanes;
  traits->nvlink_links = config.nvlink_links;
  traits->nvlink_generation = config.nvlink_generation;
  traits->ecc = config.ecc != 0;
  traits->mig_capable = config.mig_capable != 0;
  traits->mig_on = config.mig_on != 0;
  traits->gpu_instance = config.gpu_instance;
  traits->mig_slices = config.mig_slices;
  for (uint32_t i = 0; i < index; ++i) {
    if (config.parent_plus_1 != 0 && MachineParent(i) == config.parent_plus_1) ++traits->mig_index;
  }
}

const char* MachineDriverVersion() { return Config().driver_version; }
int MachineCudaVersion() { return static_cast<int>(Config().cuda_version); }

const char* MachineDescription() {
  return AttachMachine() == NVML_SUCCESS ? Config().description : "simulated GPUs";
}

// A GPU's is that of its MIG devices too.
uint64_t UsedBytes(uint32_t device) {
  const View view;
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < Config().device_count; ++i) {
    if (IsPartOf(i, device)) bytes += view.state().devices[i].used_bytes;
  }
  return bytes;
}

uint32_t ListProcesses(uint32_t device, ProcessUse* out, uint32_t capacity) {
  const View view;
  uint32_t count = 0;
  for (uint32_t i = 0; i < Config().device_count; ++i) {
    if (!IsPartOf(i, device)) continue;
    const bool mig = MachineParent(i) != 0;
    view.ForEachUser(i, [&](const Client& client, const ClientDevice&) {
      if (count < capacity) {
        const auto number = static_cast<uint32_t>(&client - view.state().clients);
        out[count] = {static_cast<uint32_t>(VisiblePid(client)), HeldBytes(view.state(), number, i),
                      mig ? Config().devices[i].gpu_instance : UINT32_MAX, mig ? 0 : UINT32_MAX};
      }
      ++count;
    });
  }
  return count;
}

Load CurrentLoad(uint32_t device) {
  const View view;
  const uint32_t pct = Percent(BusyInLastPeriod(view.state().devices[device].load, view.now_ns()));
  return {pct, MemoryPercent(pct)};
}

uint32_t ListProcessLoads(uint32_t device, uint64_t last_seen_us, ProcessLoad* out,
                          uint32_t capacity) {
  const View view;
  const uint64_t end_us = view.PeriodEndUs();
  if (end_us <= last_seen_us) return 0;
  uint32_t count = 0;
  view.ForEachUser(device, [&](const Client& client, const ClientDevice& share) {
    const uint32_t pct = Percent(BusyInLastPeriod(share.load, view.now_ns()));
    if (count < capacity) {
      out[count] = {static_cast<uint32_t>(VisiblePid(client)), end_us, pct, MemoryPercent(pct)};
    }
    ++count;
  });
  return count;
}

nvmlReturn_t MeetFaults(uint32_t device) {
  const MetFaults met = simgpu::MeetFaults(g_machine, device);
  if (met.slow_ns != 0) os::SleepUntil(os::NowNs() + met.slow_ns);
  return met.lost ? NVML_ERROR_GPU_IS_LOST : NVML_SUCCESS;
}

bool IsDeviceLost(uint32_t device) { return simgpu::MeetFaults(g_machine, device).lost; }

EccErrors CountEccErrors(uint32_t device) {
  const LockGuard guard(g_machine);
  const DeviceFaults& faults = g_machine.state->devices[device].faults;
  return {faults.ecc_corrected, faults.ecc_uncorrected};
}

uint64_t EventsRaised() {
  const LockGuard guard(g_machine);
  return g_machine.state->events_raised;
}

bool WaitForEvent(uint64_t* from, uint32_t timeout_ms, WantsEvent* wanted, const void* context,
                  Event* event) {
  const uint64_t end_ns = os::NowNs() + uint64_t{timeout_ms} * 1'000'000;
  while (true) {
    DeviceEvent found = {};
    uint32_t bell = 0;
    const bool any =
        FindEvent(g_machine, from, &found, &bell, [&](uint64_t number, const DeviceEvent& seen) {
          *event = {number, seen.type, seen.data, seen.device};
          return wanted(context, *event);
        });
    if (any) return true;
    const uint64_t now_ns = os::NowNs();
    if (now_ns >= end_ns) return false;
    // In parts: whoever raised an event may have died before it rang the bell.
    const uint64_t rest_ns = end_ns - now_ns;
    os::FutexWait(&g_machine.state->event_bell, bell, rest_ns < kLookNs ? rest_ns : kLookNs);
  }
}

uint64_t BusyNs(uint32_t device) {
  const View view;
  return view.state().devices[device].busy_ns;
}

uint64_t AgeNs() { return os::NowNs() - g_machine.state->created_ns; }
uint64_t WallUs() { return os::WallUs(); }
uint64_t NowMs() { return os::NowNs() / 1'000'000; }

}  // namespace hami::simgpu::nvml
