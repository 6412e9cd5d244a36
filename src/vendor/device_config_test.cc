// SPDX-License-Identifier: Apache-2.0
//
// HAMi's device-config.yaml: what its chart writes, what older charts wrote, and what is wrong.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/file.h"
#include "vendor/registry.h"

namespace hami::vendor {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

struct Read {
  Result<Registry> registry;
  std::vector<ConfigWarning> warnings;
};

Read ReadConfig(std::string_view yaml, const Families& families = {}) {
  std::vector<ConfigWarning> warnings;
  auto registry = Registry::FromDeviceConfig(yaml, families, &warnings);
  return {std::move(registry), std::move(warnings)};
}

std::vector<std::string> Places(const Read& read) {
  std::vector<std::string> places;
  for (const ConfigWarning& warning : read.warnings) places.push_back(warning.where);
  return places;
}

domain::Pod PodOf(domain::ResourceTexts limits) {
  domain::Pod pod;
  pod.containers.emplace_back().name = "train";
  pod.containers[0].limits = std::move(limits);
  return pod;
}

TEST(DeviceConfig, TheChartsFileIsTheDefault) {
  const auto yaml =
      base::ReadFile(std::string(HAMI_DEVICE_CONFIG_FOLDER) + "/chart.yaml", size_t{1} << 20);
  ASSERT_TRUE(yaml) << yaml.error().message;

  const Read read = ReadConfig(*yaml);

  ASSERT_TRUE(read.registry) << read.registry.error().message;
  EXPECT_THAT(Places(read), IsEmpty());
  const Registry defaults = Registry::Default();
  ASSERT_EQ(read.registry->size(), defaults.size());
  for (size_t id = 0; id < defaults.size(); ++id) {
    const Spec& expected = defaults.at(static_cast<VendorId>(id));
    const Spec* found = read.registry->Find(expected.common_word);
    ASSERT_NE(found, nullptr) << expected.common_word;
    SCOPED_TRACE(expected.common_word);
    EXPECT_EQ(found->resources.count, expected.resources.count);
    EXPECT_EQ(found->resources.memory, expected.resources.memory);
    EXPECT_EQ(found->resources.memory_pct, expected.resources.memory_pct);
    EXPECT_EQ(found->resources.cores, expected.resources.cores);
    EXPECT_EQ(found->resources.priority, expected.resources.priority);
    EXPECT_EQ(found->units.memory_mib, expected.units.memory_mib);
    EXPECT_EQ(found->units.memory_factor, expected.units.memory_factor);
    EXPECT_EQ(found->units.default_count, expected.units.default_count);
    EXPECT_EQ(found->units.default_cores, expected.units.default_cores);
    EXPECT_EQ(found->units.allocatable_mib, expected.units.allocatable_mib);
    EXPECT_EQ(found->units.capacity_mib, expected.units.capacity_mib);
    EXPECT_EQ(found->units.in_pairs, expected.units.in_pairs);
    ASSERT_EQ(found->units.templates.size(), expected.units.templates.size());
    for (size_t i = 0; i < expected.units.templates.size(); ++i) {
      EXPECT_EQ(found->units.templates[i].name, expected.units.templates[i].name);
      EXPECT_EQ(found->units.templates[i].memory_mib, expected.units.templates[i].memory_mib);
      EXPECT_EQ(found->units.templates[i].ai_cores, expected.units.templates[i].ai_cores);
      EXPECT_EQ(found->units.templates[i].ai_cpus, expected.units.templates[i].ai_cpus);
    }
    EXPECT_EQ(found->overwrite_env, expected.overwrite_env);
    EXPECT_EQ(found->runtime_class, expected.runtime_class);
    EXPECT_EQ(found->core_policy, expected.core_policy);
  }
}

TEST(DeviceConfig, TakesNamesAndDefaultsFromTheFile) {
  const Read read = ReadConfig(R"(
nvidia:
  resourceCountName: example.com/card
  resourceMemoryName: example.com/mem
  resourceCoreName: example.com/cores
  memoryFactor: 10
  defaultMemory: 2000
  defaultCores: 15
  runtimeClassName: nvidia
  gpuCorePolicy: force
)");
  ASSERT_TRUE(read.registry) << read.registry.error().message;
  EXPECT_THAT(Places(read), IsEmpty());

  const auto requests = read.registry->RequestsOf(PodOf({{"example.com/card", "1"}}));
  ASSERT_TRUE(requests);
  EXPECT_EQ((*requests)[0][0], (Request{.count = 1, .memory_mib = 2000, .cores = 15}));
  const auto scaled =
      read.registry->RequestsOf(PodOf({{"example.com/card", "1"}, {"example.com/mem", "300"}}));
  ASSERT_TRUE(scaled);
  EXPECT_EQ((*scaled)[0][0].memory_mib, 3000);
  EXPECT_FALSE(read.registry->RequestsOf(
      PodOf({{"example.com/card", "1"}, {"example.com/mem", "214748365"}})));

  const auto admission = read.registry->Admit(PodOf({{"example.com/card", "1"}}), 0);
  ASSERT_TRUE(admission);
  EXPECT_EQ(admission->runtime_class, "nvidia");
  EXPECT_EQ(admission->environment,
            (decltype(admission->environment){{"GPU_CORE_UTILIZATION_POLICY", "force"}}));

  const auto old_name = read.registry->RequestsOf(PodOf({{"nvidia.com/gpu", "1"}}));
  ASSERT_TRUE(old_name);
  EXPECT_TRUE((*old_name)[0].empty());
}

TEST(DeviceConfig, SectionsThatAreNotThereAskForNothing) {
  const Read read = ReadConfig("nvidia: {resourceCountName: nvidia.com/gpu}");
  ASSERT_TRUE(read.registry) << read.registry.error().message;

  EXPECT_EQ(read.registry->ResourceNames(), std::vector<std::string>{"nvidia.com/gpu"});
  EXPECT_EQ(read.registry->Find("Ascend910B3"), nullptr);
  ASSERT_NE(read.registry->Find("DCU"), nullptr) << "pods may still hold some";
  const auto requests = read.registry->RequestsOf(PodOf({{"hygon.com/dcunum", "1"}, {"", "1"}}));
  ASSERT_TRUE(requests);
  EXPECT_TRUE((*requests)[0].empty());
}

TEST(DeviceConfig, UnknownKeysAreWarnings) {
  const Read read = ReadConfig(R"(
version: v1
flags: {migStrategy: none}
teco: {resourceCountName: teco.com/card}
nvidia: {resourceCountName: nvidia.com/gpu, resourceFooName: nvidia.com/foo, deviceSplitCount: 10,
  gpuCorePolicy: sometimes}
enflame: {resourceNameGCU: enflame.com/gcu, newKey: 1}
iluvatars: [{commonWord: MR-V100, resourceCountName: iluvatar.ai/MR-V100-vgpu, colour: red}]
vnpus:
  other: 1
  configs:
  - {commonWord: Ascend310P, resourceName: huawei.com/Ascend310P, memoryCapacity: 24576,
     templates: [{name: vir01, memory: 3072, price: 7}]}
)");
  ASSERT_TRUE(read.registry) << read.registry.error().message;
  EXPECT_THAT(Places(read), testing::UnorderedElementsAre("teco", "nvidia.resourceFooName",
                                                          "nvidia.gpuCorePolicy", "enflame.newKey",
                                                          "iluvatars[0].colour", "vnpus.other",
                                                          "vnpus.configs[0].templates[0].price"));
}

TEST(DeviceConfig, RefusesWhatIsEmpty) {
  for (const char* yaml : {"", "---", "nvidia:", "nvidia: {}", "{}",
                           "nvidia: {}\ncambricon: {}\nvnpus: {hamiVnpuCore: false}",
                           "nvidia: {defaultMemory: 0, overwriteEnv: false}", "foo: {bar: 1}"}) {
    const Read read = ReadConfig(yaml);
    ASSERT_FALSE(read.registry) << yaml;
    EXPECT_THAT(read.registry.error().message, HasSubstr("all configurations are empty")) << yaml;
  }
}

TEST(DeviceConfig, RefusesWhatCannotBeRead) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"nvidia: [1]", "nvidia"},
      {"nvidia", "mapping"},
      {"nvidia: {defaultGPUNum: many}", "nvidia.defaultGPUNum"},
      {"nvidia: {defaultGPUNum: -1}", "nvidia.defaultGPUNum"},
      {"nvidia: {memoryFactor: 99999999999}", "nvidia.memoryFactor"},
      {"nvidia: {overwriteEnv: perhaps}", "nvidia.overwriteEnv"},
      {"nvidia: {resourceCountName: [a]}", "nvidia.resourceCountName"},
      {"nvidia: {resourceCountName: 'a b'}", "nvidia.resourceCountName"},
      {"nvidia: {resourceCountName: \"unclosed}", "device configuration"},
      {"vnpus: 7", "vnpus"},
      {"vnpus: {configs: 7}", "vnpus.configs"},
      {"vnpus: {configs: [{resourceName: a}]}", "vnpus.configs[0].commonWord"},
      {"vnpus: {configs: [{commonWord: 'a,b'}]}", "vnpus.configs[0].commonWord"},
      {"vnpus: {configs: [{commonWord: A}, {commonWord: A}]}", "stands twice"},
      {"vnpus: {configs: [{commonWord: NVIDIA}]}", "stands twice"},
      {"vnpus: {configs: [{commonWord: A, templates: [{name: x}]}]}", "templates[0]"},
      {"iluvatars: {commonWord: A}", "iluvatars"},
      {"iluvatars: [7]", "iluvatars[0]"}};
  for (const auto& [yaml, where] : cases) {
    const Read read = ReadConfig(yaml);
    ASSERT_FALSE(read.registry) << yaml;
    EXPECT_EQ(read.registry.error().code, Code::kInvalidArgument);
    EXPECT_THAT(read.registry.error().message, HasSubstr(where)) << yaml;
  }
  EXPECT_FALSE(ReadConfig(std::string((size_t{1} << 20) + 1, '#')).registry);
}

TEST(DeviceConfig, ReadsTheOlderListOfChips) {
  const Read read = ReadConfig(R"(
vnpus:
- {chipName: 310P3, commonWord: Ascend310P, resourceName: huawei.com/Ascend310P,
   resourceMemoryName: huawei.com/Ascend310P-memory, memoryAllocatable: 21527,
   memoryCapacity: 24576, templates: [{name: vir02, memory: 6144}, {name: vir01, memory: 3072}]}
)");
  ASSERT_TRUE(read.registry) << read.registry.error().message;
  EXPECT_THAT(Places(read), IsEmpty());

  const auto requests = read.registry->RequestsOf(
      PodOf({{"huawei.com/Ascend310P", "1"}, {"huawei.com/Ascend310P-memory", "100"}}));

  ASSERT_TRUE(requests);
  EXPECT_EQ((*requests)[0][0].shape.name, "vir01") << "whatever the order of the templates";
}

TEST(DeviceConfig, FamiliesAreOnlyThereWhereTheyAreSwitchedOn) {
  const char* yaml = R"(
nvidia: {resourceCountName: nvidia.com/gpu}
iluvatars: [{commonWord: MR-V100, resourceCountName: iluvatar.ai/MR-V100-vgpu}]
vnpus: {hamiVnpuCore: true, configs: [{commonWord: Ascend310P, resourceName: huawei.com/x}]}
)";
  const Read none = ReadConfig(yaml, {.ascend = false, .iluvatar = false});
  ASSERT_TRUE(none.registry);
  EXPECT_EQ(none.registry->Find("MR-V100"), nullptr);
  EXPECT_EQ(none.registry->Find("Ascend310P"), nullptr);
  EXPECT_EQ(none.registry->ResourceNames(), std::vector<std::string>{"nvidia.com/gpu"});
  const Read both = ReadConfig(yaml);
  ASSERT_TRUE(both.registry);
  ASSERT_NE(both.registry->Find("MR-V100"), nullptr);
  ASSERT_NE(both.registry->Find("Ascend310P"), nullptr);
  EXPECT_TRUE(both.registry->Find("Ascend310P")->soft_split);
}

TEST(DeviceConfig, EnflamesOlderNames) {
  const Read shared = ReadConfig(
      "enflame: {resourceNameVGCU: enflame.com/vgcu, "
      "resourceNameVGCUPercentage: enflame.com/vgcu-percentage}");
  ASSERT_TRUE(shared.registry);
  const auto percent = shared.registry->RequestsOf(
      PodOf({{"enflame.com/vgcu", "1"}, {"enflame.com/vgcu-percentage", "50"}}));
  ASSERT_TRUE(percent);
  EXPECT_EQ((*percent)[0][0].memory_pct, 50);

  // As HAMi 2.10 reads it: alone it is the name of DRS slices.
  const Read alone = ReadConfig("enflame: {resourceNameVGCU: enflame.com/vgcu}");
  ASSERT_TRUE(alone.registry);
  const auto slices = alone.registry->RequestsOf(PodOf({{"enflame.com/vgcu", "3"}}));
  ASSERT_TRUE(slices);
  EXPECT_EQ((*slices)[0][0].shape, (Shape{.name = "drs=3", .slots = 3}));
}

TEST(DeviceConfig, ChipsHaveTheirRuntimeClass) {
  const Read read = ReadConfig(R"(
vnpus:
  configs:
  - {commonWord: Ascend310P, resourceName: huawei.com/Ascend310P, runtimeClassName: ascend}
  - {commonWord: Ascend910B3, resourceName: huawei.com/Ascend910B3}
)");
  ASSERT_TRUE(read.registry) << read.registry.error().message;
  const auto with = read.registry->Admit(PodOf({{"huawei.com/Ascend310P", "1"}}), 0);
  const auto without = read.registry->Admit(PodOf({{"huawei.com/Ascend910B3", "1"}}), 0);
  ASSERT_TRUE(with);
  EXPECT_EQ(with->runtime_class, "ascend");
  ASSERT_TRUE(without);
  EXPECT_EQ(without->runtime_class, "");
}

// No template is a multiple of 1024 MiB: what admission writes stands for the one that was found.
TEST(DeviceConfig, TemplatesInCoarserUnits) {
  const Read read = ReadConfig(R"(
vnpus:
  configs:
  - {commonWord: Ascend910A, resourceName: huawei.com/Ascend910A,
     resourceMemoryName: huawei.com/Ascend910A-memory, memoryAllocatable: 32700,
     memoryCapacity: 32700, memoryFactor: 1024,
     templates: [{name: vir02, memory: 2184}, {name: vir04, memory: 4369}]}
)");
  ASSERT_TRUE(read.registry) << read.registry.error().message;
  const std::string memory = "huawei.com/Ascend910A-memory";
  for (const auto& [asked, written, shape, memory_mib] :
       {std::tuple("1", "2", "vir02", 2184), std::tuple("2", "2", "vir02", 2184),
        std::tuple("3", "4", "vir04", 4369), std::tuple("5", "31", "", 32700)}) {
    SCOPED_TRACE(asked);
    std::map<std::string, std::string> limits = {{"huawei.com/Ascend910A", "1"}, {memory, asked}};
    const auto admission = read.registry->Admit(PodOf(limits), 0);
    ASSERT_TRUE(admission) << admission.error().message;
    EXPECT_EQ(admission->limits.at(memory), written);
    limits[memory] = admission->limits.at(memory);
    const auto requests = read.registry->RequestsOf(PodOf(limits));
    ASSERT_TRUE(requests) << requests.error().message;
    EXPECT_EQ((*requests)[0][0].shape.name, shape);
    EXPECT_EQ((*requests)[0][0].memory_mib, memory_mib);
    const auto again = read.registry->Admit(PodOf(limits), 0);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->limits.at(memory), written);
  }
}

// Pairs are what superPod says, whatever the chip is called.
TEST(DeviceConfig, ChipsOfASuperPodComeInPairs) {
  const Read read = ReadConfig(R"(
vnpus:
  configs:
  - {commonWord: Ascend910C, resourceName: huawei.com/Ascend910C}
  - {commonWord: Ascend910D, resourceName: huawei.com/Ascend910D, superPod: true}
)");
  ASSERT_TRUE(read.registry) << read.registry.error().message;
  EXPECT_TRUE(read.registry->RequestsOf(PodOf({{"huawei.com/Ascend910C", "1"}})));
  EXPECT_FALSE(read.registry->RequestsOf(PodOf({{"huawei.com/Ascend910D", "1"}})));
  const auto admission = read.registry->Admit(PodOf({{"huawei.com/Ascend910D", "1"}}), 0);
  ASSERT_TRUE(admission) << admission.error().message;
  EXPECT_EQ(admission->limits.at("huawei.com/Ascend910D"), "2");
}

TEST(DeviceConfig, HidesDevicesFromContainersThatAskForNone) {
  const Read read = ReadConfig(R"(
nvidia: {resourceCountName: nvidia.com/gpu, overwriteEnv: true}
vnpus:
  configs:
  - {commonWord: Ascend310P, resourceName: huawei.com/Ascend310P, overwriteEnv: "true"}
  - {commonWord: Ascend910B3, resourceName: huawei.com/Ascend910B3, overwriteEnv: true}
)");
  ASSERT_TRUE(read.registry) << read.registry.error().message;
  using Variables = std::vector<std::pair<std::string, std::string>>;

  const auto nothing = read.registry->Admit(PodOf({}), 0);
  const auto gpu = read.registry->Admit(PodOf({{"nvidia.com/gpu", "1"}}), 0);
  const auto npu = read.registry->Admit(PodOf({{"huawei.com/Ascend910B3", "1"}}), 0);

  ASSERT_TRUE(nothing);
  EXPECT_EQ(nothing->environment,
            (Variables{{"ASCEND_VISIBLE_DEVICES", ""}, {"NVIDIA_VISIBLE_DEVICES", "none"}}));
  ASSERT_TRUE(gpu);
  EXPECT_EQ(gpu->environment, (Variables{{"ASCEND_VISIBLE_DEVICES", ""}}));
  ASSERT_TRUE(npu);
  EXPECT_EQ(npu->environment, (Variables{{"NVIDIA_VISIBLE_DEVICES", "none"}}));
}

}  // namespace
}  // namespace hami::vendor
