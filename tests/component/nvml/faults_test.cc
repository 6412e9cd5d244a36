// SPDX-License-Identifier: Apache-2.0
//
// Faults on request, from `hami sim fault` to what programs meet: with and without a slice.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/component/harness.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

using testing::HasSubstr;

// CUDA's and NVML's results, as the scripts write them.
constexpr char kOutOfMemory[] = "error 2";
constexpr char kUnavailable[] = "error 46";
constexpr char kNoDevice[] = "error 100";
constexpr char kGpuIsLost[] = "15";
constexpr char kTimeout[] = "10";

class Stopwatch {
 public:
  int64_t ElapsedMs() const {
    const auto passed = std::chrono::steady_clock::now() - begin_;
    return std::chrono::duration_cast<std::chrono::milliseconds>(passed).count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

class Faults : public testing::TestWithParam<bool> {
 protected:
  Faults() { signal(SIGPIPE, SIG_IGN); }

  // In the slice, or without one.
  Running Start(const std::string& program) const {
    const Command command = {TestProgram(program), {}, {}};
    return GetParam() ? share_.Start(command) : Running(simulation_.With(command));
  }
  Running StartWithContext() const {
    Running script = Start("script");
    EXPECT_EQ(Ask(script, "init"), "ok");
    EXPECT_EQ(Ask(script, "retain"), "ok");
    return script;
  }
  Running StartAsking() const {
    Running ask = Start("nvml_ask");
    EXPECT_EQ(Ask(ask, "device 0"), "0 " + simulation_.uuids()[0]);
    return ask;
  }

  nlohmann::json Fault(std::vector<std::string> words) const {
    words.insert(words.begin(), {"sim", "fault", "--json", "test"});
    const Output output =
        RunToEnd({ProductProgram("hami"), words, {{"HAMI_STATE_DIR", simulation_.root()}}});
    EXPECT_EQ(output.exit_code, 0) << output.text;
    return nlohmann::json::parse(output.text);
  }

  Simulation simulation_{"a10-580", 2};
  Share share_{simulation_, {.memory = "4Gi", .context_bytes = kContextBytes}};
};

INSTANTIATE_TEST_SUITE_P(All, Faults, testing::Bool(),
                         [](const auto& all) { return all.param ? "Slice" : "Native"; });

TEST_P(Faults, AnXidReachesWhoWaitsForIt) {
  Running ask = StartAsking();
  EXPECT_EQ(Ask(ask, "wait 0"), kTimeout) << "registers";
  Fault({"--gpu", "1", "--xid", "13"});
  Fault({"--gpu", "0", "--xid", "31"});
  Fault({"--gpu", "0", "--xid", "43"});
  EXPECT_EQ(Ask(ask, "wait 60000"), "0 " + simulation_.uuids()[0] + " 8:31 4294967295");
  EXPECT_EQ(Ask(ask, "wait1 60000"), "0 " + simulation_.uuids()[0] + " 8:43 7");
  EXPECT_EQ(Ask(ask, "wait 0"), kTimeout) << "the other GPU's is for others";
  // One that is raised while it waits.
  ask.WriteLine("wait 60000");
  Fault({"--gpu", "0", "--xid", "74"});
  EXPECT_THAT(ask.ReadLine(), HasSubstr(" 8:74 "));
}

TEST_P(Faults, EccErrorsAreCountedAndTold) {
  Running ask = StartAsking();
  EXPECT_EQ(Ask(ask, "ecc"), "0 0 0");
  EXPECT_EQ(Ask(ask, "wait 0"), kTimeout);
  const nlohmann::json faults =
      Fault({"--gpu", "0", "--ecc-corrected", "5", "--ecc-uncorrected", "2"});
  EXPECT_EQ(faults.at("gpus").at(0).at("ecc_corrected"), 5);
  EXPECT_EQ(faults.at("gpus").at(1).at("ecc_corrected"), 0);
  EXPECT_EQ(Ask(ask, "ecc"), "0 5 2");
  EXPECT_THAT(Ask(ask, "wait 60000"), HasSubstr(" 1:0 "));
  EXPECT_THAT(Ask(ask, "wait 60000"), HasSubstr(" 2:0 "));
  Fault({"--clear"});
  EXPECT_EQ(Ask(ask, "ecc"), "0 5 2");
}

TEST_P(Faults, ALostDevice) {
  Running script = StartWithContext();
  ASSERT_EQ(Ask(script, "alloc a 1048576"), "ok");
  Running ask = StartAsking();
  EXPECT_EQ(Ask(ask, "wait 0"), kTimeout);
  Fault({"--gpu", "0", "--lost"});
  EXPECT_EQ(Ask(script, "alloc b 1048576"), kUnavailable);
  EXPECT_EQ(Ask(script, "sync"), kUnavailable);
  EXPECT_EQ(Ask(script, "ctx c"), kUnavailable);
  EXPECT_THAT(Ask(ask, "wait 60000"), HasSubstr(" 8:79 "));
  EXPECT_EQ(Ask(ask, "wait 60000"), kGpuIsLost);
  for (const std::string verb : {"memory", "bar1", "processes 8", "samples 8", "details 0 8"}) {
    EXPECT_THAT(Ask(ask, verb), testing::StartsWith(kGpuIsLost)) << verb;
  }
  // Still counted: other devices keep their numbers.
  EXPECT_EQ(Ask(ask, "count"), GetParam() ? "0 1" : "0 2");
  EXPECT_EQ(Ask(ask, "device 0"), kGpuIsLost);
  // A program that begins meanwhile.
  Running later = Start("script");
  EXPECT_EQ(Ask(later, "init"), "ok");
  EXPECT_EQ(Ask(later, "retain"), kUnavailable);

  Fault({"--clear"});
  EXPECT_EQ(Ask(script, "alloc b 1048576"), "ok");
  EXPECT_EQ(Ask(later, "retain"), "ok");
  EXPECT_EQ(Ask(ask, "device 0"), "0 " + simulation_.uuids()[0]);
}

TEST_P(Faults, AComputingProgramEndsWithItsDevice) {
  const Share share(simulation_,
                    {.memory = "4Gi", .cores_pct = 50, .context_bytes = kContextBytes});
  const Command command = {ProductProgram("tenant"), {"alloc", "64Mi", "spin", "5", "1000000"}, {}};
  Running tenant = GetParam() ? share.Start(command) : Running(simulation_.With(command));
  EXPECT_THAT(tenant.ReadUntil("alloc"), HasSubstr("CUDA_SUCCESS"));
  Fault({"--gpu", "0", "--lost"});
  EXPECT_THAT(tenant.ReadUntil("tenant:"), HasSubstr("CUDA_ERROR_DEVICE_UNAVAILABLE"));
  EXPECT_NE(tenant.Wait(), 0);
}

TEST_P(Faults, ARefusedAllocationIsNotCharged) {
  Running script = StartWithContext();
  const uint64_t charged = ChargedBytes(share_);
  Fault({"--gpu", "0", "--fail-allocations", "2"});
  EXPECT_EQ(Ask(script, "alloc a 4194304"), kOutOfMemory);
  EXPECT_EQ(Ask(script, "create h 4194304"), kOutOfMemory);
  EXPECT_EQ(ChargedBytes(share_), charged);
  EXPECT_EQ(Ask(script, "alloc a 4194304"), "ok");
  EXPECT_EQ(Fault({}).at("gpus").at(0).at("failing_allocations"), 0);
}

TEST_P(Faults, ASlowDeviceIsSlow) {
  Running script = StartWithContext();
  Running ask = StartAsking();
  EXPECT_EQ(Fault({"--gpu", "0", "--slow", "20"}).at("gpus").at(0).at("slow_ms"), 20);
  const Stopwatch slow;
  EXPECT_EQ(Ask(script, "alloc a 1048576"), "ok");
  EXPECT_GE(slow.ElapsedMs(), 20);
  const Stopwatch slow_nvml;
  EXPECT_THAT(Ask(ask, "memory"), testing::StartsWith("0 "));
  EXPECT_GE(slow_nvml.ElapsedMs(), 20);
  EXPECT_EQ(Fault({"--clear"}).at("gpus").at(0).at("slow_ms"), 0);
  EXPECT_EQ(Ask(script, "free a"), "ok");
}

TEST_P(Faults, WithoutItsDriver) {
  Running script = StartWithContext();
  Running ask = StartAsking();
  EXPECT_TRUE(Fault({"--driver-off"}).at("driver_off"));
  EXPECT_EQ(Ask(script, "alloc a 1048576"), kUnavailable);
  EXPECT_THAT(Ask(ask, "memory"), testing::StartsWith(kGpuIsLost));
  Running later = Start("script");
  EXPECT_EQ(Ask(later, "init"), kNoDevice);
  Running late_ask = Start("nvml_ask");
  EXPECT_EQ(late_ask.Wait(), 9) << "NVML_ERROR_DRIVER_NOT_LOADED";
  EXPECT_FALSE(Fault({"--clear"}).at("driver_off"));
  EXPECT_EQ(Ask(script, "alloc a 1048576"), "ok");
  EXPECT_EQ(Ask(later, "init"), "ok");
}

TEST_P(Faults, WrongWishesAreRefused) {
  const auto complaint = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"sim", "fault", "test"});
    const Output output =
        RunToEnd({ProductProgram("hami"), words, {{"HAMI_STATE_DIR", simulation_.root()}}});
    EXPECT_EQ(output.exit_code, 2) << output.text;
    return output.text;
  };
  EXPECT_THAT(complaint({"--gpu", "2", "--lost"}), HasSubstr("no GPU 2: there are 2"));
  EXPECT_THAT(complaint({"--xid", "many"}), HasSubstr("many"));
}

}  // namespace
}  // namespace hami::component
