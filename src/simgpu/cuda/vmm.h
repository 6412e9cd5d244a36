// SPDX-License-Identifier: Apache-2.0
//
// Virtual memory management: physical memory with handles, reserved addresses, mappings of the one
// at the other.

#pragma once

#include "simgpu/cuda/memory.h"

namespace hami::simgpu::cuda {

struct Multicast;

// Lives until all its handles are released and all its mappings are gone.
struct Physical : Object {
  static constexpr Kind kKind = Kind::kPhysical;
  uint32_t device;
  uint32_t handles;
  uint32_t mappings;
  uint64_t bytes;
  uint32_t shared_plus_1;  // its SharedMemory; 0: this process' own
  CUmemAllocationProp props;
  Multicast* multicast;  // a multicast object (multicast.h), which has no memory; else nullptr
};

// nullptr: no handle of physical memory or of a multicast object.
Physical* FindPhysical(CUmemGenericAllocationHandle handle);
// A reference beside handles and mappings.
void HoldPhysical(Physical* physical);
void LetPhysicalGo(Physical* physical);

// The entry of a mapped range; its `extra` is the Physical.
struct Mapping {
  Allocation allocation;
  uint8_t access[kMaxDevices];  // CUmemAccess_flags, by the machine's devices
};

// The mapping that the address lies in; nullptr: none.
Mapping* FindMapping(uint64_t address);

// The reservation that the address lies in, mapped or not.
bool FindReservation(uint64_t address, uint64_t* base, uint64_t* bytes);

}  // namespace hami::simgpu::cuda
