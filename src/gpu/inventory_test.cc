// SPDX-License-Identifier: Apache-2.0
//
// The inventory over a fake library: missing drivers, refusals, and the shapes of old drivers. The
// simulated driver, with everything a new one has, is the subject of tests/component/run.

#include "gpu/inventory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/bytes.h"
#include "gpu/context_cost.h"

namespace hami::gpu {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string FakeFolder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "lib/fake_nvml";
}

class InventoryTest : public ::testing::Test {
 protected:
  void TearDown() override {
    unsetenv("FAKE_NVML_INIT");
    unsetenv("FAKE_NVML_GPUS");
  }
  static Result<std::unique_ptr<Nvml>> Load() {
    return Nvml::Load({.library_folder = FakeFolder()});
  }
  static Error LoadError(int init_result) {
    setenv("FAKE_NVML_INIT", std::to_string(init_result).c_str(), 1);
    Result<std::unique_ptr<Nvml>> nvml = Load();
    return nvml ? Error(Code::kOk, "it loaded") : nvml.error();
  }
};

TEST_F(InventoryTest, NoLibraryIsUnavailable) {
  const Result<std::unique_ptr<Nvml>> nvml = Nvml::Load({.library_folder = "/no/such/folder"});
  ASSERT_FALSE(nvml);
  EXPECT_EQ(nvml.error().code, Code::kUnavailable);
  EXPECT_THAT(nvml.error().message, HasSubstr("no NVIDIA driver on this machine"));
}

TEST_F(InventoryTest, ABrokenLibraryIsNamed) {
  char folder[] = "/tmp/hami-inventory-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string nested = std::string(folder) + "/usr/lib64";
  std::filesystem::create_directories(nested);
  std::ofstream(nested + "/libnvidia-ml.so.1") << "not a library";
  const Result<std::unique_ptr<Nvml>> nvml = Nvml::Load({.root = folder});
  ASSERT_FALSE(nvml);
  EXPECT_EQ(nvml.error().code, Code::kUnavailable);
  EXPECT_THAT(nvml.error().message, HasSubstr(nested + "/libnvidia-ml.so.1"));
  std::filesystem::remove_all(folder);
}

TEST_F(InventoryTest, RefusalsOfTheDriverAreToldApart) {
  EXPECT_EQ(LoadError(NVML_ERROR_DRIVER_NOT_LOADED).code, Code::kUnavailable);
  EXPECT_THAT(LoadError(NVML_ERROR_DRIVER_NOT_LOADED).message,
              HasSubstr("no NVIDIA driver is loaded"));
  EXPECT_EQ(LoadError(NVML_ERROR_NO_PERMISSION).code, Code::kPermissionDenied);
  EXPECT_THAT(LoadError(NVML_ERROR_NO_PERMISSION).message, HasSubstr("/dev/nvidiactl"));
  EXPECT_EQ(LoadError(NVML_ERROR_LIB_RM_VERSION_MISMATCH).code, Code::kFailedPrecondition);
  EXPECT_EQ(LoadError(NVML_ERROR_UNKNOWN).code, Code::kInternal);
  EXPECT_EQ(LoadError(NVML_SUCCESS).code, Code::kOk);
}

TEST_F(InventoryTest, ReadsAnOldDriver) {
  const Result<std::unique_ptr<Nvml>> nvml = Load();
  ASSERT_TRUE(nvml) << nvml.error().message;
  const Result<Inventory> inventory = ReadInventory(**nvml);
  ASSERT_TRUE(inventory) << inventory.error().message;
  EXPECT_EQ(inventory->driver_version, "440.33.01");
  EXPECT_EQ(inventory->cuda_version, 0);
  EXPECT_EQ(inventory->simulation, "");
  EXPECT_EQ(inventory->library_folder, FakeFolder());
  ASSERT_EQ(inventory->devices.size(), 1U);
  const Device& device = inventory->devices[0];
  EXPECT_EQ(device.uuid, "GPU-aaaa0000-0000-0000-0000-000000000000");
  EXPECT_EQ(device.name, "Old GPU");
  EXPECT_EQ(device.minor, -1);
  EXPECT_EQ(device.memory_bytes, 16 * base::kGib);
  EXPECT_EQ(device.memory_used_bytes, base::kGib);
  EXPECT_EQ(device.memory_reserved_bytes, 0U);
  EXPECT_TRUE(device.processes_known);
}

TEST_F(InventoryTest, ProcessListsGrowAndMerge) {
  const Result<std::unique_ptr<Nvml>> nvml = Load();
  ASSERT_TRUE(nvml);
  nvmlDevice_t handle = nullptr;
  ASSERT_EQ((**nvml)->nvmlDeviceGetHandleByIndex_v2(0, &handle), NVML_SUCCESS);
  const Result<std::vector<DeviceProcess>> processes = ListProcesses(**nvml, handle);
  ASSERT_TRUE(processes);
  ASSERT_EQ(processes->size(), 13U);  // 12 compute, one that only draws
  EXPECT_EQ((*processes)[0].pid, 100);
  EXPECT_EQ((*processes)[0].used_bytes, base::kMib);
  EXPECT_EQ((*processes)[1].used_bytes, std::nullopt);
  EXPECT_EQ((*processes)[12].pid, 900);
}

TEST_F(InventoryTest, NoDeviceIsUnavailable) {
  setenv("FAKE_NVML_GPUS", "0", 1);
  const Result<std::unique_ptr<Nvml>> nvml = Load();
  ASSERT_TRUE(nvml);
  EXPECT_EQ(ReadInventory(**nvml).error().code, Code::kUnavailable);
}

TEST_F(InventoryTest, FindsDevicesByIndexAndUuid) {
  setenv("FAKE_NVML_GPUS", "2", 1);
  const Result<std::unique_ptr<Nvml>> nvml = Load();
  ASSERT_TRUE(nvml);
  const Result<Inventory> inventory = ReadInventory(**nvml);
  ASSERT_TRUE(inventory);
  const auto index_of = [&](const std::string& name) {
    const Result<const Device*> found = FindDevice(*inventory, name);
    return found ? (*found)->index : -1;
  };
  EXPECT_EQ(index_of("1"), 1);
  EXPECT_EQ(index_of("GPU-aaaa1000-0000-0000-0000-000000000000"), 1);
  EXPECT_EQ(index_of("GPU-aaaa0"), 0);
  EXPECT_EQ(index_of("GPU-aaaa"), -1);  // both
  EXPECT_EQ(index_of("2"), -1);
  EXPECT_EQ(index_of(""), -1);
  EXPECT_THAT(FindDevice(*inventory, "7").error().message, HasSubstr("there are:\n  0  GPU-aaaa0"));
  EXPECT_EQ(FindDevice(*inventory, "7").error().code, Code::kInvalidArgument);
}

TEST(LibraryCandidatesTest, FollowTheLocation) {
  EXPECT_THAT(LibraryCandidates({}, "libcuda.so.1"), ElementsAre("libcuda.so.1"));
  EXPECT_THAT(LibraryCandidates({.library_folder = "/sim/lib"}, "libcuda.so.1"),
              ElementsAre("/sim/lib/libcuda.so.1"));
  EXPECT_THAT(LibraryCandidates({.root = "/driver-root"}, "libcuda.so.1"),
              ::testing::Contains("/driver-root/usr/lib64/libcuda.so.1"));
}

TEST(ContextCostKeyTest, IsAFileName) {
  Inventory inventory;
  inventory.driver_version = "550.144.03";
  inventory.cuda_version = 12040;
  Device device;
  device.name = "NVIDIA A10/../x";
  EXPECT_EQ(ContextCostKey(inventory, device), "550.144.03-cuda12040-NVIDIA_A10_.._x");
}

TEST(ContextCostTest, AMachineWithoutCudaSaysWhy) {
  const Result<std::unique_ptr<Nvml>> nvml = Nvml::Load({.library_folder = FakeFolder()});
  ASSERT_TRUE(nvml);
  const Result<Inventory> inventory = ReadInventory(**nvml);
  ASSERT_TRUE(inventory);
  const Result<uint64_t> cost = ContextCost(**nvml, *inventory, inventory->devices[0],
                                            {.location = {.library_folder = FakeFolder()}});
  ASSERT_FALSE(cost);
  EXPECT_EQ(cost.error().code, Code::kUnavailable);
  EXPECT_THAT(cost.error().message, HasSubstr("libcuda.so.1 does not load"));
}

}  // namespace
}  // namespace hami::gpu
