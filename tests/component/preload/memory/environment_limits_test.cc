// SPDX-License-Identifier: Apache-2.0
//
// Limits from HAMi's environment variables, where no share directory is mounted.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <string>

#include "tests/component/harness.h"
#include "tests/component/preload/memory/limits_script.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::EndsWith;

// What the library takes a context to cost where no limits file says it.
constexpr uint64_t kAssumedContextBytes = 512 * kMiB;

class EnvironmentLimits : public testing::Test {
 protected:
  EnvironmentLimits() : simulation_("a10-550", 2) {
    signal(SIGPIPE, SIG_IGN);
    base_["CUDA_DEVICE_MEMORY_SHARED_CACHE"] = simulation_.root() + "/one.cache";
    base_["LD_PRELOAD"] = PreloadLibrary();
  }

  Running Start(Environment environment) const {
    environment.insert(base_.begin(), base_.end());
    return StartScript(simulation_.With({}), environment);
  }

  Simulation simulation_;
  Environment base_;
};

TEST_F(EnvironmentLimits, TheLimitOfEveryDevice) {
  Running script = Start({{"CUDA_DEVICE_MEMORY_LIMIT", "2048m"}});
  EXPECT_EQ(FindWrongLimit(script, 2 * kGiB, kAssumedContextBytes), "");
  ASSERT_EQ(Ask(script, "device 1"), "ok");
  EXPECT_EQ(FindWrongLimit(script, 2 * kGiB, kAssumedContextBytes), "");
}

TEST_F(EnvironmentLimits, TheLimitOfOneDeviceWinsOverThatOfAll) {
  Running script =
      Start({{"CUDA_DEVICE_MEMORY_LIMIT_0", "3g"}, {"CUDA_DEVICE_MEMORY_LIMIT", "1g"}});
  EXPECT_EQ(FindWrongLimit(script, 3 * kGiB, kAssumedContextBytes), "");
  ASSERT_EQ(Ask(script, "device 1"), "ok");
  EXPECT_EQ(FindWrongLimit(script, 1 * kGiB, kAssumedContextBytes), "");
}

TEST_F(EnvironmentLimits, AnotherDeviceIsNotLimited) {
  Running script = Start({{"CUDA_DEVICE_MEMORY_LIMIT_0", "3g"}});
  EXPECT_EQ(FindWrongLimit(script, 3 * kGiB, kAssumedContextBytes), "");
  ASSERT_EQ(Ask(script, "device 1"), "ok");
  EXPECT_EQ(Ask(script, "total"), std::to_string(kUsableBytes));
  EXPECT_EQ(Ask(script, "retain"), "ok");
  EXPECT_EQ(Ask(script, AllocLine(20 * kGiB)), "ok");
}

// The index is the position in the container, whatever the program sees of it (HAMi confuses them:
// hami-core.md 4.4).
TEST_F(EnvironmentLimits, TheIndexIsNotTheCudaOrdinal) {
  Running script = Start({{"CUDA_DEVICE_MEMORY_LIMIT_0", "1g"},
                          {"CUDA_DEVICE_MEMORY_LIMIT_1", "2g"},
                          {"CUDA_VISIBLE_DEVICES", "1"}});
  EXPECT_EQ(FindWrongLimit(script, 2 * kGiB, kAssumedContextBytes), "");
}

TEST_F(EnvironmentLimits, AreSharedByAllProcessesOfTheRegion) {
  Running first = Start({{"CUDA_DEVICE_MEMORY_LIMIT", "4g"}});
  Running second = Start({{"CUDA_DEVICE_MEMORY_LIMIT", "4g"}});
  ASSERT_EQ(Ask(first, "retain"), "ok");
  ASSERT_EQ(Ask(second, "retain"), "ok");
  EXPECT_EQ(Ask(first, AllocLine(2 * kGiB)), "ok");
  EXPECT_EQ(Ask(second, AllocLine(kGiB + 1)), "error 2");
  EXPECT_EQ(Ask(second, AllocLine(kGiB)), "ok");
  EXPECT_EQ(Ask(first, "alloc b 1"), "error 2");
}

TEST_F(EnvironmentLimits, AnotherRegionIsAnotherShare) {
  Running first = Start({{"CUDA_DEVICE_MEMORY_LIMIT", "4g"}});
  EXPECT_EQ(FindWrongLimit(first, 4 * kGiB, kAssumedContextBytes), "");
  Running other = Start({{"CUDA_DEVICE_MEMORY_LIMIT", "4g"},
                         {"CUDA_DEVICE_MEMORY_SHARED_CACHE", simulation_.root() + "/other.cache"}});
  EXPECT_EQ(FindWrongLimit(other, 4 * kGiB, kAssumedContextBytes), "");
}

// What the first process had holds for one with a stripped or raised environment.
TEST_F(EnvironmentLimits, AreRememberedInTheRegion) {
  {
    Running first = Start({{"CUDA_DEVICE_MEMORY_LIMIT", "2g"}});
    EXPECT_EQ(FindWrongLimit(first, 2 * kGiB, kAssumedContextBytes), "");
  }
  Running stripped = Start({});
  EXPECT_EQ(FindWrongLimit(stripped, 2 * kGiB, kAssumedContextBytes), "");
  stripped.Kill();
  Running raised = Start({{"CUDA_DEVICE_MEMORY_LIMIT", "8g"}});
  EXPECT_EQ(FindWrongLimit(raised, 2 * kGiB, kAssumedContextBytes), "");
}

// HAMi's rule (hami-core.md 2): a warning and no limit. Only a limits file fails closed.
TEST_F(EnvironmentLimits, ABrokenValueIsAWarningAndNoLimit) {
  for (const std::string value : {"0", "lots", "-1g", "10x", ""}) {
    Running script = Start({{"CUDA_DEVICE_MEMORY_LIMIT_0", value}});
    EXPECT_EQ(Ask(script, "total"), std::to_string(kUsableBytes)) << value;
    EXPECT_EQ(Ask(script, "retain"), "ok");
    EXPECT_EQ(Ask(script, AllocLine(20 * kGiB)), "ok");
  }
  Command command = simulation_.With({{}, {}, base_});
  command.environment["CUDA_DEVICE_MEMORY_LIMIT"] = "lots";
  command.environment["LIBCUDA_LOG_LEVEL"] = "2";
  EXPECT_THAT(Transcript(command, {"init", "retain"}),
              Contains(EndsWith("CUDA_DEVICE_MEMORY_LIMIT=lots is not a size: no memory limit")));
}

TEST_F(EnvironmentLimits, ARegionThatCannotBeUsedFailsClosed) {
  std::filesystem::create_directory(base_["CUDA_DEVICE_MEMORY_SHARED_CACHE"]);
  Command command = simulation_.With({{}, {}, base_});
  command.environment["CUDA_DEVICE_MEMORY_LIMIT"] = "4g";
  EXPECT_THAT(
      Transcript(command, {"init", "retain", "alloc a 1"}),
      ElementsAre(EndsWith("; every GPU allocation is refused"), "ok", "error 2", "error 2"));
}

}  // namespace
}  // namespace hami::component
