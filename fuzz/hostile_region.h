// SPDX-License-Identifier: Apache-2.0
//
// For fuzz targets: a region in memory that a tenant has written over. The input is a list of
// writes of 12 bytes each: which part, which field of it, which entry, and the eight bytes that are
// put there; so every word of the file can be reached, the few that decide anything soon.

#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <string>

#include "api/region/region.h"

namespace hami::fuzz {

inline void Require(bool holds) {
  if (!holds) abort();
}

class HostileRegion {
 public:
  HostileRegion() : fd_(memfd_create("region", 0)) { Require(fd_ >= 0); }

  // A path that leads to it.
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }
  int fd() const { return fd_; }

  // A sound region without processes.
  void MakeAnew() const {
    Require(ftruncate(fd_, 0) == 0 && ftruncate(fd_, api::kRegionFileBytes) == 0);
    Put(offsetof(api::RegionV1, initialized), api::kRegionMagic);
    Put(offsetof(api::RegionV1, major_version), api::kRegionMajor);
    Put(offsetof(api::RegionV1, minor_version), api::kRegionMinor);
    Put(offsetof(api::RegionV1, utilization_switch), int32_t{1});
    Put(offsetof(api::RegionV1, recent_kernel), int32_t{2});
    Put(offsetof(api::RegionV1, device_count), uint64_t{2});
    Put(offsetof(api::RegionV1, uuids), "GPU-0");
    Put(InExtension(offsetof(api::RegionExtension, magic)), api::kExtensionMagic);
    Put(InExtension(offsetof(api::RegionExtension, version)), api::kExtensionVersion);
    Put(InExtension(offsetof(api::RegionExtension, bytes)),
        static_cast<uint32_t>(sizeof(api::RegionExtension)));
  }

  // A file that is cut ends who has it mapped: `may_cut` for who has not.
  void Scribble(const uint8_t* data, size_t bytes, bool may_cut) const {
    for (; bytes >= kWriteBytes; data += kWriteBytes, bytes -= kWriteBytes) {
      uint16_t entry = 0;
      uint64_t word = 0;
      memcpy(&entry, data + 2, sizeof(entry));
      memcpy(&word, data + 4, sizeof(word));
      if (may_cut || data[0] % kParts != kLength) Write(data[0], data[1], entry, word);
    }
  }

 private:
  static constexpr size_t kWriteBytes = 12;
  enum Part : uint8_t {
    kHeader,
    kShownSlot,
    kTail,
    kExtension,
    kDevice,
    kSlot,
    kAllSlots,
    kLength,
    kParts
  };

  static size_t InExtension(size_t offset) { return api::kExtensionOffset + offset; }
  static size_t SlotField(size_t slot, size_t field) {
    return InExtension(offsetof(api::RegionExtension, slots)) + slot * sizeof(api::SlotExtension) +
           field % (sizeof(api::SlotExtension) / 8) * 8;
  }

  template <typename T>
  void Put(size_t offset, const T& value) const {
    Require(pwrite(fd_, &value, sizeof(value), static_cast<off_t>(offset)) == sizeof(value));
  }

  void Write(uint8_t part, uint8_t field, uint16_t entry, uint64_t word) const {
    const size_t slot = entry % api::kMaxProcesses;
    const size_t device = entry % api::kMaxDevices;
    switch (part % kParts) {
      case kHeader:
        return Put(entry % (offsetof(api::RegionV1, processes) / 8) * 8, word);
      case kShownSlot:
        return Put(offsetof(api::RegionV1, processes) + slot * sizeof(api::ProcessSlot) +
                       field % (sizeof(api::ProcessSlot) / 8) * 8,
                   word);
      case kTail:
        return Put(offsetof(api::RegionV1, process_count) + field % 7 * 8, word);
      case kExtension:
        return Put(InExtension(field % 20 * 8), word);
      case kDevice:
        return Put(InExtension(offsetof(api::RegionExtension, devices)) +
                       device * sizeof(api::DeviceExtension) + field % 16 * 8,
                   word);
      case kSlot:
        return Put(SlotField(slot, field), word);
      case kAllSlots:
        for (size_t i = 0; i <= slot; ++i) Put(SlotField(i, field), word);
        return;
      case kLength:
        Require(ftruncate(fd_, static_cast<off_t>(word % (2 * api::kRegionFileBytes))) == 0);
        return;
    }
  }

  int fd_;
};

}  // namespace hami::fuzz
