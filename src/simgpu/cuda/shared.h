// SPDX-License-Identifier: Apache-2.0
//
// Memory that this process shares with others: its own references to it, and its content, which
// lies in a file beside the machine's state. All functions need the process' lock.

#pragma once

#include "simgpu/cuda/memory.h"

namespace hami::simgpu::cuda {

// Memory of this process becomes shared; `shared_plus_1` (0 before) says as which from then on.
// False: there is no place for more.
bool Share(uint32_t device, uint64_t bytes, uint32_t* shared_plus_1);
// One reference of this process more, and one less; the last one lets go.
bool HoldImported(uint32_t index, uint32_t generation);
void KeepShared(uint32_t shared_plus_1);
void DropShared(uint32_t shared_plus_1);
// Gives memory of the device back, be it shared or not.
void GivePhysical(uint32_t device, uint64_t bytes, uint32_t shared_plus_1);

const SharedMemory& SharedOf(uint32_t shared_plus_1);

// The range shows the shared content from then on; `first` writes its present content there. Memory
// beyond the cap of content keeps what it has to itself. Discarding the content ends it.
void ShowSharedContent(uint32_t shared_plus_1, uint64_t address, uint64_t bytes, bool first);

// A descriptor that holds the memory as long as somebody has it; -1.
int ExportDescriptor(uint32_t shared_plus_1);
// A descriptor that names something else of this process by a number of 40 bits; -1.
int ExportNumber(uint64_t number);
bool ReadNumber(int fd, uint64_t* number);
// What a descriptor is for. False: it is none of these.
bool ReadDescriptor(int fd, uint32_t* index, uint32_t* generation);

}  // namespace hami::simgpu::cuda
