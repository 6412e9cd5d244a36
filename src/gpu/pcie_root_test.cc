// SPDX-License-Identifier: Apache-2.0

#include "gpu/pcie_root.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/temporary_folder.h"

namespace hami::gpu {
namespace {

TEST(PcieRootTest, IsTheFirstPartOfTheLinksTarget) {
  const base::TemporaryFolder folder;
  const std::filesystem::path sysfs = folder.path();
  std::filesystem::create_directories(sysfs / "devices/pci0000:64/0000:64:00.0/0000:65:01.0");
  std::filesystem::create_directories(sysfs / "bus/pci/devices");
  std::filesystem::create_symlink("../../../devices/pci0000:64/0000:64:00.0/0000:65:01.0",
                                  sysfs / "bus/pci/devices/0000:65:01.0");
  EXPECT_EQ(FindPcieRoot(sysfs, "0000:65:01.0"), "pci0000:64");
}

TEST(PcieRootTest, IsMissingWhereTheKernelDoesNotTell) {
  const base::TemporaryFolder folder;
  const std::filesystem::path sysfs = folder.path();
  EXPECT_EQ(FindPcieRoot(sysfs, "0000:65:01.0"), std::nullopt);
  std::filesystem::create_directories(sysfs / "devices/vmbus/0000:65:01.0");
  std::filesystem::create_directories(sysfs / "bus/pci/devices");
  std::filesystem::create_symlink("../../../devices/vmbus/0000:65:01.0",
                                  sysfs / "bus/pci/devices/0000:65:01.0");
  EXPECT_EQ(FindPcieRoot(sysfs, "0000:65:01.0"), std::nullopt);
}

}  // namespace
}  // namespace hami::gpu
