// SPDX-License-Identifier: Apache-2.0

#include "simctl/machine_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "simctl/builtin_profiles.h"
#include "simgpu/state/fake_machine.h"
#include "simgpu/state/os.h"

namespace hami::simctl {
namespace {

using simgpu::AttachedMachine;
using simgpu::Child;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

constexpr uint64_t kMib = uint64_t{1} << 20;

class MachineStateTest : public testing::Test {
 protected:
  MachineStateTest() {
    folder_ = std::filesystem::temp_directory_path() / "hami-simctl-XXXXXX";
    if (mkdtemp(folder_.data()) == nullptr) abort();
  }
  ~MachineStateTest() override { std::filesystem::remove_all(folder_); }

  std::string Path() const { return folder_ + "/state"; }

  void Create(const char* profile, uint64_t gpus = 1) const {
    Result<simgpu::Profile> loaded = LoadBuiltinProfile(profile);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    loaded = simgpu::WithDeviceCount(std::move(*loaded), gpus);
    const Status created = CreateMachineState(*loaded, "test", Path());
    ASSERT_TRUE(created.has_value()) << created.error().message;
  }

 private:
  std::string folder_;
};

TEST_F(MachineStateTest, HoldsWhatTheProfileSays) {
  Create("a10-550");
  const AttachedMachine machine(Path(), true);
  const simgpu::MachineConfig& config = machine.state().config;
  EXPECT_STREQ(config.name, "test");
  EXPECT_STREQ(config.driver_version, "550.144.03");
  EXPECT_EQ(config.cuda_version, 12040U);
  EXPECT_EQ(config.proc_address_aliases, 1U);
  ASSERT_EQ(config.device_count, 1U);
  const simgpu::DeviceConfig& device = config.devices[0];
  EXPECT_STREQ(device.name, "NVIDIA A10");
  EXPECT_STREQ(device.uuid, "GPU-f1c7d08c-ae21-13e7-0de0-9eb14ff71eaf");
  EXPECT_EQ(device.compute_capability, 86U);
  EXPECT_EQ(device.pci_bus, 0x65U);
  EXPECT_EQ(device.pci_device, 1U);
  EXPECT_EQ(device.memory_bytes, 23028 * kMib);
  EXPECT_EQ(simgpu::UsableBytes(device), 22731 * kMib);
  EXPECT_EQ(device.context_bytes, 254 * kMib);
  EXPECT_EQ(device.multiprocessors, 72U);
  EXPECT_EQ(device.max_mhz[1], 6251U);
  EXPECT_EQ(device.time_slice_ns, 2'000'000U);
  EXPECT_EQ(device.host_to_device_bps, 24'000'000'000U);
  ASSERT_EQ(config.kernel_rule_count, 1U);
  EXPECT_STREQ(config.kernel_rules[0].name, "hami_spin");
  EXPECT_EQ(config.kernel_rules[0].param_index, 0);
}

TEST_F(MachineStateTest, DevicesOfOneEntryDiffer) {
  Create("h200-580", 3);
  const AttachedMachine machine(Path(), true);
  const simgpu::MachineConfig& config = machine.state().config;
  ASSERT_EQ(config.device_count, 3U);
  EXPECT_STRNE(config.devices[0].uuid, config.devices[2].uuid);
  EXPECT_EQ(config.devices[2].minor, 2U);
  EXPECT_EQ(config.devices[2].pci_bus, config.devices[0].pci_bus + 2);
}

TEST_F(MachineStateTest, ShowsWhoHoldsWhat) {
  Create("a10-550", 2);
  Child child([&](Child& self) {
    const AttachedMachine own(Path());
    EXPECT_TRUE(own.Reserve(300 * kMib, 1));
    self.SayReady();
    Child::StayForever();
  });
  ASSERT_EQ(child.WaitReady(), 0);
  const AttachedMachine own(Path());
  ASSERT_TRUE(own.Reserve(5 * kMib, 1));
  const auto pid = static_cast<uint32_t>(simgpu::os::OuterProcessId());
  {
    const auto devices = ReadMachineState(Path());
    ASSERT_TRUE(devices.has_value()) << devices.error().message;
    ASSERT_EQ(devices->size(), 2U);
    EXPECT_EQ((*devices)[0].used_bytes, 0U);
    EXPECT_EQ((*devices)[1].used_bytes, 305 * kMib);
    ASSERT_EQ((*devices)[1].processes.size(), 2U);
    EXPECT_EQ((*devices)[1].processes[1].pid, pid);
    EXPECT_EQ((*devices)[1].processes[1].memory_bytes, 5 * kMib);
  }
  const auto clients = ListClients(Path());
  ASSERT_TRUE(clients.has_value());
  EXPECT_EQ(clients->size(), 2U);
  EXPECT_THAT(*clients, testing::Contains(pid));
  child.Kill();
  EXPECT_THAT(*ListClients(Path()), UnorderedElementsAre(pid));
  EXPECT_EQ((*ReadMachineState(Path()))[1].used_bytes, 5 * kMib);
}

TEST_F(MachineStateTest, ErrorsNameTheFile) {
  Create("a10-550");
  const Status again = CreateMachineState(*LoadBuiltinProfile("a10-550"), "test", Path());
  ASSERT_FALSE(again.has_value());
  EXPECT_THAT(again.error().message, HasSubstr(Path()));
  const auto nowhere = ReadMachineState(Path() + "2");
  ASSERT_FALSE(nowhere.has_value());
  EXPECT_EQ(nowhere.error().code, Code::kNotFound);
  std::ofstream(Path()) << "not a state";
  const auto broken = ListClients(Path());
  ASSERT_FALSE(broken.has_value());
  EXPECT_EQ(broken.error().code, Code::kFailedPrecondition);
  EXPECT_THAT(broken.error().message, HasSubstr("hami sim reset"));
}

}  // namespace
}  // namespace hami::simctl
