// SPDX-License-Identifier: Apache-2.0
//
// Every way to launch is charged what it takes: what the library charged, from the region, against
// the exact time in which the simulated driver ran the work. And what must not be broken on the
// way: captures in every mode, threads that feed two devices, HAMi's monitor.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "api/region/region.h"
#include "simgpu/state/machine.h"
#include "simgpu/state/os.h"
#include "simgpu/state/timeline.h"
#include "tests/component/harness.h"

namespace hami::component {
namespace {

using std::chrono::milliseconds;

// A share's region, as HAMi's monitor maps it.
class MappedRegion {
 public:
  explicit MappedRegion(const Share& share) {
    const int fd = open(share.region_path().c_str(), O_RDWR | O_CLOEXEC);
    EXPECT_GE(fd, 0);
    void* memory = mmap(nullptr, sizeof(api::Region), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    EXPECT_NE(memory, MAP_FAILED);
    region_ = static_cast<api::Region*>(memory);
    close(fd);
  }
  ~MappedRegion() { munmap(region_, sizeof(api::Region)); }
  MappedRegion(const MappedRegion&) = delete;
  MappedRegion& operator=(const MappedRegion&) = delete;

  api::RegionV1& v1() const { return region_->v1; }
  // What the agent does after it has replaced the limits file.
  void CountGenerationUp() const { std::atomic_ref(region_->ext.limits_generation).fetch_add(1); }
  double ThrottledMs() const {
    return static_cast<double>(std::atomic_ref(region_->ext.devices[0].throttled_ns).load()) / 1e6;
  }
  double ChargedMs(int device = 0) const {
    return static_cast<double>(
               std::atomic_ref(region_->ext.devices[device].charged_gpu_ns).load()) /
           1e6;
  }

 private:
  api::Region* region_;
};

// The simulated hardware, from outside.
class Hardware {
 public:
  explicit Hardware(const Simulation& simulation) {
    EXPECT_EQ(simgpu::Attach((simulation.folder() + "/state").c_str(), true, &machine_),
              simgpu::AttachStatus::kOk);
  }
  ~Hardware() { simgpu::Detach(&machine_); }
  Hardware(const Hardware&) = delete;
  Hardware& operator=(const Hardware&) = delete;

  double BusyMs(uint32_t device = 0) const {
    simgpu::State& state = *machine_.state;
    const simgpu::LockGuard guard(machine_);
    simgpu::AdvanceAll(state, simgpu::os::NowNs());
    return static_cast<double>(state.devices[device].busy_ns) / 1e6;
  }

 private:
  simgpu::Machine machine_;
};

std::string LimitsOf(const Simulation& simulation, int cores_pct, int priority) {
  return "hami-limits 1\ngeneration 1\ndevice " + simulation.uuids().at(0) +
         "\nmemory 10737418240\ncores " + std::to_string(cores_pct) + "\npriority " +
         std::to_string(priority) + "\nend\n";
}

class LaunchTest : public testing::Test {
 protected:
  void Begin(int cores_pct, int gpus = 1, const std::string& profile = "h200-580") {
    simulation_ = std::make_unique<Simulation>(profile, gpus);
    std::string limits = "hami-limits 1\ngeneration 1\n";
    for (const std::string& uuid : simulation_->uuids()) {
      limits += "device " + uuid + "\nmemory 10737418240\npolicy force\ncores " +
                std::to_string(cores_pct) + "\n";
    }
    share_ = std::make_unique<Share>(*simulation_, ShareOptions{.raw_limits = limits + "end\n"});
    launcher_ = std::make_unique<Running>(
        share_->With({.program = TestProgram("launcher"), .arguments = {}, .environment = {}}));
    ASSERT_EQ(launcher_->ReadLine(), "ready\n");
    region_ = std::make_unique<MappedRegion>(*share_);
    hardware_ = std::make_unique<Hardware>(*simulation_);
  }

  std::string Do(const std::string& action) {
    launcher_->WriteLine(action);
    return launcher_->ReadLine();
  }

  // `action` is charged `least` to `most` times what it takes, which is returned, in ms. A host
  // that is not let run makes work dearer, since the clock cannot tell, and what comes next takes
  // back what was too much: the most is for one of a few tries, the least for all of them.
  double ExpectCharged(const std::string& action, double least, double most) {
    const double busy_at_first = hardware_->BusyMs();
    const double charged_at_first = region_->ChargedMs();
    double busy = busy_at_first;
    double charged = charged_at_first;
    double took = 0;
    double cost = 0;
    const auto is_too_little = [&] {
      return charged - charged_at_first < least * (busy - busy_at_first);
    };
    for (int tries = 0; tries == 0 || (tries < 5 && (is_too_little() || cost > most * took));
         ++tries) {
      EXPECT_EQ(Do(action), "ok\n");
      took = hardware_->BusyMs() - busy;
      cost = region_->ChargedMs() - charged;
      busy += took;
      charged += cost;
    }
    EXPECT_FALSE(is_too_little()) << charged - charged_at_first << " ms charged for "
                                  << busy - busy_at_first;
    EXPECT_LE(cost, most * took);
    return took;
  }

  std::unique_ptr<Simulation> simulation_;
  std::unique_ptr<Share> share_;
  std::unique_ptr<Running> launcher_;
  std::unique_ptr<MappedRegion> region_;
  std::unique_ptr<Hardware> hardware_;
};

class LaunchForm : public LaunchTest, public testing::WithParamInterface<const char*> {};

TEST_P(LaunchForm, IsChargedWhatItTakes) {
  Begin(60);
  const std::string form = GetParam();
  ASSERT_EQ(Do(form + " 20"), "ok\n");  // learns
  EXPECT_GE(ExpectCharged(form + " 100", 0.9, 1.6), 99);
}

INSTANTIATE_TEST_SUITE_P(All, LaunchForm,
                         testing::Values("kernel", "kernel_ptsz", "ex", "ex_ptsz", "coop",
                                         "coop_ptsz", "dependent", "dependent_ptsz", "graph",
                                         "graph_ptsz", "grid"));

TEST_F(LaunchTest, AFunctionOfTheProgramCostsNothing) {
  Begin(60);
  ASSERT_EQ(Do("hosted 20"), "ok\n");
  // The functions take 240 ms.
  EXPECT_NEAR(ExpectCharged("hosted 60", 0.9, 1.6), 60, 2);
}

TEST_F(LaunchTest, AKernelOnEachOfTwoDevicesIsChargedOnBoth) {
  Begin(60, 2, "a10-550");
  const double busy[] = {hardware_->BusyMs(0), hardware_->BusyMs(1)};
  ASSERT_EQ(Do("devices 20"), "ok\n");
  ASSERT_EQ(Do("devices 60"), "ok\n");
  for (int device = 0; device < 2; ++device) {
    EXPECT_NEAR(hardware_->BusyMs(static_cast<uint32_t>(device)) - busy[device], 80, 3);
    // Never less in all, as the second takes back what the first was charged too much; more where
    // one device has waited for the other between the events.
    EXPECT_GE(region_->ChargedMs(device), 72);
  }
}

// Events around a graph cannot tell its functions of the program from its kernels: a launch costs
// its five milliseconds until the agent has seen that the device worked less.
TEST_F(LaunchTest, AGraphThatCallsTheProgramIsChargedUpToItsEnd) {
  Begin(90);
  ASSERT_EQ(Do("hostgraph 20"), "ok\n");
  const double charged = region_->ChargedMs();
  const auto began = std::chrono::steady_clock::now();
  ASSERT_EQ(Do("hostgraph 40"), "ok\n");
  const std::chrono::duration<double, std::milli> lasted = std::chrono::steady_clock::now() - began;
  // In all, as work takes back what was too much before it. Up to all that passed: on a busy host
  // the functions of the program last longer.
  EXPECT_GE(region_->ChargedMs(), 210);
  EXPECT_LE(region_->ChargedMs() - charged, std::max(260.0, lasted.count()));
}

TEST_F(LaunchTest, AnUpdatedGraphIsChargedWhatItTakesNow) {
  Begin(60);
  ASSERT_EQ(Do("graph 20"), "ok\n");
  ASSERT_EQ(Do("update 12"), "ok\n");
  EXPECT_NEAR(ExpectCharged("update 20", 0.8, 1.2), 300, 2);
}

// Captured on a stream or on the thread's own default stream: that costs nothing, and neither does
// putting the graph on the device. Replaying it costs what it takes.
TEST_P(LaunchForm, CostsNothingWhenItIsCapturedAndTheReplayWhatItTakes) {
  Begin(60);
  std::string form = GetParam();
  const bool is_graph = form.starts_with("graph");
  if (is_graph) form.replace(0, 5, "child");
  ASSERT_EQ(Do("kernel 4"), "ok\n");  // attached
  const double at_first = region_->ChargedMs();
  ASSERT_EQ(Do("record " + form + " 10"), "ok\n");
  ASSERT_EQ(Do("upload 20"), "ok\n");
  EXPECT_EQ(region_->ChargedMs(), at_first);
  ASSERT_EQ(Do("graph 8"), "ok\n");  // learns
  EXPECT_NEAR(ExpectCharged("graph 10", 0.9, 1.6), is_graph ? 500 : 100, 1);
}

class CaptureMode : public LaunchTest, public testing::WithParamInterface<int> {};

// Beside each captured launch one that is charged, sampled and slept for.
TEST_P(CaptureMode, CapturesCostNothingAndAreNotBroken) {
  Begin(50);
  const std::string mode = std::to_string(GetParam());
  ASSERT_EQ(Do("kernel 20"), "ok\n");
  // The captured ones would be as much again.
  ExpectCharged("capture " + mode + " 100", 0.7, 1.3);
  ASSERT_EQ(Do("capture " + mode + " 100"), "ok\n");
}

INSTANTIATE_TEST_SUITE_P(All, CaptureMode, testing::Values(0, 1, 2));

TEST_F(LaunchTest, AGraphOnAStreamOfAnotherDeviceIsChargedThere) {
  Begin(50, 2);
  const double first = region_->ChargedMs(0);
  ASSERT_EQ(Do("foreign 20"), "ok\n");
  EXPECT_NEAR(region_->ChargedMs(0), first, 1);
  EXPECT_GE(region_->ChargedMs(1), 75);  // more where the host is busy
  EXPECT_NEAR(hardware_->BusyMs(1), 100, 1);
}

// 200 ms of work at one percent: twenty seconds of sleep, most of it in few long ones.
TEST_F(LaunchTest, AReplacedLimitReachesACallerThatSleeps) {
  Begin(1);
  launcher_->WriteLine("kernel 200");
  std::this_thread::sleep_for(milliseconds(500));
  share_->WriteLimits(LimitsOf(*simulation_, 90, 1));
  region_->CountGenerationUp();
  ASSERT_EQ(launcher_->ReadLine(), "ok\n");
  EXPECT_LT(region_->ThrottledMs(), 10'000);
  EXPECT_EQ(region_->v1().limit_cores_pct[0], 90U);
}

TEST_F(LaunchTest, AStreamWaitsForAWordUntilItIsWritten) {
  Begin(0);
  ASSERT_EQ(Do("word"), "ok\n");
}

class TwoDevices : public LaunchTest, public testing::WithParamInterface<int> {};

// Both devices wait for what this one thread launches next. The test ends, or does not.
TEST_P(TwoDevices, ThatWaitForEachOtherGetOn) {
  Begin(GetParam(), 2);
  ASSERT_EQ(Do("ring 40"), "ok\n");
  EXPECT_NEAR(hardware_->BusyMs(0), 80, 1);
  EXPECT_NEAR(hardware_->BusyMs(1), 80, 1);
}

INSTANTIATE_TEST_SUITE_P(Limits, TwoDevices, testing::Values(0, 5, 30, 90));

// ---- HAMi's monitor -----------------------------------------------------------------------------

// What HAMi's vGPUmonitor does with the regions of the tenants of one device, every five seconds
// there and every `period` here: `tenants` by rising priority number.
void PlayMonitor(const std::vector<api::RegionV1*>& tenants) {
  std::vector<bool> active;
  int active_of[2] = {};
  for (api::RegionV1* tenant : tenants) {
    std::atomic_ref<int32_t> recent(tenant->recent_kernel);
    const int32_t seen = recent.load();
    if (seen > 0) recent.store(seen - 1);
    if (seen - 1 > 0) ++active_of[tenant->priority];
  }
  for (api::RegionV1* tenant : tenants) {
    std::atomic_ref<int32_t> recent(tenant->recent_kernel);
    const bool higher = tenant->priority == 1 && active_of[0] > 0;
    if (higher) {
      recent.store(-1);
    } else if (recent.load() < 0) {
      recent.store(0);
    }
    const bool limited = higher || active_of[tenant->priority] > 1;
    std::atomic_ref(tenant->utilization_switch).store(limited ? 1 : 0);
  }
}

constexpr int kWound = 2;  // recent_kernel after a launch

// A tenant of high priority, with and without a compute limit, and one of low priority.
class Priorities : public testing::TestWithParam<int> {};

TEST_P(Priorities, LowIsHeldWhileHighIsActiveAndLetGoAfterwards) {
  const Simulation simulation("h200-580");
  const Share high(simulation, {.raw_limits = LimitsOf(simulation, GetParam(), 0)});
  const Share low(simulation, {.raw_limits = LimitsOf(simulation, 0, 1)});
  const Command program = {.program = TestProgram("launcher"), .arguments = {}, .environment = {}};
  Running high_tenant = high.Start(program);
  Running low_tenant = low.Start(program);
  ASSERT_EQ(high_tenant.ReadLine(), "ready\n");
  ASSERT_EQ(low_tenant.ReadLine(), "ready\n");
  const MappedRegion high_region(high);
  const MappedRegion low_region(low);
  const auto recent = [](const MappedRegion& region) {
    return std::atomic_ref(region.v1().recent_kernel).load();
  };
  const auto look = [&] {
    std::this_thread::sleep_for(milliseconds(20));
    PlayMonitor({&high_region.v1(), &low_region.v1()});
  };
  // Who computes launches between two looks of the monitor, however busy this host is.
  const auto look_while_high_launches = [&] {
    while (recent(high_region) != kWound) std::this_thread::sleep_for(milliseconds(1));
    look();
  };
  // Both have been idle for long: neither has an effect on the other.
  for (int i = 0; i < 4; ++i) look();
  low_tenant.WriteLine("kernel 5");
  EXPECT_EQ(low_tenant.ReadLine(), "ok\n");

  high_tenant.WriteLine("steady");
  look_while_high_launches();
  EXPECT_LT(recent(low_region), 0);
  low_tenant.WriteLine("kernel 5");
  for (int i = 0; i < 20; ++i) {
    look_while_high_launches();
    EXPECT_LT(recent(low_region), 0) << "the high one is still seen to be active";
  }
  EXPECT_FALSE(low_tenant.HasOutput()) << "it was launched";
  high_tenant.WriteLine("kernel 1");
  EXPECT_EQ(high_tenant.ReadLine(), "ok\n");
  EXPECT_EQ(high_tenant.ReadLine(), "ok\n");

  // It is quiet now; the low one is let go by itself.
  while (recent(low_region) < 0) look();
  EXPECT_EQ(low_tenant.ReadLine(), "ok\n");

  // And the high one, when it comes back, is seen again.
  high_tenant.WriteLine("steady");
  look_while_high_launches();
  EXPECT_LT(recent(low_region), 0);
}

INSTANTIATE_TEST_SUITE_P(CoresOfHigh, Priorities, testing::Values(0, 80));

}  // namespace
}  // namespace hami::component
