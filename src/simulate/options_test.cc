// SPDX-License-Identifier: Apache-2.0
//
// The command line, and what is printed.

#include "simulate/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "simulate/json_report.h"
#include "simulate/text.h"

namespace hami::simulate {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string FaultOf(const std::vector<std::string>& words) {
  const Result<Options> options = ParseOptions(words);
  return options ? "" : options.error().message;
}

TEST(SimulateOptionsTest, ReadsPoliciesAndDraws) {
  const Result<Options> options = ParseOptions(
      {"--nodes", "n", "--nodes", "m", "--pods", "p", "--policy", "spread", "--device-policy",
       "numa,spread", "--seed", "7", "--demand", "130", "--cpu-pods", "kube-scheduler"});
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->node_files.size(), 2U);
  EXPECT_EQ(options->policy.node, placement::NodePolicy::kSpread);
  EXPECT_EQ(options->policy.device.keys.size(), 2U);
  EXPECT_EQ(options->seed, 7U);
  EXPECT_TRUE(options->draws());
  EXPECT_FALSE(options->native_by_policy);
}

TEST(SimulateOptionsTest, SaysWhatIsWrong) {
  const std::vector<std::string> files = {"--nodes", "n", "--pods", "p"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), files.begin(), files.end());
    return FaultOf(more);
  };
  EXPECT_EQ(FaultOf({"--nodes", "n"}), "--pods is missing");
  EXPECT_EQ(FaultOf({"--pods", "p"}),
            "nodes come from --nodes or from --from-cluster, one of them");
  EXPECT_THAT(with({"--from-cluster"}), HasSubstr("one of them"));
  EXPECT_EQ(with({"--policy", "best"}),
            "--policy best: there are fragmentation, binpack and spread");
  EXPECT_EQ(with({"--cpu-pods", "x"}), "--cpu-pods x: there are policy and kube-scheduler");
  EXPECT_THAT(with({"--demand", "-1"}), HasSubstr("percents"));
  EXPECT_THAT(with({"--demand", "nan"}), HasSubstr("percents"));
  EXPECT_THAT(with({"--turnover", "90", "--departures"}), HasSubstr("--turnover says"));
  EXPECT_THAT(with({"--departures", "--seed", "1"}), HasSubstr("follows the trace"));
  EXPECT_THAT(with({"--retry"}), HasSubstr("--retry waits"));
  EXPECT_THAT(FaultOf({"--nodes", "-", "--pods", "-"}), HasSubstr("standard input"));
  EXPECT_NE(with({"--unknown"}), "");
  EXPECT_EQ(with({}), "");
}

Outcome TwoPods() {
  Outcome outcome;
  outcome.nodes = 1;
  outcome.devices = 2;
  outcome.placed = 1;
  outcome.waiting = 1;
  outcome.end = {.asked = 2.5, .allocated = 0.5, .fragments = 0.25};
  outcome.pods = {
      {.pod = 0,
       .fate = Fate::kPlaced,
       .node = "n",
       .slices = {{.vendor = "NVIDIA", .device = "GPU-a", .memory_mib = 4096, .cores = 50}}},
      {.pod = 1,
       .reason = "0/1 nodes fit: 1 CardInsufficientMemory",
       .nearest = "n: 0 of 1 NVIDIA cards fit"}};
  return outcome;
}

Scenario TwoWanted() {
  Scenario scenario;
  for (const char* const name : {"small", "big"}) {
    WantedPod wanted{.source = "pods.yaml:3"};
    wanted.pod.namespace_name = "team";
    wanted.pod.name = name;
    scenario.pods.push_back(wanted);
  }
  scenario.notes = {"node m: is cordoned, gets nothing new"};
  return scenario;
}

TEST(SimulateTextTest, SaysWhereAndWhyNot) {
  const std::string text = RenderText({}, TwoWanted(), TwoPods());
  EXPECT_THAT(text, HasSubstr("1 of 2 pods placed by policy fragmentation, 1 found no room. "
                              "Simulated: nothing was changed.\n"));
  EXPECT_THAT(text, HasSubstr("Devices    0.50 of 2 allocated (25.0 %)\n"));
  EXPECT_THAT(text, HasSubstr("Without a place:\n  team/big (pods.yaml:3)\n"
                              "    0/1 nodes fit: 1 CardInsufficientMemory\n"
                              "    nearest: n: 0 of 1 NVIDIA cards fit\n"));
  EXPECT_THAT(text, HasSubstr("  team/small on n: GPU-a with 4096 MiB, 50 % of cores\n"));
  EXPECT_THAT(text, HasSubstr("Notes:\n  node m: is cordoned"));
  EXPECT_THAT(text, Not(HasSubstr("Over time")));
}

TEST(SimulateTextTest, AListIsCutUnlessAllOfItIsWanted) {
  Scenario scenario = TwoWanted();
  Outcome outcome = TwoPods();
  outcome.placed = 30;
  outcome.pods.assign(30, outcome.pods[0]);
  EXPECT_THAT(RenderText({}, scenario, outcome), HasSubstr("and 10 more: --list"));
  EXPECT_THAT(RenderText({.list = true}, scenario, outcome), Not(HasSubstr("more: --list")));
}

TEST(SimulateJsonTest, HasEveryPodAndSaysThatItIsSimulated) {
  const nlohmann::json report =
      nlohmann::json::parse(RenderJson({.seed = 42}, TwoWanted(), TwoPods()));
  EXPECT_EQ(report["formatVersion"], 1);
  EXPECT_EQ(report["simulated"], true);
  EXPECT_EQ(report["seed"], 42);
  EXPECT_EQ(report["end"]["allocated"], 0.5);
  ASSERT_EQ(report["pods"].size(), 2U);
  EXPECT_EQ(report["pods"][0]["devices"][0]["device"], "GPU-a");
  EXPECT_EQ(report["pods"][1]["fate"], "no-room");
  EXPECT_EQ(report["notes"].size(), 1U);
}

}  // namespace
}  // namespace hami::simulate
