// SPDX-License-Identifier: Apache-2.0

#include "simgpu/profile/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "simgpu/profile/keys.h"

namespace hami::simgpu {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr char kSmall[] =
    "name: small\n"
    "driver: {version: 550.1, cuda: \"12.4\"}\n"
    "devices:\n"
    "  - name: Small GPU\n"
    "    compute_capability: \"8.6\"\n"
    "    memory: {total: 4GiB}\n"
    "    multiprocessors: {count: 4}\n";

std::string Shipped(const std::string& name) { return std::string(HAMI_PROFILES "/") + name; }

// What is said of kSmall with `from` replaced by `to`.
std::string Complaint(const std::string& from, const std::string& to) {
  std::string text = kSmall;
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  const Result<Profile> profile = ParseProfile(text, "f.yaml");
  EXPECT_FALSE(profile.has_value()) << text;
  if (profile.has_value()) return "";
  EXPECT_EQ(profile.error().code, Code::kInvalidArgument);
  return profile.error().message;
}

TEST(ProfileTest, TheGuidesA10IsAsTheGuidePrintsIt) {
  const Result<Profile> profile = LoadProfile(Shipped("a10-550.yaml"));
  ASSERT_TRUE(profile.has_value()) << profile.error().message;
  EXPECT_EQ(profile->driver_version, "550.144.03");
  EXPECT_EQ(profile->cuda_version, 12040U);
  ASSERT_EQ(profile->DeviceCount(), 1U);
  const DeviceProfile& device = profile->devices[0];
  EXPECT_EQ(device.name, "NVIDIA A10");
  EXPECT_EQ(device.uuid, "GPU-f1c7d08c-ae21-13e7-0de0-9eb14ff71eaf");
  EXPECT_EQ(device.memory_bytes, uint64_t{23028} << 20);
  EXPECT_EQ(device.pci_address, "0000:65:01.0");
  EXPECT_EQ(device.compute_capability, 86U);
  EXPECT_EQ(device.brand, "Nvidia");
}

class ShippedProfile : public testing::TestWithParam<const char*> {};

TEST_P(ShippedProfile, ReadsAndSurvivesWriting) {
  const Result<Profile> profile = LoadProfile(Shipped(GetParam()));
  ASSERT_TRUE(profile.has_value()) << profile.error().message;
  const std::string written = WriteProfile(*profile);
  const Result<Profile> again = ParseProfile(written, "written");
  ASSERT_TRUE(again.has_value()) << again.error().message << "\n" << written;
  EXPECT_EQ(WriteProfile(*again), written);
  for (const Key<DeviceProfile>& key : DeviceKeys()) {
    EXPECT_EQ(key.Get(again->devices[0]), key.Get(profile->devices[0])) << key.path;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ShippedProfile,
                         testing::Values("a10-550.yaml", "a10-580.yaml", "h200-580.yaml",
                                         "t4-440.yaml"));

TEST(ProfileTest, ReadmeNamesEveryKey) {
  const Result<std::string> readme = base::ReadFile(Shipped("README.md"), 1 << 20);
  ASSERT_TRUE(readme.has_value());
  for (const Key<DeviceProfile>& key : DeviceKeys()) {
    const size_t dot = key.path.rfind('.');
    const std::string last(dot == std::string_view::npos ? key.path : key.path.substr(dot));
    EXPECT_THAT(*readme, HasSubstr(last)) << key.path;
  }
}

TEST(ProfileTest, MissingValuesHaveDefaults) {
  const Result<Profile> profile = ParseProfile(kSmall, "f.yaml");
  ASSERT_TRUE(profile.has_value()) << profile.error().message;
  EXPECT_EQ(profile->devices[0].count, 1U);
  EXPECT_EQ(profile->devices[0].granularity_bytes, uint64_t{2} << 20);
  EXPECT_TRUE(profile->kernels.empty());
}

TEST(ProfileTest, SeveralDevicesAndKernels) {
  const Result<Profile> profile = ParseProfile(std::string(kSmall) +
                                                   "  - {name: B, count: 3, compute_capability: "
                                                   "\"9.0\", memory: {total: 80GiB},\n"
                                                   "     multiprocessors: {count: 132}}\n"
                                                   "kernels: {scale: 10us, reduce: 2ms,\n"
                                                   "          spin: param0, \"gemm_*\": param3}\n",
                                               "f.yaml");
  ASSERT_TRUE(profile.has_value()) << profile.error().message;
  EXPECT_EQ(profile->DeviceCount(), 4U);
  EXPECT_THAT(
      profile->kernels,
      testing::ElementsAre(KernelTime{"scale", 10'000, -1}, KernelTime{"reduce", 2'000'000, -1},
                           KernelTime{"spin", 0, 0}, KernelTime{"gemm_*", 0, 3}));
  EXPECT_EQ(ParseProfile(WriteProfile(*profile), "again")->kernels, profile->kernels);
}

TEST(ProfileTest, MigInstancesAreNamedAsProducts) {
  std::string text = kSmall;
  text.insert(text.find("    memory:"), "    mig: true\n    mig_instances: 1g.1gb  2g.2gb\n");
  const Result<Profile> profile = ParseProfile(text, "f.yaml");
  ASSERT_TRUE(profile.has_value()) << profile.error().message;
  EXPECT_EQ(ParseProfile(WriteProfile(*profile), "again")->devices[0].mig_instances,
            profile->devices[0].mig_instances);
  const auto instances = ParseMigInstances(profile->devices[0].mig_instances);
  ASSERT_TRUE(instances.has_value());
  ASSERT_EQ(instances->size(), 2U);
  EXPECT_EQ((*instances)[1].name, "2g.2gb");
  EXPECT_EQ((*instances)[1].slices, 2U);
  EXPECT_EQ((*instances)[1].memory_gib, 2U);
  const auto complaint = [](const std::string& more) {
    return Complaint("name: Small GPU", "name: A\n    " + more);
  };
  EXPECT_THAT(complaint("mig_instances: 1g.1gb"), HasSubstr("mig: true"));
  EXPECT_THAT(complaint("mig_instances: 8g.1gb"), HasSubstr("not a MIG profile"));
  EXPECT_THAT(complaint("mig_instances: 1g.1"), HasSubstr("not a MIG profile"));
  EXPECT_THAT(complaint("mig_instances: g.gb"), HasSubstr("not a MIG profile"));
  EXPECT_THAT(complaint("mig: true\n    mig_instances: 4g.1gb 4g.1gb"), HasSubstr("8 slices"));
  EXPECT_THAT(complaint("mig: true\n    mig_instances: 1g.3gb 1g.2gb"), HasSubstr("more memory"));
}

TEST(ProfileTest, ErrorsNameFileLineKeyAndWhatIsAllowed) {
  EXPECT_THAT(Complaint("{total: 4GiB}", "{totl: 4GiB}"),
              AllOf(HasSubstr("f.yaml:6: devices[0].memory.totl: is not known"),
                    HasSubstr("total, reserved")));
  EXPECT_THAT(Complaint("name: small", "nome: small"),
              AllOf(HasSubstr("f.yaml:1: nome: is not known"), HasSubstr("devices")));
  EXPECT_THAT(Complaint("4GiB", "4GB"),
              AllOf(HasSubstr("devices[0].memory.total: \"4GB\""), HasSubstr("TiB, GiB")));
  EXPECT_THAT(Complaint("4GiB", "4096"), HasSubstr("units"));
  EXPECT_THAT(Complaint("4GiB", "4.5GiB"), HasSubstr("whole number"));
  EXPECT_THAT(Complaint("4GiB", "-4GiB"), HasSubstr("whole number"));
  EXPECT_THAT(Complaint("4GiB", "99999999999999999999GiB"), HasSubstr("whole number"));
  EXPECT_THAT(Complaint("4GiB", "9999999999TiB"), HasSubstr("too large"));
  EXPECT_THAT(Complaint("4GiB", "1MiB"), HasSubstr("1MiB is out of range: 64MiB to 4TiB"));
  EXPECT_THAT(Complaint("{total: 4GiB}", "{total: [1, 2]}"), HasSubstr("needs one value"));
  EXPECT_THAT(Complaint("{total: 4GiB}", "4GiB"), HasSubstr("needs keys with values"));
  EXPECT_THAT(Complaint("{total: 4GiB}", "{total: 4GiB, total: 4GiB}"), HasSubstr("stands twice"));
  EXPECT_THAT(Complaint("{total: 4GiB}", "{reserved: 1GiB}"),
              HasSubstr("devices[0].memory.total: is missing"));
  EXPECT_THAT(Complaint("{total: 4GiB}", "{total: 4GiB, reserved: 4GiB}"),
              HasSubstr("leave nothing"));
  EXPECT_THAT(Complaint("\"8.6\"", "\"86\""), HasSubstr("\"8.6\""));
  EXPECT_THAT(Complaint("\"12.4\"", "\"9.0\""), HasSubstr("out of range: 10.2 to 19.9"));
  EXPECT_THAT(Complaint("550.1", "390.1"), HasSubstr("from 440 on"));
  EXPECT_THAT(Complaint("550.1", "five"), HasSubstr("from 440 on"));
  EXPECT_THAT(Complaint("name: Small GPU", "count: 65"), HasSubstr("out of range: 1 to 64"));
  EXPECT_THAT(Complaint("name: Small GPU", "name: A\n    uuid: GPU-1"), HasSubstr("8-4-4-4-12"));
  EXPECT_THAT(Complaint("name: Small GPU", "name: A\n    brand: AMD"), HasSubstr("Tesla"));
  EXPECT_THAT(Complaint("name: Small GPU", "name: A\n    ecc: yes"), HasSubstr("true nor false"));
  EXPECT_THAT(Complaint("name: Small GPU", "name: A\n    pci: {address: 65:01.0}"),
              HasSubstr("0000:65:01.0"));
  EXPECT_THAT(Complaint("name: Small GPU", "name: A\n    pci: {device_id: 2236}"),
              HasSubstr("hexadecimal"));
  EXPECT_THAT(Complaint("name: Small GPU", "name: A\n    temperature: {idle: 90C}"),
              HasSubstr("do not rise"));
  EXPECT_THAT(Complaint("devices:", "kernels: {k: 10}\ndevices:"), HasSubstr("kernels.k"));
  EXPECT_THAT(Complaint("devices:", "kernels: {k: param}\ndevices:"), HasSubstr("param0 to"));
  EXPECT_THAT(Complaint("devices:", "kernels: {k: param10}\ndevices:"), HasSubstr("kernels.k"));
  EXPECT_THAT(Complaint("name: small", "name: [small"), HasSubstr("not YAML"));
}

TEST(ProfileTest, WholeDocumentOfAnotherKind) {
  EXPECT_FALSE(ParseProfile("", "f").has_value());
  EXPECT_FALSE(ParseProfile("- 1\n", "f").has_value());
  EXPECT_FALSE(
      ParseProfile("name: a\ndriver: {version: 550.1, cuda: \"12.4\"}\n", "f").has_value());
  EXPECT_FALSE(LoadProfile("/nowhere.yaml").has_value());
}

TEST(ProfileTest, DeviceCountCanBeChosen) {
  const Result<Profile> eight = WithDeviceCount(*ParseProfile(kSmall, "f"), 8);
  ASSERT_TRUE(eight.has_value());
  EXPECT_EQ(eight->DeviceCount(), 8U);
  EXPECT_FALSE(WithDeviceCount(*ParseProfile(kSmall, "f"), 0).has_value());
  EXPECT_FALSE(WithDeviceCount(*ParseProfile(kSmall, "f"), 65).has_value());
}

TEST(DriverBranchTest, IsTheFirstNumber) {
  EXPECT_EQ(DriverBranch("550.144.03"), 550);
  EXPECT_EQ(DriverBranch("550"), 0);
  EXPECT_EQ(DriverBranch(""), 0);
}

}  // namespace
}  // namespace hami::simgpu
