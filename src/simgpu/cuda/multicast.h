// SPDX-License-Identifier: Apache-2.0
//
// Teams of devices and the memory that is bound to them, which a binding keeps alive: what is
// behind a multicast object (a handle as those of physical memory, without memory of its own) and
// behind a logical endpoint. Called with the process' lock held.

#pragma once

#include "simgpu/cuda/vmm.h"

namespace hami::simgpu::cuda {

struct Binding;

struct Multicast {
  uint32_t wanted_devices;
  uint32_t device_count;
  uint32_t devices[kMaxDevices];
  Binding* bindings;
};

struct BindRange {
  uint64_t offset;         // in the team's range
  uint64_t memory_offset;  // in the physical memory
  uint64_t bytes;
};

// Whether all devices of this process have it.
bool IsMulticastSupported();

// CUDA_ERROR_INVALID_VALUE: the team is complete, or has it already.
CUresult AddToTeam(Multicast* team, CUdevice ordinal);

// Binds physical memory to a team of a range of `team_bytes`. `ordinal`: the device that the caller
// named, nullptr if it names none.
CUresult BindPhysical(Multicast* team, uint64_t team_bytes, const CUdevice* ordinal,
                      Physical* physical, const BindRange& range, unsigned long long flags);
// The same of the memory that is mapped at an address; the range's memory_offset follows from it.
CUresult BindMapped(Multicast* team, uint64_t team_bytes, const CUdevice* ordinal, uint64_t address,
                    BindRange range, unsigned long long flags);
// Everything of a device that the range covers whole.
CUresult UnbindRange(Multicast* team, CUdevice ordinal, uint64_t offset, uint64_t bytes);

// The object is going: nothing is bound to it any more.
void DropBindings(Multicast* multicast);

// All devices of the team are there; only then may memory be bound and the object be mapped.
bool IsComplete(const Multicast& multicast);

}  // namespace hami::simgpu::cuda
