// SPDX-License-Identifier: Apache-2.0
//
// Every variant of NVML's ways to a device leads to the granted ones only, and every variant of its
// process lists shows the slice's processes only.

#include <gtest/gtest.h>
#include <signal.h>

#include <string>

#include "tests/component/harness.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

class NvmlVariantsTest : public testing::Test {
 protected:
  NvmlVariantsTest() { signal(SIGPIPE, SIG_IGN); }
  static Running StartHolding(Running script) {
    EXPECT_EQ(Ask(script, "init"), "ok");
    EXPECT_EQ(Ask(script, "retain"), "ok");
    return script;
  }

  Simulation simulation_{"a10-550", 2};
  Share share_{simulation_, {.memory = "4Gi"}};
  std::string mine_ = simulation_.uuids()[0];
  std::string others_ = simulation_.uuids()[1];
};

TEST_F(NvmlVariantsTest, EveryWayLeadsToGrantedDevicesOnly) {
  const struct {
    std::string symbol;
    std::string mine;
    std::string others;
  } ways[] = {
      {"nvmlDeviceGetHandleByIndex", "0", "1"},
      {"nvmlDeviceGetHandleByIndex_v2", "0", "1"},
      {"nvmlDeviceGetHandleByUUID", mine_, others_},
      {"nvmlDeviceGetHandleByPciBusId", "00000000:65:01.0", "00000000:66:01.0"},
      {"nvmlDeviceGetHandleByPciBusId_v2", "00000000:65:01.0", "00000000:66:01.0"},
      {"nvmlDeviceGetHandleBySerial", "1320000000001", "1320000000002"},
  };
  Running ask = share_.Start({TestProgram("nvml_variants"), {}, {}});
  Running native(simulation_.With({TestProgram("nvml_variants"), {}, {}}));
  for (const auto& way : ways) {
    SCOPED_TRACE(way.symbol);
    const std::string mine = "handle " + way.symbol + " " + way.mine;
    const std::string others = "handle " + way.symbol + " " + way.others;
    EXPECT_EQ(Ask(native, mine), "0 " + mine_);
    EXPECT_EQ(Ask(native, others), "0 " + others_);
    EXPECT_EQ(Ask(ask, mine), "0 " + mine_);
    // As the driver answers for a device that is not there.
    const std::string refused = Ask(ask, others);
    EXPECT_TRUE(refused == "2" || refused == "6") << refused;
  }
}

TEST_F(NvmlVariantsTest, EveryListShowsTheSlicesProcessesOnly) {
  Running own = StartHolding(share_.Start({TestProgram("script"), {}, {}}));
  Running neighbour = StartHolding(Running(simulation_.With({TestProgram("script"), {}, {}})));
  Running ask = share_.Start({TestProgram("nvml_variants"), {}, {}});
  Running native(simulation_.With({TestProgram("nvml_variants"), {}, {}}));
  for (Running* each : {&ask, &native}) {
    ASSERT_EQ(Ask(*each, "handle nvmlDeviceGetHandleByIndex_v2 0"), "0 " + mine_);
  }
  for (const char* list :
       {"nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetComputeRunningProcesses_v2",
        "nvmlDeviceGetComputeRunningProcesses_v3"}) {
    const std::string line = std::string("processes ") + list;
    SCOPED_TRACE(line);
    const std::string all = Ask(native, line);
    EXPECT_NE(all.find(" " + std::to_string(neighbour.pid())), std::string::npos) << all;
    EXPECT_EQ(Ask(ask, line), "0 " + std::to_string(own.pid()));
  }
  // Nothing of this kind runs.
  for (const char* list :
       {"nvmlDeviceGetGraphicsRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses_v2",
        "nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetMPSComputeRunningProcesses",
        "nvmlDeviceGetMPSComputeRunningProcesses_v2",
        "nvmlDeviceGetMPSComputeRunningProcesses_v3"}) {
    const std::string line = std::string("processes ") + list;
    EXPECT_EQ(Ask(ask, line), "0") << line;
    EXPECT_EQ(Ask(native, line), "0") << line;
  }
}

}  // namespace
}  // namespace hami::component
