// SPDX-License-Identifier: Apache-2.0

#include "simctl/machine_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "simgpu/profile/expand.h"
#include "simgpu/state/create.h"
#include "simgpu/state/faults.h"
#include "simgpu/state/machine.h"
#include "simgpu/state/os.h"
#include "simgpu/state/pids.h"
#include "simgpu/state/timeline.h"

namespace hami::simctl {
namespace {

using simgpu::AttachStatus;
using simgpu::DeviceConfig;
using simgpu::DeviceProfile;
using simgpu::Machine;
using simgpu::MachineConfig;

template <size_t kBytes>
void SetText(const std::string& text, char (&to)[kBytes]) {
  std::strncpy(to, text.c_str(), kBytes - 1);
  to[kBytes - 1] = 0;
}

uint32_t Narrow(uint64_t value) { return static_cast<uint32_t>(value); }

void SetDevice(const simgpu::ExpandedDevice& device, DeviceConfig* config) {
  const DeviceProfile& profile = device.profile;
  SetText(profile.name, config->name);
  SetText(device.uuid, config->uuid);
  SetText(device.serial, config->serial);
  SetText(profile.part_number, config->part_number);
  SetText(profile.vbios, config->vbios);
  SetText(profile.brand, config->brand);
  config->compute_capability = Narrow(profile.compute_capability);
  config->minor = device.index;
  config->ecc = profile.ecc ? 1 : 0;
  config->mig_capable = profile.mig ? 1 : 0;
  config->pci_domain = device.pci_domain;
  config->pci_bus = device.pci_bus;
  config->pci_device = device.pci_device;
  config->pci_device_id = Narrow(profile.pci_device_id);
  config->pci_subsystem_id = Narrow(profile.pci_subsystem_id);
  config->pcie_generation = Narrow(profile.pcie_generation);
  config->pcie_lanes = Narrow(profile.pcie_lanes);
  config->numa_node = Narrow(profile.numa_node);
  config->nvlink_links = Narrow(profile.nvlink_links);
  config->nvlink_generation = Narrow(profile.nvlink_generation);
  config->memory_bytes = profile.memory_bytes;
  config->reserved_bytes = profile.reserved_bytes;
  config->bar1_bytes = profile.bar1_bytes;
  config->granularity_bytes = profile.granularity_bytes;
  config->context_bytes = profile.context_bytes;
  config->bus_bits = Narrow(profile.bus_bits);
  config->multiprocessors = Narrow(profile.multiprocessors);
  config->cores_per_multiprocessor = Narrow(profile.cores_per_multiprocessor);
  config->threads_per_multiprocessor = Narrow(profile.threads_per_multiprocessor);
  config->blocks_per_multiprocessor = Narrow(profile.blocks_per_multiprocessor);
  config->registers_per_multiprocessor = Narrow(profile.registers_per_multiprocessor);
  config->shared_per_multiprocessor_bytes = Narrow(profile.shared_per_multiprocessor_bytes);
  config->shared_per_block_bytes = Narrow(profile.shared_per_block_bytes);
  config->shared_per_block_optin_bytes = Narrow(profile.shared_per_block_optin_bytes);
  config->l2_bytes = Narrow(profile.l2_bytes);
  config->copy_engines = Narrow(profile.copy_engines);
  config->idle_mhz[0] = Narrow(profile.idle_graphics_mhz);
  config->idle_mhz[1] = Narrow(profile.idle_memory_mhz);
  config->idle_mhz[2] = Narrow(profile.idle_video_mhz);
  config->max_mhz[0] = Narrow(profile.max_graphics_mhz);
  config->max_mhz[1] = Narrow(profile.max_memory_mhz);
  config->max_mhz[2] = Narrow(profile.max_video_mhz);
  config->power_idle_mw = Narrow(profile.power_idle_mw);
  config->power_limit_mw = Narrow(profile.power_limit_mw);
  config->power_min_limit_mw = Narrow(profile.power_min_limit_mw);
  config->temperature_idle_c = Narrow(profile.temperature_idle_c);
  config->temperature_load_c = Narrow(profile.temperature_load_c);
  config->temperature_slowdown_c = Narrow(profile.temperature_slowdown_c);
  config->temperature_shutdown_c = Narrow(profile.temperature_shutdown_c);
  config->time_slice_ns = profile.time_slice_ns;
  config->launch_ns = profile.launch_ns;
  config->kernel_ns = profile.kernel_ns;
  config->block_ns = profile.block_ns;
  config->host_to_device_bps = profile.host_to_device_bps;
  config->device_to_host_bps = profile.device_to_host_bps;
  config->device_to_device_bps = profile.device_to_device_bps;
}

// Of the GPU's seven slices eight shares of its multiprocessors are cut (assumed: as an H200's,
// where one slice has 16 of 132, and all seven have them all).
uint64_t MigMultiprocessors(const DeviceProfile& profile, uint64_t slices) {
  if (slices == simgpu::kMigSlices) return profile.multiprocessors;
  return std::max<uint64_t>(1, profile.multiprocessors * slices / (simgpu::kMigSlices + 1));
}

// A device that is what the GPU is but for memory and multiprocessors.
void SetInstance(const simgpu::ExpandedInstance& instance, uint32_t parent,
                 const simgpu::ExpandedDevice& device, DeviceConfig* config) {
  SetDevice(device, config);
  SetText(fmt::format("{} MIG {}", device.profile.name, instance.profile.name), config->name);
  SetText(instance.uuid, config->uuid);
  config->mig_capable = 0;
  config->parent_plus_1 = parent + 1;
  config->gpu_instance = instance.gpu_instance;
  config->mig_slices = Narrow(instance.profile.slices);
  config->memory_bytes = instance.profile.memory_gib << 30;
  config->reserved_bytes = 0;
  config->multiprocessors = Narrow(MigMultiprocessors(device.profile, instance.profile.slices));
  config->copy_engines = 1;
  config->nvlink_links = 0;
}

// An attached observer, until the end of the scope.
class Observer {
 public:
  static Result<std::unique_ptr<Observer>> Open(const std::string& path) {
    auto observer = std::make_unique<Observer>();
    switch (simgpu::Attach(path.c_str(), true, &observer->machine_)) {
      case AttachStatus::kOk:
        return observer;
      case AttachStatus::kNoState:
        return Fail(Code::kNotFound, path + ": cannot be opened for reading and writing");
      case AttachStatus::kWrongState:
        return Fail(Code::kFailedPrecondition,
                    path + ": was made by another version; `hami sim reset --force` makes it new");
      case AttachStatus::kNoSlot:
        return Fail(Code::kResourceExhausted, path + ": no room for another process");
      case AttachStatus::kNoLocks:
        return Fail(Code::kUnimplemented, path + ": the file system has no F_OFD_SETLK locks");
    }
    return Fail(Code::kInternal, path + ": unknown state");
  }
  ~Observer() {
    if (machine_.state != nullptr) simgpu::Detach(&machine_);
  }

  const Machine& machine() const { return machine_; }
  simgpu::State& state() const { return *machine_.state; }

 private:
  Machine machine_;
};

constexpr uint64_t kMsNs = 1'000'000;

// What lasts is cleared before something new begins. A MIG device has what its GPU has.
void MakeLastingFaults(simgpu::State& state, uint32_t device, const FaultWish& wish) {
  if (wish.clear) simgpu::ClearDeviceFaults(state, device);
  if (wish.slow_ms) simgpu::SlowDown(state, device, *wish.slow_ms * kMsNs);
  if (wish.fail_requests) simgpu::FailRequests(state, device, Narrow(*wish.fail_requests));
}

void MakeDeviceFaults(simgpu::State& state, uint32_t device, const FaultWish& wish) {
  MakeLastingFaults(state, device, wish);
  simgpu::AddEccErrors(state, device, wish.ecc_corrected, wish.ecc_uncorrected);
  if (wish.xid) simgpu::RaiseEvent(state, device, simgpu::kEventXid, *wish.xid);
  if (wish.lose) simgpu::LoseDevice(state, device);
}

}  // namespace

Status CreateMachineState(const simgpu::Profile& profile, const std::string& simulation_name,
                          const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<simgpu::ExpandedDevice> devices,
                   simgpu::ExpandDevices(profile, simulation_name));
  auto config = std::make_unique<MachineConfig>();
  SetText(simulation_name, config->name);
  SetText(profile.description, config->description);
  SetText(profile.driver_version, config->driver_version);
  config->cuda_version = Narrow(profile.cuda_version);
  // As the driver does since CUDA 12: what cuGetProcAddress gives need not be what is exported.
  config->proc_address_aliases = profile.cuda_version >= 12000 ? 1 : 0;
  uint32_t count = 0;
  for (const simgpu::ExpandedDevice& device : devices) {
    DeviceConfig* gpu = &config->devices[count++];
    SetDevice(device, gpu);
    gpu->mig_on = device.instances.empty() ? 0 : 1;
  }
  for (const simgpu::ExpandedDevice& device : devices) {
    for (const simgpu::ExpandedInstance& instance : device.instances) {
      SetInstance(instance, device.index, device, &config->devices[count++]);
    }
  }
  config->device_count = count;
  for (const simgpu::KernelTime& kernel : profile.kernels) {
    simgpu::KernelRule& rule = config->kernel_rules[config->kernel_rule_count++];
    SetText(kernel.name, rule.name);
    rule.ns = kernel.ns;
    rule.param_index = kernel.param_index;
  }
  const int error = simgpu::CreateState(path.c_str(), *config);
  if (error == 0) return {};
  return Fail(Code::kUnavailable, fmt::format("{}: {}", path, std::strerror(error)));
}

Result<std::vector<MachineDevice>> ReadMachineState(const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Observer> observer, Observer::Open(path));
  simgpu::State& state = observer->state();
  std::vector<MachineDevice> devices(simgpu::GpuCount(state.config));
  const simgpu::LockGuard guard(observer->machine());
  simgpu::ReapDead(observer->machine(), state);
  simgpu::AdvanceAll(state, simgpu::os::NowNs());
  for (uint32_t d = 0; d < state.config.device_count; ++d) {
    const uint32_t parent_plus_1 = state.config.devices[d].parent_plus_1;
    MachineDevice& device = devices[parent_plus_1 == 0 ? d : parent_plus_1 - 1];
    device.used_bytes += state.devices[d].used_bytes;
    for (uint32_t c = 0; c < state.clients_high; ++c) {
      const simgpu::Client& client = state.clients[c];
      const uint64_t used = client.devices[d].used_bytes;
      if (client.in_use == 0 || used == 0) continue;
      device.processes.push_back(
          {static_cast<uint32_t>(simgpu::VisiblePid(client)), used, client.devices[d].busy_ns});
    }
  }
  return devices;
}

Result<Faults> MakeFaults(const std::string& path, const FaultWish& wish) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Observer> observer, Observer::Open(path));
  simgpu::State& state = observer->state();
  const uint32_t count = simgpu::GpuCount(state.config);
  if (wish.gpu && *wish.gpu >= count) {
    return Fail(Code::kOutOfRange, fmt::format("no GPU {}: there are {}", *wish.gpu, count));
  }
  const simgpu::LockGuard guard(observer->machine());
  for (uint32_t d = 0; d < count; ++d) {
    if (!wish.gpu || *wish.gpu == d) MakeDeviceFaults(state, d, wish);
  }
  for (uint32_t d = count; d < state.config.device_count; ++d) {
    const uint32_t parent = state.config.devices[d].parent_plus_1 - 1;
    if (!wish.gpu || *wish.gpu == parent) MakeLastingFaults(state, d, wish);
  }
  if (wish.clear && !wish.gpu) simgpu::TurnDriverOn(state);
  if (wish.driver_off) simgpu::TurnDriverOff(state);
  Faults faults = {.driver_off = state.driver_off != 0, .devices = {}};
  for (uint32_t d = 0; d < count; ++d) {
    const simgpu::DeviceFaults& on = state.devices[d].faults;
    faults.devices.push_back({on.lost != 0, on.slow_ns / kMsNs, on.failing_requests,
                              on.ecc_corrected, on.ecc_uncorrected});
  }
  return faults;
}

Result<std::vector<uint32_t>> ListClients(const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Observer> observer, Observer::Open(path));
  simgpu::State& state = observer->state();
  const simgpu::LockGuard guard(observer->machine());
  simgpu::ReapDead(observer->machine(), state);
  std::vector<uint32_t> pids;
  for (uint32_t c = 0; c < state.clients_high; ++c) {
    if (state.clients[c].in_use == 0 || c == observer->machine().client) continue;
    pids.push_back(static_cast<uint32_t>(simgpu::VisiblePid(state.clients[c])));
  }
  return pids;
}

}  // namespace hami::simctl
