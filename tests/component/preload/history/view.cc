// SPDX-License-Identifier: Apache-2.0

#include "tests/component/preload/history/view.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "region/ledger.h"

namespace hami::component {
namespace {

const void* Map(const std::string& path, size_t bytes) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  void* mapped = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (fd < 0 || mapped == MAP_FAILED) {
    std::perror(path.c_str());
    std::abort();
  }
  close(fd);
  return mapped;
}

}  // namespace

DriverView::DriverView(const Simulation& simulation)
    : state_(static_cast<const simgpu::State*>(
          Map(simulation.folder() + "/state", sizeof(simgpu::State)))) {}

DriverView::~DriverView() { munmap(const_cast<simgpu::State*>(state_), sizeof(simgpu::State)); }

uint64_t DriverView::UsedBytes() const {
  uint64_t bytes = 0;
  const uint32_t clients = __atomic_load_n(&state_->clients_high, __ATOMIC_ACQUIRE);
  for (uint32_t i = 0; i < clients; ++i) {
    const simgpu::Client& client = state_->clients[i];
    if (__atomic_load_n(&client.in_use, __ATOMIC_ACQUIRE) == 0) continue;
    bytes += __atomic_load_n(&client.devices[0].used_bytes, __ATOMIC_ACQUIRE);
  }
  return bytes;
}

RegionView::RegionView(const Share& share)
    : region_(static_cast<const api::Region*>(Map(share.region_path(), sizeof(api::Region)))) {}

RegionView::~RegionView() { munmap(const_cast<api::Region*>(region_), sizeof(api::Region)); }

uint64_t RegionView::TotalBytes() const {
  return region::TotalUnits(region_->ext, 0) * api::kChargeUnitBytes;
}

uint64_t RegionView::SlotBytes() const {
  uint64_t units = 0;
  for (uint32_t slot = 0; slot < region_->ext.slots_ever_used; ++slot) {
    units += region::SlotUnits(region_->ext, static_cast<int>(slot), 0);
  }
  return units * api::kChargeUnitBytes;
}

}  // namespace hami::component
