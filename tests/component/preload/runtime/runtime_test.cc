// SPDX-License-Identifier: Apache-2.0
//
// A program that finds the driver as NVIDIA's runtime library does is held to its slice, on drivers
// that give out other addresses than they export (from CUDA 12 on;
// src/simgpu/cuda/proc_address.cc).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/component/harness.h"

namespace hami::component {
namespace {

using testing::HasSubstr;

constexpr char kFourGi[] = "4294967296";
constexpr char kTwoGi[] = "2147483648";

class RuntimeTest : public testing::TestWithParam<const char*> {};

TEST_P(RuntimeTest, SeesAndGetsItsSlice) {
  const Simulation simulation(GetParam());
  const Share share(simulation, {.memory = "10Gi"});
  const Output output = share.Run(
      {.program = TestProgram("as_runtime"), .arguments = {kFourGi, kTwoGi}, .environment = {}});
  ASSERT_EQ(output.exit_code, 0) << output.text;
  EXPECT_THAT(output.text, HasSubstr("total_mib=10240\n"));
  // Two of 4 GiB and the context fit into 10 GiB, nothing of 2 GiB beside them.
  EXPECT_THAT(output.text, HasSubstr("alloc 4294967296 0\nasync 4294967296 0\n"));
  EXPECT_THAT(output.text, HasSubstr("alloc 2147483648 2\nasync 2147483648 2\n"));
}

TEST_P(RuntimeTest, WithoutALimitSeesTheDevice) {
  const Simulation simulation(GetParam());
  const Output output = simulation.Run(
      {.program = TestProgram("as_runtime"), .arguments = {kFourGi, kTwoGi}, .environment = {}});
  ASSERT_EQ(output.exit_code, 0) << output.text;
  EXPECT_THAT(output.text, HasSubstr("alloc 2147483648 0\nasync 2147483648 0\n"));
}

INSTANTIATE_TEST_SUITE_P(Drivers, RuntimeTest, testing::Values("a10-550", "a10-580", "h200-580"));

}  // namespace
}  // namespace hami::component
