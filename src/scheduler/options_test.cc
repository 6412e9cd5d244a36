// SPDX-License-Identifier: Apache-2.0

#include "scheduler/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

Result<Options> Parse(std::vector<std::string> arguments, int* exit_code = nullptr) {
  arguments.insert(arguments.begin(), "hami-scheduler");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  int ignored = 0;
  return ParseOptions(static_cast<int>(argv.size()), argv.data(),
                      exit_code == nullptr ? &ignored : exit_code);
}

// Defaults of contract hami-control-plane.md 1.2.
TEST(SchedulerOptionsTest, DefaultsAreHamis) {
  const auto options = Parse({});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->http_bind, "127.0.0.1:8080");
  EXPECT_EQ(options->metrics_bind_address, ":9395");
  EXPECT_EQ(options->node_scheduler_policy, "binpack");
  EXPECT_EQ(options->gpu_scheduler_policy, "spread");
  EXPECT_EQ(options->node_lock_timeout_ms, 300'000);
  EXPECT_EQ(options->node_lock_retry_ms, 28'000);
  EXPECT_TRUE(options->force_overwrite_default_scheduler);
  EXPECT_FALSE(options->leader_elect);
  EXPECT_FALSE(options->legacy_metrics);
  EXPECT_FALSE(options->enable_ascend);
  EXPECT_FALSE(options->enable_iluvatar);
  EXPECT_THAT(options->warnings, IsEmpty());
}

// As HAMi's chart starts it.
TEST(SchedulerOptionsTest, TheChartsCommandLineIsUnderstood) {
  const auto options = Parse({"--http_bind=0.0.0.0:443",
                              "--cert_file=/tls/tls.crt",
                              "--key_file=/tls/tls.key",
                              "--scheduler-name=hami-scheduler",
                              "--metrics-bind-address=:9395",
                              "--node-scheduler-policy=spread",
                              "--gpu-scheduler-policy=binpack",
                              "--force-overwrite-default-scheduler=false",
                              "--device-config-file=/device-config.yaml",
                              "--leader-elect=true",
                              "--leader-elect-resource-name=hami-scheduler",
                              "--leader-elect-resource-namespace=kube-system",
                              "--enable-ascend=true",
                              "--enable-iluvatar=true",
                              "--node-label-selector=gpu=on,zone=a",
                              "--legacy-metrics=true",
                              "--kube-qps=50",
                              "--kube-burst=100",
                              "--debug",
                              "-v=4"});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->http_bind, "0.0.0.0:443");
  EXPECT_FALSE(options->force_overwrite_default_scheduler);
  EXPECT_TRUE(options->leader_elect);
  EXPECT_EQ(options->lease_namespace, "kube-system");
  EXPECT_TRUE(options->enable_ascend);
  EXPECT_TRUE(options->legacy_metrics);
  EXPECT_EQ(options->log.level, base::LogLevel::kDebug);
  EXPECT_THAT(options->node_selector, ElementsAre(Pair("gpu", "on"), Pair("zone", "a")));
  EXPECT_THAT(options->warnings,
              ElementsAre(HasSubstr("--kube-qps does nothing"), HasSubstr("--kube-burst")));
}

TEST(SchedulerOptionsTest, FlagsThatDoNothingAreAcceptedWithAWarning) {
  for (const char* flag :
       {"--cambricon-mlu-name=x", "--dcu-cores=x", "--mthreads-memory=x", "--metax-vcore=x",
        "--sgpu-topology-aware=true", "--kunlun-vcount=x", "--enflame-drs-gcu-resource-name=x",
        "--profiling", "--profiling=true", "--kube-timeout=3", "--logtostderr=true",
        "--device-plugin-namespace=x", "--device-plugin-service-account=x", "-logtostderr=true",
        "--vmodule=x=1"}) {
    const auto options = Parse({flag});
    ASSERT_TRUE(options) << flag;
    EXPECT_EQ(options->warnings.size(), 1U) << flag;
  }
}

// Contract 1.2: who switches may have any of them in extraArgs.
TEST(SchedulerOptionsTest, EveryFlagOfHamisVendorsIsAccepted) {
  for (const char* name : {"cambricon-mlu-name",
                           "cambricon-mlu-memory",
                           "cambricon-mlu-cores",
                           "dcu-name",
                           "dcu-memory",
                           "dcu-cores",
                           "mthreads-name",
                           "mthreads-memory",
                           "mthreads-cores",
                           "metax-name",
                           "metax-vcount",
                           "metax-vcore",
                           "metax-vmemory",
                           "sgpu-topology-aware",
                           "kunlun-name",
                           "kunlun-vcount",
                           "kunlun-vmemory",
                           "enflame-gcu-resource-name",
                           "enflame-drs-gcu-resource-name",
                           "enflame-gcu-memory-resource-name",
                           "enflame-gcu-core-resource-name",
                           "enflame-vgcu-resource-name",
                           "kube-qps",
                           "kube-burst",
                           "kube-timeout"}) {
    const auto options = Parse({"--" + std::string(name) + "=1"});
    ASSERT_TRUE(options) << name;
    EXPECT_THAT(options->warnings, ElementsAre(HasSubstr("--" + std::string(name) + " does")));
  }
}

TEST(SchedulerOptionsTest, TheLeasesNameIsTheSchedulersUnlessSaid) {
  const auto options = Parse({"--leader-elect", "--scheduler-name=s", "--pod-namespace=ns"});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->lease_name, "s");
  EXPECT_EQ(options->lease_namespace, "ns");
}

TEST(SchedulerOptionsTest, WhatIsWrongEndsItBeforeAnythingStarts) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--no-such-flag"},
                                             {"--leader-elect"},
                                             {"--node-lock-timeout=soon"},
                                             {"--bind-timeout=1ms"},
                                             {"--node-choice=dice"},
                                             {"--readyz=maybe"},
                                             {"--http_bind=nowhere"},
                                             {"--metrics-bind-address=:x"},
                                             {"--node-label-selector=gpu"},
                                             {"--cert_file=a"},
                                             {"--log-level=loud"}}) {
    int exit_code = 0;
    EXPECT_FALSE(Parse(arguments, &exit_code)) << arguments[0];
    EXPECT_EQ(exit_code, 2) << arguments[0];
  }
  int exit_code = 7;
  EXPECT_FALSE(Parse({"version"}, &exit_code));
  EXPECT_EQ(exit_code, 0);
}

TEST(SchedulerOptionsTest, DurationsAreGos) {
  const std::pair<const char*, int64_t> good[] = {
      {"0", 0},        {"5m", 300'000}, {"28s", 28'000}, {"100ms", 100}, {"1h30m", 5'400'000},
      {"1.5s", 1'500}, {"2us", 0}};
  for (const auto& [text, ms] : good) EXPECT_EQ(ParseDurationMs(text).value(), ms) << text;
  for (const char* text : {"", "5", "m", "-5s", "5x", "5s ", "1e3s", "99999999999h"}) {
    EXPECT_FALSE(ParseDurationMs(text)) << text;
  }
}

TEST(SchedulerOptionsTest, AddressesMayLeaveTheHostOut) {
  EXPECT_EQ(ParseAddress("--x", ":80")->host, "0.0.0.0");
  EXPECT_EQ(ParseAddress("--x", "[::1]:80")->host, "::1");
  EXPECT_EQ(ParseAddress("--x", "1.2.3.4:80")->port, 80);
  EXPECT_FALSE(ParseAddress("--x", "1.2.3.4"));
  EXPECT_FALSE(ParseAddress("--x", "1.2.3.4:99999"));
}

}  // namespace
}  // namespace hami::scheduler
