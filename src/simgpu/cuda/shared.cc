// SPDX-License-Identifier: Apache-2.0

#include "simgpu/cuda/shared.h"

#include <stdio.h>

#include "simgpu/state/os.h"
#include "simgpu/state/shared_memory.h"

namespace hami::simgpu::cuda {
namespace {

uint32_t references[kMaxShared];  // of this process

// A descriptor stands where nothing is, and says by that what it is for. Files of some systems end
// at 16 TiB.
constexpr int64_t kPositionTag = int64_t{1} << 42;
constexpr int64_t kNumberTag = int64_t{1} << 43;

State& TheState() { return *process.machine.state; }

// The content's file, made when it is missing; -1.
int OpenContent(uint32_t index) {
  char path[kMaxStatePath + 32];
  const SharedMemory& memory = TheState().shared[index];
  const int wanted = snprintf(path, sizeof(path), "%s.shared-%u-%u", process.machine.path, index,
                              memory.generation);
  if (wanted < 0 || static_cast<size_t>(wanted) >= sizeof(path)) return -1;
  return os::MakeFile(path, memory.bytes);
}

void RemoveContent(uint32_t index, uint32_t generation) {
  char path[kMaxStatePath + 32];
  snprintf(path, sizeof(path), "%s.shared-%u-%u", process.machine.path, index, generation);
  os::RemoveFile(path);
}

}  // namespace

bool Share(uint32_t device, uint64_t bytes, uint32_t* shared_plus_1) {
  LockGuard guard(process.machine);
  const int index = ShareMemory(process.machine, TheState(), device, bytes);
  if (index < 0) return false;
  references[index] = 1;
  *shared_plus_1 = static_cast<uint32_t>(index) + 1;
  return true;
}

bool HoldImported(uint32_t index, uint32_t generation) {
  LockGuard guard(process.machine);
  if (!HoldShared(process.machine, TheState(), index, generation)) return false;
  ++references[index];
  return true;
}

void KeepShared(uint32_t shared_plus_1) { ++references[shared_plus_1 - 1]; }

void DropShared(uint32_t shared_plus_1) {
  const uint32_t index = shared_plus_1 - 1;
  if (--references[index] > 0) return;
  LockGuard guard(process.machine);
  const SharedMemory& memory = TheState().shared[index];
  const uint32_t generation = memory.generation;
  LeaveShared(process.machine, TheState(), index);
  if (memory.in_use == 0) RemoveContent(index, generation);
}

void GivePhysical(uint32_t device, uint64_t bytes, uint32_t shared_plus_1) {
  if (shared_plus_1 == 0)
    GivePhysical(device, bytes);
  else
    DropShared(shared_plus_1);
}

const SharedMemory& SharedOf(uint32_t shared_plus_1) {
  return TheState().shared[shared_plus_1 - 1];
}

void ShowSharedContent(uint32_t shared_plus_1, uint64_t address, uint64_t bytes, bool first) {
  const int fd = OpenContent(shared_plus_1 - 1);
  if (fd < 0) return;
  MapContent(address, bytes, fd, first);
  os::Close(fd);
}

int ExportDescriptor(uint32_t shared_plus_1) {
  const uint32_t index = shared_plus_1 - 1;
  const int fd = ReopenState(process.machine);
  if (fd < 0) return -1;
  const int64_t position = kPositionTag | int64_t{SharedOf(shared_plus_1).generation} << 16 | index;
  os::SetPosition(fd, position);
  if (os::TryLockWithOthers(fd, kSharedLockOffset + index)) return fd;
  os::Close(fd);
  return -1;
}

int ExportNumber(uint64_t number) {
  const int fd = ReopenState(process.machine);
  if (fd >= 0) os::SetPosition(fd, kNumberTag | static_cast<int64_t>(number));
  return fd;
}

bool ReadNumber(int fd, uint64_t* number) {
  if (!os::IsSameFile(fd, process.machine.file_device, process.machine.file_inode)) return false;
  const int64_t position = os::Position(fd);
  if ((position & (kPositionTag | kNumberTag)) != kNumberTag) return false;
  *number = static_cast<uint64_t>(position & ~kNumberTag);
  return true;
}

bool ReadDescriptor(int fd, uint32_t* index, uint32_t* generation) {
  if (!os::IsSameFile(fd, process.machine.file_device, process.machine.file_inode)) return false;
  const int64_t position = os::Position(fd);
  if ((position & (kPositionTag | kNumberTag)) != kPositionTag) return false;
  *index = static_cast<uint32_t>(position & 0xffff);
  *generation = static_cast<uint32_t>(position >> 16) & kSharedGenerations;
  return *index < kMaxShared;
}

}  // namespace hami::simgpu::cuda
