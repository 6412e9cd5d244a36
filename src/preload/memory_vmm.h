// SPDX-License-Identifier: Apache-2.0
//
// Physical memory and its mappings (memory_vmm.cc).

#pragma once

#include <cstdint>

#include "api/cuda/types.h"

namespace hami::preload {

struct Physical {
  uint64_t key;         // the handle
  uint64_t bytes;       // 0: a multicast object (multicast.cc)
  uint32_t references;  // handles, mappings and bindings
  int32_t ordinal;
};

// A reference to physical memory that is about to go. Handle values are reused by the driver as
// soon as the memory is gone, so the reference leaves the table before the driver is called and the
// refund follows when it has succeeded.
struct Dropped {
  CUmemGenericAllocationHandle handle;
  bool known;  // memory that we charged
  bool last;   // nothing refers to it any more; `physical` is what it was
  Physical physical;
};
Dropped Drop(CUmemGenericAllocationHandle handle);
void Finish(const Dropped& dropped);   // the driver has done it
void Restore(const Dropped& dropped);  // it has refused

// False: memory that we have not charged.
bool AddReference(CUmemGenericAllocationHandle handle);
bool FindPhysical(CUmemGenericAllocationHandle handle, Physical* physical);
// A new multicast object. False: no memory for the entry.
bool AddMulticast(CUmemGenericAllocationHandle handle, int ordinal);

// multicast.cc: the object is gone, and with it what was bound to it.
void ForgetBindings(CUmemGenericAllocationHandle multicast);
void ResetMulticastAfterFork();

void ResetVmmAfterFork();

}  // namespace hami::preload
