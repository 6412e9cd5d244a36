// SPDX-License-Identifier: Apache-2.0
//
// The shared state of the simulated machine, as much of it as NVML shows. machine.cc is the only
// file of this library that knows its layout.

#pragma once

#include "simgpu/nvml/device.h"

namespace hami::simgpu::nvml {

struct ProcessUse {
  uint32_t pid;  // of the host's namespace
  uint64_t memory_bytes;
  uint32_t gpu_instance;  // UINT32_MAX: not on a MIG device
  uint32_t compute_instance;
};

// One process' work on one device in a period that ended at `end_us`.
struct ProcessLoad {
  uint32_t pid;
  uint64_t end_us;  // wall clock, as NVML's time stamps
  uint32_t sm_pct;
  uint32_t memory_pct;
};

struct Load {
  uint32_t gpu_pct;
  uint32_t memory_pct;
};

// Maps the state. NVML_ERROR_DRIVER_NOT_LOADED where there is none. Once per process; further calls
// check that it is still there.
nvmlReturn_t AttachMachine();
bool IsDriverUp();

uint32_t MachineDeviceCount();  // with MIG devices, which come last
uint32_t MachineGpuCount();
uint32_t MachineParent(uint32_t device);  // index + 1 of a MIG device's GPU; 0 of a GPU
void MachineTraits(uint32_t device, Traits* traits);
const char* MachineDriverVersion();  // "550.144.03"
int MachineCudaVersion();            // 12040
const char* MachineDescription();    // for hamiSimulation; needs no attached state

// What all processes have allocated, without what the driver reserves. Reaps dead clients first.
uint64_t UsedBytes(uint32_t device);

// The processes with a context, at most `capacity` of them; the result is how many there are.
uint32_t ListProcesses(uint32_t device, ProcessUse* out, uint32_t capacity);

// The last full sampling period.
Load CurrentLoad(uint32_t device);

// Work of each process in the newest period that ended after `last_seen_us`; the result as above.
uint32_t ListProcessLoads(uint32_t device, uint64_t last_seen_us, ProcessLoad* out,
                          uint32_t capacity);

// Faults on request (simgpu/state/faults.h). Waits as long as the device is slow.
nvmlReturn_t MeetFaults(uint32_t device);  // NVML_SUCCESS or NVML_ERROR_GPU_IS_LOST
bool IsDeviceLost(uint32_t device);        // without waiting
struct EccErrors {
  uint64_t corrected;
  uint64_t uncorrected;
};
EccErrors CountEccErrors(uint32_t device);

// Events of all devices, in the order in which they were raised.
struct Event {
  uint64_t number;
  uint64_t type;
  uint64_t data;
  uint32_t device;
};
uint64_t EventsRaised();
// The first event from number *from on that `wanted` takes; *from is moved behind it. False: none
// came in time.
using WantsEvent = bool(const void* context, const Event& event);
bool WaitForEvent(uint64_t* from, uint32_t timeout_ms, WantsEvent* wanted, const void* context,
                  Event* event);

// Time in which the device worked since it was created, for energy.
uint64_t BusyNs(uint32_t device);
uint64_t AgeNs();
uint64_t WallUs();
uint64_t NowMs();  // CLOCK_MONOTONIC

}  // namespace hami::simgpu::nvml
