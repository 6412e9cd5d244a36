// SPDX-License-Identifier: Apache-2.0
//
// The simulated libnvidia-ml.so.1, opened as a client of NVML opens it, over a machine of profile
// a10-550 with two GPUs. The processes that it shows are children of the test.

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/nvml/functions.h"
#include "api/nvml/simulation.h"
#include "simgpu/state/fake_machine.h"
#include "simgpu/state/os.h"
#include "simgpu/state/timeline.h"
#include "tests/component/harness.h"

namespace hami::component {
namespace {

using simgpu::AttachedMachine;
using simgpu::Child;
using simgpu::os::NowNs;
using simgpu::os::SleepUntil;

constexpr uint64_t kMib = uint64_t{1} << 20;
constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr char kUuid[] = "GPU-f1c7d08c-ae21-13e7-0de0-9eb14ff71eaf";

void* library;

template <typename Function, typename... Arguments>
auto CallAs(Function*, const char* name, Arguments... arguments) {
  auto* function = reinterpret_cast<Function*>(dlsym(library, name));
  if (function == nullptr) {
    ADD_FAILURE() << "no " << name;
    abort();
  }
  return function(arguments...);
}
#define CALL(name, ...) CallAs(&name, #name __VA_OPT__(, ) __VA_ARGS__)

// One machine for all cases: the library attaches once in a process.
class Bench : public testing::Environment {
 public:
  void SetUp() override {
    simulation_ = std::make_unique<Simulation>("a10-550", 2);
    setenv("HAMI_SIM", simulation_->folder().c_str(), 1);
    library =
        dlopen((simulation_->folder() + "/lib/libnvidia-ml.so.1").c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
  }
  void TearDown() override { simulation_.reset(); }

  static const Simulation& simulation() { return *simulation_; }

 private:
  static inline std::unique_ptr<Simulation> simulation_;
};
const testing::Environment* const registered = testing::AddGlobalTestEnvironment(new Bench);

class NvmlTest : public testing::Test {
 protected:
  static const Simulation& simulation() { return Bench::simulation(); }
  static std::string StatePath() { return simulation().folder() + "/state"; }
};

class StartedNvmlTest : public NvmlTest {
 protected:
  void SetUp() override {
    ASSERT_EQ(CALL(nvmlInit_v2), NVML_SUCCESS);
    for (unsigned i = 0; i < 2; ++i) {
      ASSERT_EQ(CALL(nvmlDeviceGetHandleByIndex_v2, i, &devices_[i]), NVML_SUCCESS);
    }
  }
  void TearDown() override { EXPECT_EQ(CALL(nvmlShutdown), NVML_SUCCESS); }

  nvmlDevice_t device(int i = 0) const { return devices_[i]; }

  uint64_t Used(int i) const {
    nvmlMemory_v2_t memory = {};
    memory.version = HAMI_NVML_STRUCT_VERSION(nvmlMemory_v2_t, 2);
    EXPECT_EQ(CALL(nvmlDeviceGetMemoryInfo_v2, device(i), &memory), NVML_SUCCESS);
    EXPECT_EQ(memory.total, 23028 * kMib);
    EXPECT_EQ(memory.reserved, 297 * kMib);
    EXPECT_EQ(memory.free, memory.total - memory.reserved - memory.used);
    return memory.used;
  }
  std::map<unsigned, uint64_t> Processes(int i) const {
    nvmlProcessInfo_t infos[16] = {};
    unsigned count = 16;
    EXPECT_EQ(CALL(nvmlDeviceGetComputeRunningProcesses_v3, device(i), &count, infos),
              NVML_SUCCESS);
    std::map<unsigned, uint64_t> found;
    for (unsigned k = 0; k < count; ++k) found[infos[k].pid] = infos[k].usedGpuMemory;
    return found;
  }

 private:
  nvmlDevice_t devices_[2] = {};
};

using Text = char[96];

TEST_F(NvmlTest, SaysThatItIsSimulatedAndNeedsInit) {
  EXPECT_THAT(CALL(hamiSimulation), testing::HasSubstr("A10"));
  unsigned count = 0;
  EXPECT_EQ(CALL(nvmlDeviceGetCount_v2, &count), NVML_ERROR_UNINITIALIZED);
  EXPECT_EQ(CALL(nvmlShutdown), NVML_ERROR_UNINITIALIZED);
  EXPECT_EQ(CALL(nvmlInit_v2), NVML_SUCCESS);
  EXPECT_EQ(CALL(nvmlInit_v2), NVML_SUCCESS);
  EXPECT_EQ(CALL(nvmlShutdown), NVML_SUCCESS);
  EXPECT_EQ(CALL(nvmlDeviceGetCount_v2, &count), NVML_SUCCESS);
  EXPECT_EQ(count, 2U);
  EXPECT_EQ(CALL(nvmlShutdown), NVML_SUCCESS);
  EXPECT_EQ(CALL(nvmlDeviceGetCount_v2, &count), NVML_ERROR_UNINITIALIZED);
}

TEST_F(NvmlTest, WithoutAMachineNoDriverIsLoaded) {
  Child child([](Child&) {
    setenv("HAMI_SIM", "/nowhere", 1);
    // The library must not have attached in this process before: another copy of it.
    const std::string copy = simulation().folder() + "/nvml-copy.so";
    std::filesystem::copy(simulation().folder() + "/lib/libnvidia-ml.so.1", copy);
    library = dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL);
    EXPECT_EQ(CALL(nvmlInit_v2), NVML_ERROR_DRIVER_NOT_LOADED);
  });
  EXPECT_EQ(child.Wait(), 0);
}

TEST_F(StartedNvmlTest, Identity) {
  Text text;
  EXPECT_EQ(CALL(nvmlSystemGetDriverVersion, text, sizeof(text)), NVML_SUCCESS);
  EXPECT_STREQ(text, "550.144.03");
  int version = 0;
  EXPECT_EQ(CALL(nvmlSystemGetCudaDriverVersion_v2, &version), NVML_SUCCESS);
  EXPECT_EQ(version, 12040);
  EXPECT_EQ(CALL(nvmlDeviceGetName, device(), text, sizeof(text)), NVML_SUCCESS);
  EXPECT_STREQ(text, "NVIDIA A10");
  EXPECT_EQ(CALL(nvmlDeviceGetName, device(), text, 4), NVML_ERROR_INSUFFICIENT_SIZE);
  EXPECT_EQ(CALL(nvmlDeviceGetUUID, device(), text, sizeof(text)), NVML_SUCCESS);
  EXPECT_STREQ(text, kUuid);
  EXPECT_EQ(CALL(nvmlDeviceGetUUID, device(1), text, sizeof(text)), NVML_SUCCESS);
  EXPECT_EQ(text, simulation().uuids()[1]);
  unsigned minor = 7;
  EXPECT_EQ(CALL(nvmlDeviceGetMinorNumber, device(1), &minor), NVML_SUCCESS);
  EXPECT_EQ(minor, 1U);
  int major = 0;
  int capability_minor = 0;
  EXPECT_EQ(CALL(nvmlDeviceGetCudaComputeCapability, device(), &major, &capability_minor),
            NVML_SUCCESS);
  EXPECT_EQ(major * 10 + capability_minor, 86);
  nvmlPciInfo_t pci = {};
  EXPECT_EQ(CALL(nvmlDeviceGetPciInfo_v3, device(), &pci), NVML_SUCCESS);
  EXPECT_STREQ(pci.busId, "00000000:65:01.0");
  EXPECT_EQ(pci.pciDeviceId, 0x223610DEU);
}

TEST_F(StartedNvmlTest, DevicesAreFoundByEachOfTheirNames) {
  nvmlDevice_t found = nullptr;
  EXPECT_EQ(CALL(nvmlDeviceGetHandleByUUID, static_cast<const char*>(kUuid), &found), NVML_SUCCESS);
  EXPECT_EQ(found, device(0));
  EXPECT_EQ(CALL(nvmlDeviceGetHandleByPciBusId_v2, "0000:66:01.0", &found), NVML_SUCCESS);
  EXPECT_EQ(found, device(1));
  EXPECT_EQ(CALL(nvmlDeviceGetHandleByUUID, "GPU-other", &found), NVML_ERROR_NOT_FOUND);
  EXPECT_EQ(CALL(nvmlDeviceGetHandleByIndex_v2, 2U, &found), NVML_ERROR_INVALID_ARGUMENT);
  unsigned index = 0;
  EXPECT_EQ(CALL(nvmlDeviceGetIndex, reinterpret_cast<nvmlDevice_t>(&index), &index),
            NVML_ERROR_INVALID_ARGUMENT);
}

TEST_F(StartedNvmlTest, MemoryIsWhatTheProcessesHold) {
  EXPECT_EQ(Used(0), 0U);
  EXPECT_TRUE(Processes(0).empty()) << "who only looks is no user";
  const auto hold = [](uint64_t bytes, uint32_t device) {
    return std::make_unique<Child>([=](Child& self) {
      const AttachedMachine own(StatePath());
      EXPECT_TRUE(own.Reserve(bytes, device));
      self.SayReady();
      Child::StayForever();
    });
  };
  const auto first = hold(1000 * kMib, 0);
  const auto second = hold(2 * kMib, 0);
  const auto other = hold(64 * kMib, 1);
  for (const auto* child : {&first, &second, &other}) ASSERT_EQ((*child)->WaitReady(), 0);
  EXPECT_EQ(Used(0), 1002 * kMib);
  EXPECT_EQ(Used(1), 64 * kMib);
  const auto pid = [](const auto& child) { return static_cast<unsigned>(child->pid()); };
  const std::map<unsigned, uint64_t> both = {{pid(first), 1000 * kMib}, {pid(second), 2 * kMib}};
  EXPECT_EQ(Processes(0), both);
  EXPECT_EQ(Processes(1).size(), 1U);

  nvmlMemory_t plain = {};
  EXPECT_EQ(CALL(nvmlDeviceGetMemoryInfo, device(), &plain), NVML_SUCCESS);
  EXPECT_EQ(plain.used, (1002 + 297) * kMib);
  EXPECT_EQ(plain.free + plain.used, plain.total);

  unsigned count = 1;
  nvmlProcessInfo_t info = {};
  EXPECT_EQ(CALL(nvmlDeviceGetComputeRunningProcesses_v3, device(), &count, &info),
            NVML_ERROR_INSUFFICIENT_SIZE);
  EXPECT_EQ(count, 2U);

  first->Kill();
  EXPECT_EQ(Used(0), 2 * kMib);
  EXPECT_EQ(Processes(0).size(), 1U);
}

TEST_F(StartedNvmlTest, AContextAloneMakesAProcess) {
  Child child([](Child& self) {
    const AttachedMachine own(StatePath());
    {
      const simgpu::LockGuard guard(own.machine());
      EXPECT_GE(simgpu::OpenContext(own.machine(), own.state(), 1), 0);
    }
    self.SayReady();
    Child::StayForever();
  });
  ASSERT_EQ(child.WaitReady(), 0);
  const std::map<unsigned, uint64_t> one = {{static_cast<unsigned>(child.pid()), 0}};
  EXPECT_EQ(Processes(1), one);
  EXPECT_TRUE(Processes(0).empty());
}

// A kernel over several sampling periods, of a process that does not look after it meanwhile.
TEST_F(StartedNvmlTest, UtilisationFollowsTheTimeline) {
  const auto rates = [&](int i) {
    nvmlUtilization_t now = {};
    EXPECT_EQ(CALL(nvmlDeviceGetUtilizationRates, device(i), &now), NVML_SUCCESS);
    return now.gpu;
  };
  EXPECT_EQ(rates(0), 0U);
  Child child([](Child& self) {
    const AttachedMachine own(StatePath());
    {
      const simgpu::LockGuard guard(own.machine());
      const int context = simgpu::OpenContext(own.machine(), own.state(), 0);
      simgpu::WorkItem kernel = {};
      kernel.kind = simgpu::WorkKind::kKernel;
      kernel.remaining_ns = 60 * kSecondNs;
      kernel.demand_q16 = 65536;
      simgpu::Submit(own.state(), static_cast<uint32_t>(context), 0, kernel, NowNs());
    }
    self.SayReady();
    Child::StayForever();
  });
  ASSERT_EQ(child.WaitReady(), 0);
  const uint64_t begin = NowNs();
  SleepUntil(begin + 2 * simgpu::kLoadPeriodNs + simgpu::kLoadPeriodNs / 2);
  EXPECT_EQ(rates(0), 100U);
  EXPECT_EQ(rates(1), 0U);
  nvmlProcessUtilizationSample_t samples[4] = {};
  unsigned count = 4;
  EXPECT_EQ(CALL(nvmlDeviceGetProcessUtilization, device(), samples, &count, 0ULL), NVML_SUCCESS);
  EXPECT_EQ(count, 1U);
  EXPECT_EQ(samples[0].pid, static_cast<unsigned>(child.pid()));
  EXPECT_EQ(samples[0].smUtil, 100U);
  EXPECT_EQ(CALL(nvmlDeviceGetProcessUtilization, device(), samples, &count, samples[0].timeStamp),
            NVML_ERROR_NOT_FOUND);
  // Its kernel dies with it.
  child.Kill();
  const uint64_t end = NowNs();
  rates(0);
  SleepUntil(end + 2 * simgpu::kLoadPeriodNs);
  EXPECT_EQ(rates(0), 0U);
}

// A fork is no new attachment, and NVML goes on in the child, as the driver's does.
TEST_F(StartedNvmlTest, AForkedChildCanLookToo) {
  Child child([&](Child&) {
    EXPECT_EQ(Used(1), 0U);
    EXPECT_TRUE(Processes(1).empty());
  });
  EXPECT_EQ(child.Wait(), 0);
}

struct EntryPoint {
  const char* name;
  int branch;
};
constexpr EntryPoint kEntryPoints[] = {
#define HAMI_NVML_ENTRY(symbol, branch) {#symbol, branch},
#include "api/nvml/entry_points.def"
#undef HAMI_NVML_ENTRY
};

TEST_F(NvmlTest, EachBranchExportsWhatItsDriverHas) {
  const std::string product = PreloadLibrary();
  const std::string folder = product.substr(0, product.rfind('/')) + "/simgpu/";
  for (const int branch : {440, 470, 550, 580, 615}) {
    const std::string path = folder + std::to_string(branch) + "/libnvidia-ml.so.1";
    void* flavour = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(flavour, nullptr) << dlerror();
    for (const EntryPoint& entry : kEntryPoints) {
      const bool expected = entry.branch <= branch;
      EXPECT_EQ(dlsym(flavour, entry.name) != nullptr, expected) << entry.name << " in " << path;
    }
    EXPECT_NE(dlsym(flavour, HAMI_SIMULATION_SYMBOL), nullptr);
    dlclose(flavour);
  }
}

TEST_F(StartedNvmlTest, WhatIsNotSimulatedSaysSo) {
  using Any = nvmlReturn_t();
  auto* unknown = reinterpret_cast<Any*>(dlsym(library, "nvmlVgpuTypeGetLicense"));
  ASSERT_NE(unknown, nullptr);
  EXPECT_EQ(unknown(), NVML_ERROR_NOT_SUPPORTED);
}

}  // namespace
}  // namespace hami::component
