// SPDX-License-Identifier: Apache-2.0
//
// The library's state in this process, and when it comes to be: nothing happens at load; the shares
// are found at the first use of NVML or of a charged CUDA function, the devices are mapped and
// process slots are taken once the CUDA driver is initialised.
//
// After a fork the child starts over (it is noticed by a page that the kernel wipes): it keeps the
// parent's regions mapped, and with them the parent's locks, exactly as it keeps the parent's
// /dev/nvidia* handles, and takes slots of its own if it uses the driver itself. A vfork child runs
// in the parent's memory and counts as the parent. exec starts from nothing.

#pragma once

#include <atomic>
#include <cstdint>

#include "preload/devices.h"
#include "preload/lock.h"
#include "preload/shares.h"

namespace hami::preload {

// What a hook is to do. kPass: forward the call as it is. kLimit: account and limit. kRefuse:
// refuse what takes memory, forward the rest.
enum class Mode : uint8_t { kUnknown = 0, kPass, kLimit, kRefuse };

// Lies in a page that reads as zeroes in a forked child.
struct ForkGate {
  std::atomic<Mode> nvml_mode;
  std::atomic<Mode> cuda_mode;
  SpinLock lock;
};

extern std::atomic<ForkGate*> fork_gate;  // nullptr until the first use

Mode EnterCudaSlow();
Mode EnterNvmlSlow();

// For CUDA hooks: attaches if that has not happened in this process. kPass as long as the driver is
// not initialised.
inline Mode EnterCuda() {
  ForkGate* gate = fork_gate.load(std::memory_order_acquire);
  if (gate != nullptr) [[likely]] {
    const Mode mode = gate->cuda_mode.load(std::memory_order_acquire);
    if (mode != Mode::kUnknown) [[likely]] {
      return mode;
    }
  }
  return EnterCudaSlow();
}

// For NVML hooks: finds the shares; takes no slot and maps no CUDA devices.
inline Mode EnterNvml() {
  ForkGate* gate = fork_gate.load(std::memory_order_acquire);
  if (gate != nullptr) {
    const Mode mode = gate->nvml_mode.load(std::memory_order_acquire);
    if (mode != Mode::kUnknown) return mode;
  }
  return EnterNvmlSlow();
}

// Valid once one of the above returned something else than kPass.
Shares& CurrentShares();

// The device of the calling thread's current context.
struct CurrentDevice {
  int ordinal = -1;
  Device* device = nullptr;
};

// What every hook that takes memory begins with: follows replaced limits and finds the current
// device. kPass also if there is no current context: the driver is to say so.
Mode PrepareAllocation(CurrentDevice* current);

// The granted device with this UUID, for NVML; `position` is its NVML index, -1 if unknown.
Device* FindNvmlDevice(const char* uuid, int position);

// Looks for room that nobody uses any more on a device: dead processes, emptied pools. True if some
// was found.
bool Reclaim(Device& device);

// Follows a limits file that was replaced. Cheap when none was.
void FollowLimits();

// Called before the real cuInit: makes the granted devices the visible ones (CUDA_VISIBLE_DEVICES),
// unless the application names UUIDs itself. Numbers count through the granted devices.
void ShowGrantedDevices();

}  // namespace hami::preload
