// SPDX-License-Identifier: Apache-2.0
//
// The variables of a module count against the limit before the driver makes them.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

class Modules : public testing::Test {
 public:
  void SetUp() override {
    char name[] = "/tmp/hami-modules-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    ASSERT_EQ(Ask(script_, "init"), "ok");
    ASSERT_EQ(Ask(script_, "retain"), "ok");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // A PTX text with one variable of so many bytes.
  std::string PtxWith(uint64_t bytes) const {
    const std::string path = folder_ + "/" + std::to_string(bytes) + ".ptx";
    std::ofstream(path) << ".version 7.0\n.target sm_80\n.address_size 64\n"
                        << ".visible .global .align 4 .b8 table[" << bytes << "];\n"
                        << ".visible .entry nothing() { ret; }\n";
    return path;
  }

  std::string folder_;
  Tenant tenant_{"275Mi"};
  Running script_ = tenant_.StartScript();
};

TEST_F(Modules, MoreThanTheLimitIsRefused) {
  const uint64_t before = tenant_.Charged();
  EXPECT_EQ(Ask(script_, "module m " + PtxWith(1024 * kMiB)), "error 2");
  EXPECT_EQ(tenant_.Charged(), before);
  EXPECT_EQ(tenant_.Truth(), before);
  EXPECT_EQ(RefusedCount(tenant_.share), 1U);
}

TEST_F(Modules, WhatFitsIsChargedUntilItIsUnloaded) {
  const uint64_t before = tenant_.Charged();
  ASSERT_EQ(Ask(script_, "module m " + PtxWith(16 * kMiB)), "ok");
  EXPECT_GE(tenant_.Charged(), before + 16 * kMiB);
  EXPECT_GE(tenant_.Truth(), before + 16 * kMiB);
  EXPECT_EQ(Ask(script_, "module n " + PtxWith(5 * kMiB)), "error 2");
  ASSERT_EQ(Ask(script_, "unmodule m"), "ok");
  EXPECT_EQ(tenant_.Charged(), before);
  EXPECT_EQ(Ask(script_, "module n " + PtxWith(5 * kMiB)), "ok");
}

}  // namespace
}  // namespace hami::component
