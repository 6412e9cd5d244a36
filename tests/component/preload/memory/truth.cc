// SPDX-License-Identifier: Apache-2.0

#include "tests/component/preload/memory/truth.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "api/region/region.h"
#include "region/ledger.h"
#include "simgpu/state/shared_memory.h"

namespace hami::component {
namespace {

// A copy of the extension, read through an open file description of its own.
class RegionCopy {
 public:
  explicit RegionCopy(const Share& share)
      : fd_(open(share.region_path().c_str(), O_RDWR | O_CLOEXEC)),
        ext_(std::make_unique<api::RegionExtension>()) {
    if (fd_ < 0) return;
    const ssize_t got = pread(fd_, ext_.get(), sizeof(*ext_), api::kExtensionOffset);
    valid_ = got == static_cast<ssize_t>(sizeof(*ext_)) && ext_->magic == api::kExtensionMagic;
  }
  ~RegionCopy() {
    if (fd_ >= 0) close(fd_);
  }
  RegionCopy(const RegionCopy&) = delete;
  RegionCopy& operator=(const RegionCopy&) = delete;

  bool valid() const { return valid_; }
  const api::RegionExtension& ext() const { return *ext_; }

  bool IsAlive(int slot) const {
    if (ext_->slots[slot].state == static_cast<uint32_t>(api::SlotState::kFree)) return false;
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = api::kSlotLockOffset + slot;
    lock.l_len = 1;
    return fcntl(fd_, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  }

 private:
  int fd_;
  std::unique_ptr<api::RegionExtension> ext_;
  bool valid_ = false;
};

}  // namespace

uint64_t ChargedBytes(const Share& share) {
  const RegionCopy region(share);
  uint64_t units = 0;
  for (int slot = 0; region.valid() && slot < api::kMaxProcesses; ++slot) {
    if (region.IsAlive(slot)) units += region::UnitsOf(region.ext().slots[slot].charge[0]);
  }
  return units * api::kChargeUnitBytes;
}

uint64_t TotalBytes(const Share& share, int device) {
  const RegionCopy region(share);
  if (!region.valid()) return 0;
  return region::TotalUnits(region.ext(), device) * api::kChargeUnitBytes;
}

void SetHiddenBytes(const Share& share, uint64_t bytes) {
  const int fd = open(share.region_path().c_str(), O_WRONLY | O_CLOEXEC);
  const off_t at = api::kExtensionOffset + offsetof(api::RegionExtension, devices) +
                   offsetof(api::DeviceExtension, hidden_bytes);
  if (fd < 0 || pwrite(fd, &bytes, sizeof(bytes), at) != sizeof(bytes)) std::abort();
  close(fd);
}

uint64_t RefusedCount(const Share& share) {
  const RegionCopy region(share);
  return region.valid() ? region.ext().devices[0].refused : 0;
}

Observer::Observer(const Simulation& simulation) {
  const std::string path = simulation.folder() + "/state";
  if (simgpu::Attach(path.c_str(), true, &machine_) == simgpu::AttachStatus::kOk) return;
  std::fprintf(stderr, "cannot attach to %s\n", path.c_str());
  std::abort();
}

Observer::~Observer() { simgpu::Detach(&machine_); }

uint64_t Observer::UsedBytes() const {
  const simgpu::LockGuard guard(machine_);
  simgpu::State& state = *machine_.state;
  simgpu::ReapDead(machine_, state);
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < state.clients_high; ++i) {
    if (state.clients[i].in_use != 0) bytes += simgpu::HeldBytes(state, i, 0);
  }
  return bytes;
}

Tenant::Tenant(const std::string& memory, const std::string& profile, uint64_t context_bytes)
    : simulation(profile),
      share(simulation, {.memory = memory, .context_bytes = context_bytes}),
      observer(simulation),
      limit_bytes(Bytes(memory)) {}

Running Tenant::StartScript() const { return share.Start({.program = TestProgram("script")}); }

std::string Ask(Running& script, const std::string& line) {
  script.WriteLine(line);
  std::string answer = script.ReadLine();
  if (answer.ends_with('\n')) answer.pop_back();
  return answer;
}

}  // namespace hami::component
