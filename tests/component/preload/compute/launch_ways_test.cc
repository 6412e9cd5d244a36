// SPDX-License-Identifier: Apache-2.0
//
// Every function that launches, through its hook, on a virtual clock (virtual_gpu.h): it is charged
// what it takes, and nothing while it is captured. Older drivers' functions and those that the
// simulated driver does not have are here too; launch_test.cc has real programs.

#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "api/cuda/functions.h"
#include "tests/component/preload/compute/virtual_gpu.h"

namespace hami::component {
namespace {

CUstream StreamOf(int number) {
  return reinterpret_cast<CUstream>(static_cast<uintptr_t>(16 + number));
}

CUresult LaunchOnDevices(CUfunction function, unsigned count) {
  CUDA_LAUNCH_PARAMS launches[2] = {};
  for (unsigned i = 0; i < count; ++i) {
    launches[i].function = function;
    launches[i].gridDimX = launches[i].gridDimY = launches[i].gridDimZ = 1;
    launches[i].blockDimX = launches[i].blockDimY = launches[i].blockDimZ = 1;
    launches[i].hStream = StreamOf(static_cast<int>(i) + 21);
  }
  return ::cuLaunchCooperativeKernelMultiDevice(launches, count, 0);
}

struct Way {
  const char* name;
  CUresult (*launch)(CUfunction function);
};

const Way kWays[] = {
    {"kernel",
     [](CUfunction f) {
       return ::cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr);
     }},
    {"kernel_ptsz",
     [](CUfunction f) {
       return ::cuLaunchKernel_ptsz(f, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr);
     }},
    {"ex",
     [](CUfunction f) {
       const CUlaunchConfig config = {};
       return ::cuLaunchKernelEx(&config, f, nullptr, nullptr);
     }},
    {"ex_ptsz",
     [](CUfunction f) {
       const CUlaunchConfig config = {};
       return ::cuLaunchKernelEx_ptsz(&config, f, nullptr, nullptr);
     }},
    {"cooperative",
     [](CUfunction f) {
       return ::cuLaunchCooperativeKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr);
     }},
    {"cooperative_ptsz",
     [](CUfunction f) {
       return ::cuLaunchCooperativeKernel_ptsz(f, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr);
     }},
    {"multi_device", [](CUfunction f) { return LaunchOnDevices(f, 1); }},
    {"launch", [](CUfunction f) { return ::cuLaunch(f); }},
    {"grid", [](CUfunction f) { return ::cuLaunchGrid(f, 1, 1); }},
    {"grid_async", [](CUfunction f) { return ::cuLaunchGridAsync(f, 1, 1, nullptr); }},
};

void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }

class EveryWay : public testing::TestWithParam<Way> {
 protected:
  void Launch(World& world, int times) {
    world.launched_ns = kMs;
    for (int i = 0; i < times; ++i) {
      ASSERT_EQ(GetParam().launch(reinterpret_cast<CUfunction>(0x7000)), CUDA_SUCCESS);
    }
  }
};

TEST_P(EveryWay, IsChargedWhatItTakes) {
  World world({.cores_pct = 50, .agent = false});
  Launch(world, 20);
  const uint64_t charged_ns = world.region().ext.devices[0].charged_gpu_ns;
  const uint64_t begin = world.now();
  Launch(world, 400);
  const double charged_ms =
      static_cast<double>(world.region().ext.devices[0].charged_gpu_ns - charged_ns) / 1e6;
  EXPECT_NEAR(charged_ms, 400, 4);
  EXPECT_NEAR(static_cast<double>(world.now() - begin) / 1e6, 800, 60);
}

TEST_P(EveryWay, CostsNothingIntoAGraph) {
  World world({.cores_pct = 50, .agent = false});
  Launch(world, 20);
  CUgraph graph = nullptr;
  ASSERT_EQ(::cuStreamBeginCapture_v2(StreamOf(21), CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  const uint64_t charged_ns = world.region().ext.devices[0].charged_gpu_ns;
  const uint64_t events = world.events_recorded;
  const uint64_t begin = world.now();
  Launch(world, 400);
  EXPECT_EQ(world.region().ext.devices[0].charged_gpu_ns, charged_ns);
  EXPECT_EQ(world.events_recorded, events);
  EXPECT_LT(world.now() - begin, 20 * kMs);
  ASSERT_EQ(::cuStreamEndCapture(StreamOf(21), &graph), CUDA_SUCCESS);
}

INSTANTIATE_TEST_SUITE_P(Launch, EveryWay, testing::ValuesIn(kWays),
                         [](const auto& way) { return std::string(way.param.name); });

TEST(Launch, OnSeveralDevicesIsChargedOnEach) {
  World world({.cores_pct = 50, .agent = false});
  world.launched_ns = kMs;
  world.demand_q16 = 65536;  // so that the two do not run at once here
  auto* function = reinterpret_cast<CUfunction>(0x7000);
  for (int i = 0; i < 20; ++i) ASSERT_EQ(LaunchOnDevices(function, 2), CUDA_SUCCESS);
  const uint64_t charged_ns = world.region().ext.slots[0].gpu_ns[0];
  for (int i = 0; i < 20; ++i) ASSERT_EQ(LaunchOnDevices(function, 2), CUDA_SUCCESS);
  EXPECT_NEAR(static_cast<double>(world.region().ext.slots[0].gpu_ns[0] - charged_ns) / 1e6, 40, 4);
  // What the driver refuses is refused.
  EXPECT_EQ(::cuLaunchCooperativeKernelMultiDevice(nullptr, 2, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(LaunchOnDevices(function, 0), CUDA_ERROR_INVALID_VALUE);
}

// An event may not stand between dependent launches; in a graph none of ours can.
TEST(Launch, DependentOnesIntoAGraphDoNotEndTheMeasuringOfOthers) {
  World world({.cores_pct = 50, .agent = false});
  CUgraph graph = nullptr;
  ASSERT_EQ(::cuStreamBeginCapture_v2(StreamOf(21), CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  world.LaunchDependent(kMs);
  ASSERT_EQ(::cuStreamEndCapture(StreamOf(21), &graph), CUDA_SUCCESS);
  EXPECT_EQ(world.events_recorded, 0U);
  world.LaunchKernel(kMs);
  EXPECT_EQ(world.events_recorded, 2U);
  world.LaunchDependent(kMs);
  world.LaunchKernel(kMs);
  EXPECT_EQ(world.events_recorded, 2U);
}

}  // namespace
}  // namespace hami::component
