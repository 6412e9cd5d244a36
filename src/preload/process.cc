// SPDX-License-Identifier: Apache-2.0

#include "preload/process.h"

#include <cstddef>
#include <cstdlib>

#include "preload/compute.h"
#include "preload/contexts.h"
#include "preload/driver.h"
#include "preload/environment.h"
#include "preload/graph_memory.h"
#include "preload/log.h"
#include "preload/memory_arrays.h"
#include "preload/memory_plain.h"
#include "preload/memory_vmm.h"
#include "preload/modules.h"
#include "preload/pools.h"
#include "preload/sparse_arrays.h"
#include "preload/visible_devices.h"
#include "region/os.h"

namespace hami::preload {

constinit std::atomic<ForkGate*> fork_gate = nullptr;

namespace {

constinit Shares shares;
constinit bool attached_before = false;  // in this process or in the one it was forked from
constinit ForkGate fallback_gate = {};

// Without MADV_WIPEONFORK (Linux before 4.14) a fork is noticed by the PID, looked at in slow paths
// and before every refusal only; a child that forks and uses the same driver state is an error in
// CUDA anyway.
ForkGate* MakeGate() {
  bool supported = false;
  void* page = os::MapWipedOnFork(4096, &supported);
  ForkGate* made = page != nullptr ? static_cast<ForkGate*>(page) : &fallback_gate;
  if (!supported) Log(LogLevel::kInfo, "no MADV_WIPEONFORK: forks are noticed late");
  ForkGate* expected = nullptr;
  if (fork_gate.compare_exchange_strong(expected, made, std::memory_order_acq_rel)) return made;
  if (page != nullptr) os::Unmap(page, 4096);
  return expected;
}

ForkGate& Gate() {
  ForkGate* gate = fork_gate.load(std::memory_order_acquire);
  return gate != nullptr ? *gate : *MakeGate();
}

Mode ModeOf(Grant grant) {
  switch (grant) {
    case Grant::kNone:
      return Mode::kPass;
    case Grant::kLimitsFiles:
    case Grant::kEnvironment:
      return Mode::kLimit;
    case Grant::kBroken:
      return Mode::kRefuse;
  }
  return Mode::kRefuse;
}

// The gate's lock is held.
Mode FindSharesOnce(ForkGate& gate) {
  Mode mode = gate.nvml_mode.load(std::memory_order_relaxed);
  if (mode != Mode::kUnknown) return mode;
  if (attached_before) {
    // A forked child. What the tables describe is the parent's; its regions stay mapped.
    ResetDevicesAfterFork();
    ResetPlainMemoryAfterFork();
    ResetVmmAfterFork();
    ResetArraysAfterFork();
    ResetModulesAfterFork();
    ResetContextsAfterFork();
    ResetPoolsAfterFork();
    ResetGraphMemoryAfterFork();
    ResetComputeAfterFork();
  }
  attached_before = true;
  FindShares(&shares);
  mode = ModeOf(shares.grant);
  gate.nvml_mode.store(mode, std::memory_order_release);
  return mode;
}

}  // namespace

Shares& CurrentShares() { return shares; }

Mode EnterNvmlSlow() {
  ForkGate& gate = Gate();
  const SpinLock::Holder holder(gate.lock);
  return FindSharesOnce(gate);
}

Mode EnterCudaSlow() {
  ForkGate& gate = Gate();
  const SpinLock::Holder holder(gate.lock);
  Mode mode = gate.cuda_mode.load(std::memory_order_relaxed);
  if (mode != Mode::kUnknown) return mode;
  mode = FindSharesOnce(gate);
  if (mode == Mode::kLimit) {
    if (!MapOrdinals(&shares)) return Mode::kPass;  // the driver is not initialised yet
    if (!TakeSlots(&shares)) mode = Mode::kRefuse;
    StartCompute(&shares);
  }
  gate.cuda_mode.store(mode, std::memory_order_release);
  return mode;
}

Mode PrepareAllocation(CurrentDevice* current) {
  const Mode mode = EnterCuda();
  if (mode != Mode::kLimit) return mode;
  CUdevice ordinal = -1;
  if (cuda.cuCtxGetDevice(&ordinal) != CUDA_SUCCESS) return Mode::kPass;
  current->ordinal = ordinal;
  current->device = DeviceOfOrdinal(ordinal);
  if (current->device == nullptr) return Mode::kRefuse;
  FollowLimits();
  return Mode::kLimit;
}

Device* FindNvmlDevice(const char* uuid, int position) {
  const SpinLock::Holder holder(Gate().lock);
  return DeviceOfUuid(&shares, uuid, position);
}

bool Reclaim(Device& device) {
  const bool reaped = ReapShares(&shares) > 0;
  const bool emptied = ReconcilePools(device);
  const bool trimmed = ReconcileGraphMemory(device);
  const bool left = ReconcileSparseArrays(device);
  return reaped || emptied || trimmed || left;
}

void FollowLimits() {
  bool replaced = false;
  for (int i = 0; i < shares.count; ++i) {
    const Share& share = shares.entries[i];
    replaced = replaced || std::atomic_ref(share.mapping.region->ext.limits_generation)
                                   .load(std::memory_order_relaxed) != share.generation_seen;
  }
  if (!replaced) [[likely]] {
    return;
  }
  ForkGate& gate = Gate();
  const SpinLock::Holder holder(gate.lock);
  if (!RefreshLimits(&shares)) return;
  UpdateDeviceLimits(&shares);
  StartCompute(&shares);
}

void ShowGrantedDevices() {
  if (EnterNvml() != Mode::kLimit || shares.grant != Grant::kLimitsFiles) return;
  static char visible[api::kMaxDevices * kMaxShares * 48];
  const char* asked = FindEnvironment("CUDA_VISIBLE_DEVICES");
  // Without the variable every granted device, in the order of the share directories.
  constexpr char kAll[] =
      "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,"
      "27,28,29,30,31";
  const SpinLock::Holder holder(Gate().lock);
  const UuidOfNumber uuid_of = [](const void* granted, int number) {
    return GrantedUuid(*static_cast<const Shares*>(granted), number);
  };
  if (!TranslateVisibleDevices(asked != nullptr ? asked : kAll, uuid_of, &shares, visible,
                               sizeof(visible))) {
    return;
  }
  setenv("CUDA_VISIBLE_DEVICES", visible, 1);
  Log(LogLevel::kInfo, "CUDA_VISIBLE_DEVICES is %s", visible);
}

}  // namespace hami::preload
