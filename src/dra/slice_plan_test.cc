// SPDX-License-Identifier: Apache-2.0

#include "dra/slice_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/temporary_folder.h"
#include "dra/fake_claims.h"
#include "dra/slice_changes.h"

namespace hami::dra {
namespace {

using domain::ResourceSlice;
using domain::SliceDevice;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// What the published guide prints, with what its listing leaves out: allowMultipleAllocations, and
// the policies (ours gives 0 cores by default, docs/adr/0012).
constexpr char kGuideSlice[] =
    R"({"apiVersion":"resource.k8s.io/v1","kind":"ResourceSlice",)"
    R"("metadata":{"generateName":"ecs-a10-sh-hami-core-gpu.project-hami.io-",)"
    R"("ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"ecs-a10-sh",)"
    R"("uid":"n1","controller":true}]},)"
    R"("spec":{"driver":"hami-core-gpu.project-hami.io","nodeName":"ecs-a10-sh",)"
    R"("pool":{"name":"ecs-a10-sh","generation":0,"resourceSliceCount":1},)"
    R"("devices":[{"name":"hami-gpu-0","attributes":{)"
    R"("architecture":{"string":"Ampere"},)"
    R"("brand":{"string":"Nvidia"},)"
    R"("cudaComputeCapability":{"version":"8.6.0"},)"
    R"("cudaDriverVersion":{"version":"12.4.0"},)"
    R"("driverVersion":{"version":"550.144.3"},)"
    R"("minor":{"int":0},)"
    R"("pcieBusID":{"string":"0000:65:01.0"},)"
    R"("productName":{"string":"NVIDIA A10"},)"
    R"("resource.kubernetes.io/pcieRoot":{"string":"pci0000:64"},)"
    R"("type":{"string":"hami-gpu"},)"
    R"("uuid":{"string":"GPU-f1c7d08c-ae21-13e7-0de0-9eb14ff71eaf"}},)"
    R"("capacity":{)"
    R"("cores":{"value":"100","requestPolicy":{"default":"0",)"
    R"("validRange":{"min":"0","max":"100","step":"1"}}},)"
    R"("memory":{"value":"23028Mi","requestPolicy":{"default":"23028Mi",)"
    R"("validRange":{"min":"1Mi","max":"23028Mi","step":"1Mi"}}}},)"
    R"("allowMultipleAllocations":true}]}})";

class SlicePlanTest : public ::testing::Test {
 protected:
  SlicePlanTest() {
    // As the kernel has it: a link through every bridge on the way.
    const std::string device = "/devices/pci0000:64/0000:64:00.0/0000:65:01.0";
    EXPECT_TRUE(base::MakeFolders(sysfs_.path() + device, 0755));
    EXPECT_TRUE(base::MakeFolders(sysfs_ / "bus/pci/devices", 0755));
    EXPECT_EQ(
        symlink(("../../.." + device).c_str(), (sysfs_ / "bus/pci/devices/0000:65:01.0").c_str()),
        0);
  }

  SlicePlanInput Input(int gpus) const {
    SlicePlanInput input = {.node_name = kGuideNode, .sysfs = sysfs_.path()};
    input.inventory = {.driver_version = "550.144.03", .cuda_version = 12040};
    for (int number = 0; number < gpus; ++number) {
      input.inventory.devices.push_back(MakeA10(number));
    }
    return input;
  }

  static std::vector<std::string> NamesOf(const std::vector<ResourceSlice>& slices) {
    std::vector<std::string> names;
    for (const ResourceSlice& slice : slices) {
      for (const SliceDevice& device : slice.devices) names.push_back(device.name);
    }
    return names;
  }

  const base::TemporaryFolder sysfs_;
};

TEST_F(SlicePlanTest, TheGuidesA10) {
  const std::vector<ResourceSlice> slices = PlanSlices(Input(1));
  ASSERT_THAT(slices, SizeIs(1));
  EXPECT_EQ(domain::WriteResourceSlice(slices[0], {.node_name = kGuideNode, .node_uid = "n1"}),
            kGuideSlice);
}

// Contract section 4, fault 8: the order is what a scheduler's first fit goes by.
TEST_F(SlicePlanTest, GpusStandInTheOrderOfTheirMinorNumbers) {
  SlicePlanInput input = Input(3);
  std::ranges::reverse(input.inventory.devices);
  // As the driver lists them, which need not be by minor number.
  for (int index = 0; index < 3; ++index) input.inventory.devices[index].index = index;
  input.inventory.devices.push_back(MakeA10(9));
  input.inventory.devices.back().minor = 10;  // after 2, though "10" is less than "2"
  EXPECT_THAT(NamesOf(PlanSlices(input)),
              ElementsAre("hami-gpu-0", "hami-gpu-1", "hami-gpu-2", "hami-gpu-10"));
}

TEST_F(SlicePlanTest, WithoutMinorNumbersTheIndexCounts) {
  SlicePlanInput input = Input(2);
  for (gpu::Device& device : input.inventory.devices) device.minor = -1;
  const std::vector<ResourceSlice> slices = PlanSlices(input);
  EXPECT_THAT(NamesOf(slices), ElementsAre("hami-gpu-0", "hami-gpu-1"));
  EXPECT_EQ(slices[0].devices[1].attributes.at("minor"), domain::Attribute(int64_t{1}));
}

// Contract section 1.8: a 1.34 scheduler looks at the first device of a slice only.
TEST_F(SlicePlanTest, AnOldServerGetsASliceForEachGpu) {
  SlicePlanInput input = Input(3);
  input.server_minor = 34;
  const std::vector<ResourceSlice> slices = PlanSlices(input);
  ASSERT_THAT(slices, SizeIs(3));
  for (const ResourceSlice& slice : slices) {
    EXPECT_THAT(slice.devices, SizeIs(1));
    EXPECT_EQ(slice.pool_slices, 3);
    EXPECT_EQ(slice.pool_name, kGuideNode);
  }
  EXPECT_THAT(NamesOf(slices), ElementsAre("hami-gpu-0", "hami-gpu-1", "hami-gpu-2"));
  input.server_minor = 35;
  EXPECT_THAT(PlanSlices(input), SizeIs(1));
}

TEST_F(SlicePlanTest, WithoutGpusThePoolIsThereAndEmpty) {
  for (const int minor : {34, 36}) {
    SlicePlanInput input = Input(0);
    input.server_minor = minor;
    const std::vector<ResourceSlice> slices = PlanSlices(input);
    ASSERT_THAT(slices, SizeIs(1));
    EXPECT_THAT(slices[0].devices, IsEmpty());
    EXPECT_EQ(slices[0].pool_slices, 1);
    EXPECT_EQ(slices[0].node_name, kGuideNode);
  }
}

// Contract section 4, fault 5: virtual machines have no root to tell.
TEST_F(SlicePlanTest, AGpuWithoutAPcieRootIsPublishedWithoutIt) {
  const std::vector<ResourceSlice> slices = PlanSlices(Input(2));
  const SliceDevice& second = slices[0].devices[1];
  EXPECT_FALSE(second.attributes.contains("resource.kubernetes.io/pcieRoot"));
  EXPECT_EQ(second.attributes.at("pcieBusID"), domain::Attribute(std::string("0000:66:01.0")));

  SlicePlanInput input = Input(1);
  input.inventory.devices[0].pci_bus_id = "";
  EXPECT_FALSE(PlanSlices(input)[0].devices[0].attributes.contains("pcieBusID"));
}

// The server refuses the slice, and with it every GPU of the node, for one text that is too long
// (64 bytes); NVML's names may have 95.
TEST_F(SlicePlanTest, LongNamesAreCut) {
  SlicePlanInput input = Input(1);
  input.inventory.devices[0].name = std::string(95, 'n');
  const std::vector<ResourceSlice> slices = PlanSlices(input);
  EXPECT_EQ(slices[0].devices[0].attributes.at("productName"),
            domain::Attribute(std::string(64, 'n')));
}

TEST_F(SlicePlanTest, MemoryIsWholeMebibytes) {
  SlicePlanInput input = Input(1);
  input.inventory.devices[0].memory_bytes = 80 * base::kGib + base::kMib - 1;
  const domain::Capacity memory = PlanSlices(input)[0].devices[0].capacity.at("memory");
  EXPECT_EQ(memory.value, int64_t{80} << 30);
  EXPECT_EQ(domain::ChargeFor(memory, std::nullopt), int64_t{80} << 30);
  EXPECT_EQ(domain::ChargeFor(memory, 1), int64_t{1} << 20);
}

// Unlike HAMi's driver: pods that ask for memory alone share a GPU.
TEST_F(SlicePlanTest, CoresAreFreeByDefault) {
  const domain::Capacity cores = PlanSlices(Input(1))[0].devices[0].capacity.at("cores");
  EXPECT_EQ(domain::ChargeFor(cores, std::nullopt), 0);
  EXPECT_EQ(domain::ChargeFor(cores, 33), 33);
  EXPECT_EQ(domain::ChargeFor(cores, 101), std::nullopt);
}

TEST(DriverSemverTest, HasThreeNumbersWithoutLeadingZeros) {
  EXPECT_EQ(DriverSemver("550.144.03"), "550.144.3");
  EXPECT_EQ(DriverSemver("535.86.10"), "535.86.10");
  EXPECT_EQ(DriverSemver("450.80.02"), "450.80.2");
  EXPECT_EQ(DriverSemver("470.82"), "470.82.0");
  EXPECT_EQ(DriverSemver("470"), "470.0.0");
  EXPECT_EQ(DriverSemver("1.2.3.4"), "1.2.3");
  EXPECT_EQ(DriverSemver("550.00.000"), "550.0.0");
  EXPECT_EQ(DriverSemver("550..3"), "550.0.3");
  EXPECT_EQ(DriverSemver("550.144.03-beta"), "550.144.0");
  EXPECT_EQ(DriverSemver("550."), "550.0.0");
  EXPECT_EQ(DriverSemver(""), "0.0.0");
  EXPECT_EQ(DriverSemver("unknown"), "0.0.0");
}

// --- servers that drop fields -------------------------------------------------------------------

// What a server without consumable capacity keeps.
ResourceSlice Stripped(ResourceSlice slice) {
  for (SliceDevice& device : slice.devices) {
    device.shareable = false;
    for (auto& [name, capacity] : device.capacity) capacity.policy.reset();
  }
  return slice;
}

TEST_F(SlicePlanTest, WhatWasDroppedIsNamedByItsGate) {
  const ResourceSlice sent = PlanSlices(Input(2))[0];
  EXPECT_THAT(DroppedFields(sent, sent), IsEmpty());
  EXPECT_THAT(DroppedFields(sent, Stripped(sent)), ElementsAre("DRAConsumableCapacity"));
  ResourceSlice stored = sent;
  stored.devices[1].shareable = false;
  EXPECT_THAT(DroppedFields(sent, stored), ElementsAre("DRAConsumableCapacity"));
  stored = sent;
  stored.devices[1].capacity.at("memory").policy.reset();
  EXPECT_THAT(DroppedFields(sent, stored), ElementsAre("DRAConsumableCapacity"));
  const ResourceSlice empty = PlanSlices(Input(0))[0];
  EXPECT_THAT(DroppedFields(empty, empty), IsEmpty());
}

TEST_F(SlicePlanTest, TheSameIsTheSame) {
  const ResourceSlice wanted = PlanSlices(Input(2))[0];
  ResourceSlice stored = wanted;
  stored.name = "n";
  stored.uid = "u";
  stored.resource_version = "7";
  stored.pool_generation = 3;
  EXPECT_TRUE(SameContent(wanted, stored, {}));

  const auto differs = [&](auto edit) {
    ResourceSlice edited = stored;
    edit(&edited);
    return !SameContent(wanted, edited, {}) &&
           !SameContent(wanted, edited, {"DRAConsumableCapacity"});
  };
  EXPECT_TRUE(differs([](auto* slice) { slice->pool_name = "other"; }));
  EXPECT_TRUE(differs([](auto* slice) { slice->pool_slices = 2; }));
  EXPECT_TRUE(differs([](auto* slice) { slice->node_name = "other"; }));
  EXPECT_TRUE(differs([](auto* slice) { slice->devices.pop_back(); }));
  EXPECT_TRUE(differs([](auto* slice) { std::swap(slice->devices[0], slice->devices[1]); }));
  EXPECT_TRUE(differs([](auto* slice) { slice->devices[0].attributes.erase("uuid"); }));
  EXPECT_TRUE(differs([](auto* slice) { slice->devices[0].attributes["own"] = true; }));
  EXPECT_TRUE(differs([](auto* slice) { slice->devices[0].capacity.at("cores").value = 200; }));
  EXPECT_TRUE(differs([](auto* slice) { slice->devices[0].capacity.erase("cores"); }));
}

// Somebody who takes sharing away must not be taken for a server that does not know it.
TEST_F(SlicePlanTest, DroppedFieldsAreMissedUnlessTheServerDropsThem) {
  const ResourceSlice wanted = PlanSlices(Input(2))[0];
  const ResourceSlice stripped = Stripped(wanted);
  EXPECT_FALSE(SameContent(wanted, stripped, {}));
  EXPECT_TRUE(SameContent(wanted, stripped, {"DRAConsumableCapacity"}));
  ResourceSlice edited = stripped;
  edited.devices[0].attributes["productName"] = std::string("NVIDIA A11");
  EXPECT_FALSE(SameContent(wanted, edited, {"DRAConsumableCapacity"}));
}

TEST_F(SlicePlanTest, AServerThatDropsFieldsIsWrittenToOnce) {
  for (const int minor : {34, 36}) {
    SlicePlanInput input = Input(2);
    input.server_minor = minor;
    const std::vector<ResourceSlice> wanted = PlanSlices(input);
    const SliceChanges first = PlanChanges(wanted, {}, 0, {});
    ASSERT_THAT(first.create, SizeIs(wanted.size()));
    std::vector<ResourceSlice> stored;
    std::vector<std::string> dropped;
    for (const ResourceSlice& sent : first.create) {
      stored.push_back(Stripped(sent));
      stored.back().name = "slice-" + std::to_string(stored.size());
      dropped = DroppedFields(sent, stored.back());
    }
    EXPECT_TRUE(PlanChanges(wanted, stored, first.generation, dropped).empty());
    // A driver that has just started does not know what the server can; it may have learned.
    EXPECT_THAT(PlanChanges(wanted, stored, 0, {}).update, SizeIs(wanted.size()));
  }
}

}  // namespace
}  // namespace hami::dra
