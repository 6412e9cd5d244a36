// SPDX-License-Identifier: Apache-2.0

#include "dra/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>
#include <vector>

namespace hami::dra {
namespace {

using ::testing::HasSubstr;

class OptionsTest : public ::testing::Test {
 protected:
  OptionsTest() {
    for (const char* name :
         {"NODE_NAME", "KUBELET_ROOT", "CDI_ROOT", "NVIDIA_DRIVER_ROOT", "DRIVER_ROOT_CTR_PATH",
          "METRICS_ADDRESS", "LOG_LEVEL", "LOG_FORMAT"}) {
      unsetenv(name);
      names_.emplace_back(name);
    }
  }
  ~OptionsTest() override {
    for (const std::string& name : names_) unsetenv(name.c_str());
  }

  Result<Options> Parse(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "hami-dra-driver");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    exit_code_ = -1;
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Result<Options> options = ParseOptions(static_cast<int>(argv.size()), argv.data(), &exit_code_);
    said_ = ::testing::internal::GetCapturedStdout() + ::testing::internal::GetCapturedStderr();
    return options;
  }

  // What is said, with the exit code of wrong usage.
  std::string RefusalOf(const std::vector<std::string>& arguments) {
    EXPECT_FALSE(Parse(arguments));
    EXPECT_EQ(exit_code_, 2);
    return said_;
  }

  std::vector<std::string> names_;
  int exit_code_ = -1;
  std::string said_;
};

TEST_F(OptionsTest, ANodesNameIsEnough) {
  const Result<Options> options = Parse({"--node-name", "n1"});
  ASSERT_TRUE(options) << said_;
  EXPECT_EQ(options->command, "");
  EXPECT_EQ(options->node_name, "n1");
  EXPECT_EQ(options->kubelet_folder, "/var/lib/kubelet");
  EXPECT_EQ(options->cdi_root, "/var/run/cdi");
  EXPECT_EQ(options->driver_root, "/");
  EXPECT_EQ(options->container_driver_root, "/driver-root");
  EXPECT_EQ(options->share_root, "/run/hami/claims");
  EXPECT_EQ(options->metrics_address, ":9396");
  EXPECT_EQ(options->sweep_s, 30);
  EXPECT_EQ(options->poll_ms, 5000);
  EXPECT_EQ(said_, "");
}

// Contract section 4: the variables that HAMi's DaemonSets set.
TEST_F(OptionsTest, HamisVariablesAreRead) {
  setenv("NODE_NAME", "n1", 1);
  setenv("CDI_ROOT", "/etc/cdi", 1);
  setenv("NVIDIA_DRIVER_ROOT", "/run/nvidia/driver", 1);
  setenv("DRIVER_ROOT_CTR_PATH", "/here", 1);
  const Result<Options> options = Parse({});
  ASSERT_TRUE(options) << said_;
  EXPECT_EQ(options->node_name, "n1");
  EXPECT_EQ(options->cdi_root, "/etc/cdi");
  EXPECT_EQ(options->driver_root, "/run/nvidia/driver");
  EXPECT_EQ(options->container_driver_root, "/here");

  EXPECT_EQ(Parse({"--node-name=n2", "--cdi-root=/x"})->node_name, "n2") << "flags win";
  EXPECT_EQ(Parse({"--node-name=n2", "--cdi-root=/x"})->cdi_root, "/x");
}

TEST_F(OptionsTest, OurOwnVariablesAreRead) {
  setenv("KUBELET_ROOT", "/k", 1);
  setenv("METRICS_ADDRESS", "", 1);
  setenv("LOG_LEVEL", "debug", 1);
  setenv("LOG_FORMAT", "json", 1);
  const Result<Options> options = Parse({"--node-name=n1"});
  ASSERT_TRUE(options) << said_;
  EXPECT_EQ(options->kubelet_folder, "/k");
  EXPECT_EQ(options->log.level, base::ParseLogLevel("debug").value());
  EXPECT_EQ(options->log.format, base::ParseLogFormat("json").value());
}

TEST_F(OptionsTest, EveryFlagIsTaken) {
  const Result<Options> options = Parse(
      {"--node-name=n", "--kubeconfig=/c", "--kubelet-root=/k", "--cdi-root=/d",
       "--nvidia-driver-root=/r", "--container-driver-root=/s", "--library-root=/l",
       "--share-root=/h", "--cache-root=/e", "--metrics-address=", "--runtime-socket=/t",
       "--sweep-seconds=7", "--poll-milliseconds=800", "--log-level=warn", "--log-format=json"});
  ASSERT_TRUE(options) << said_;
  EXPECT_EQ(options->kubeconfig, "/c");
  EXPECT_EQ(options->kubelet_folder, "/k");
  EXPECT_EQ(options->cdi_root, "/d");
  EXPECT_EQ(options->driver_root, "/r");
  EXPECT_EQ(options->container_driver_root, "/s");
  EXPECT_EQ(options->library_root, "/l");
  EXPECT_EQ(options->share_root, "/h");
  EXPECT_EQ(options->cache_root, "/e");
  EXPECT_EQ(options->metrics_address, "");
  EXPECT_EQ(options->runtime_socket, "/t");
  EXPECT_EQ(options->sweep_s, 7);
  EXPECT_EQ(options->poll_ms, 800);
}

TEST_F(OptionsTest, WhatIsWrongIsSaidBeforeAnythingStarts) {
  EXPECT_THAT(RefusalOf({}), HasSubstr("NODE_NAME from spec.nodeName"));
  EXPECT_THAT(RefusalOf({"--node-name="}), HasSubstr("--node-name"));
  EXPECT_THAT(RefusalOf({"--node-name=n", "--nodename=m"}), HasSubstr("--nodename"));
  EXPECT_THAT(RefusalOf({"--node-name=n", "stray"}), HasSubstr("stray"));
  for (const std::string value : {"0", "3601", "-1", "x", "", "1.5"}) {
    EXPECT_THAT(RefusalOf({"--node-name=n", "--sweep-seconds=" + value}),
                HasSubstr("--sweep-seconds"))
        << value;
  }
  EXPECT_THAT(RefusalOf({"--node-name=n", "--poll-milliseconds=99"}),
              HasSubstr("--poll-milliseconds"));
  EXPECT_THAT(RefusalOf({"--node-name=n", "--log-level=loud"}), HasSubstr("loud"));
  EXPECT_THAT(RefusalOf({"--node-name=n", "--log-format=xml"}), HasSubstr("xml"));
}

TEST_F(OptionsTest, HelpAndVersionEndWell) {
  EXPECT_FALSE(Parse({"--help"}));
  EXPECT_EQ(exit_code_, 0);
  EXPECT_THAT(said_, HasSubstr("--node-name"));
  EXPECT_FALSE(Parse({"--version"}));
  EXPECT_EQ(exit_code_, 0);
  EXPECT_THAT(said_, HasSubstr("hami-dra-driver"));
}

// What the driver starts itself with.
TEST_F(OptionsTest, MeasuringNeedsNoNode) {
  const Result<Options> options =
      Parse({"context-cost", "--driver-root", "/r", "--uuid", "GPU-1", "--cache", "/c"});
  ASSERT_TRUE(options) << said_;
  EXPECT_EQ(options->command, "context-cost");
  EXPECT_EQ(options->container_driver_root, "/r");
  EXPECT_EQ(options->uuid, "GPU-1");
  EXPECT_EQ(options->cache_root, "/c");
  EXPECT_THAT(RefusalOf({"context-cost", "--driver-root", "/r"}), HasSubstr("--uuid"));
}

}  // namespace
}  // namespace hami::dra
