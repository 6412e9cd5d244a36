// SPDX-License-Identifier: Apache-2.0
//
// HAMi's monitor reads our regions and we read those of HAMi's library: byte for byte what
// tests/golden/region has.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "region/mapping.h"
#include "region/slots.h"

namespace hami::region {
namespace {

constexpr int64_t kMib = int64_t{1} << 20;

std::string ReadGolden() {
  std::ifstream file(HAMI_GOLDEN_REGION);
  size_t length = 0;
  file >> length;
  std::string bytes(length, '\0');
  size_t offset = 0;
  std::string hex;
  while (file >> offset >> hex) {
    for (size_t i = 0; i * 2 < hex.size(); ++i) {
      bytes.at(offset + i) = static_cast<char>(std::stoi(hex.substr(i * 2, 2), nullptr, 16));
    }
  }
  return bytes;
}

class GoldenTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/hami-golden-test-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    path_ = folder_ + "/region";
    ASSERT_EQ(golden_.size(), api::kRegionV1FileBytes);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  const std::string golden_ = ReadGolden();
  std::string folder_;
  std::string path_;
};

TEST_F(GoldenTest, WhatWeWriteIsHamisLayout) {
  Mapping mapping;
  const Identity identity = {.pid = 4711, .start_ticks = 1, .pid_namespace = 2};
  ASSERT_EQ(Attach(path_.c_str(), true, &identity, &mapping), AttachError::kNone);
  api::Region& region = *mapping.region;
  region.v1.device_count = 2;
  for (uint64_t device = 0; device < 2; ++device) {
    std::strcpy(region.v1.uuids[device], device == 0 ? "GPU-11111111-2222-3333-4444-555555555555"
                                                     : "GPU-66666666-7777-8888-9999-aaaaaaaaaaaa");
    region.v1.limit_bytes[device] = (4096 + device) * kMib;
    region.v1.limit_cores_pct[device] = 30 + device;
  }
  region.v1.processes[mapping.slot].host_pid = 815;
  ShowCharge(region, mapping.slot, 0, ChargeKind::kContext, 254 * kMib);
  ShowCharge(region, mapping.slot, 0, ChargeKind::kModule, 3 * kMib);
  ShowCharge(region, mapping.slot, 0, ChargeKind::kData, 1025 * kMib);
  ShowCharge(region, mapping.slot, 0, ChargeKind::kData, -kMib);
  ShowCharge(region, mapping.slot, 1, ChargeKind::kData, 2 * kMib);

  std::string ours(golden_.size(), '?');
  std::ifstream(path_, std::ios::binary)
      .read(ours.data(), static_cast<std::streamsize>(ours.size()));
  size_t wrong = 0;
  for (size_t i = 0; i < golden_.size() && wrong < 8; ++i) {
    if (ours[i] == golden_[i]) continue;
    ++wrong;
    ADD_FAILURE() << "byte " << i << " is " << +ours[i] << " instead of " << +golden_[i];
  }
}

TEST_F(GoldenTest, WhatHamisLibraryWroteIsRead) {
  std::ofstream(path_, std::ios::binary) << golden_;
  Mapping viewer;
  ASSERT_EQ(Attach(path_.c_str(), false, nullptr, &viewer), AttachError::kNone);
  const api::RegionV1& v1 = viewer.region->v1;
  EXPECT_EQ(v1.device_count, 2U);
  EXPECT_STREQ(v1.uuids[1], "GPU-66666666-7777-8888-9999-aaaaaaaaaaaa");
  EXPECT_EQ(v1.limit_bytes[0], 4096U * kMib);
  EXPECT_EQ(v1.limit_cores_pct[1], 31U);
  EXPECT_EQ(v1.process_count, 0) << "nobody holds the slot of its process";
  EXPECT_EQ(v1.processes[0].pid, 0);
}

TEST_F(GoldenTest, OtherVersionsAreRefused) {
  struct Other {
    const char* what;
    size_t offset;
    char byte;
  };
  for (const Other& other : {Other{"newer minor", 8, 3}, Other{"newer major", 4, 2},
                             Other{"older minor", 8, 1}, Other{"foreign magic", 0, 7}}) {
    std::string bytes = golden_;
    bytes[other.offset] = other.byte;
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
    Mapping mapping;
    EXPECT_EQ(Attach(path_.c_str(), true, nullptr, &mapping), AttachError::kNotARegion)
        << other.what;
  }
  // Before v1.0 a semaphore followed the magic number, and slots were shorter.
  std::string oldest(1848 + 1024 * 1168 + 64, '\0');
  std::memcpy(oldest.data(), golden_.data(), 4);
  oldest[8] = 1;
  std::ofstream(path_, std::ios::binary | std::ios::trunc) << oldest;
  Mapping mapping;
  EXPECT_EQ(Attach(path_.c_str(), true, nullptr, &mapping), AttachError::kNotARegion);
}

// Whatever was cut off, by a full disk or a stranger: no signal, and a region or a refusal.
TEST_F(GoldenTest, EveryTruncationIsMendedOrRefused) {
  const Identity identity = ReadIdentity();
  for (const size_t length : {size_t{0}, size_t{1}, size_t{3}, size_t{4}, size_t{11}, size_t{12},
                              size_t{4095}, size_t{4096}, golden_.size() - 1}) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << golden_.substr(0, length);
    Mapping mapping;
    const AttachError error = Attach(path_.c_str(), true, &identity, &mapping);
    const bool usable = length == 0 || length > 8;  // both version numbers are there
    EXPECT_EQ(error, usable ? AttachError::kNone : AttachError::kNotARegion) << length;
    if (error == AttachError::kNone) {
      EXPECT_EQ(mapping.slot, 0) << length;
    }
    std::filesystem::remove(path_);
  }
}

}  // namespace
}  // namespace hami::region
