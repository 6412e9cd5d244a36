// SPDX-License-Identifier: Apache-2.0
//
// The variables of a module count against the limit before the driver makes them.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>

#include "simgpu/image/image.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

class Modules : public testing::Test {
 public:
  explicit Modules(const std::string& memory = "275Mi") : tenant_(memory) {}
  void SetUp() override {
    char name[] = "/tmp/hami-modules-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    ASSERT_EQ(Ask(script_, "init"), "ok");
    ASSERT_EQ(Ask(script_, "retain"), "ok");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Ptx(const std::string& declarations) const {
    const std::string path = folder_ + "/module.ptx";
    std::ofstream(path) << ".version 7.0\n.target sm_80\n.address_size 64\n"
                        << declarations << "\n.visible .entry nothing() { ret; }\n";
    return path;
  }
  // With one variable of so many bytes.
  std::string PtxWith(uint64_t bytes) const {
    return Ptx(".visible .global .align 4 .b8 table[" + std::to_string(bytes) + "];");
  }

  std::string folder_;
  Tenant tenant_;
  Running script_ = tenant_.StartScript();
};

TEST_F(Modules, MoreThanTheLimitIsRefused) {
  const uint64_t before = tenant_.Charged();
  EXPECT_EQ(Ask(script_, "module m " + PtxWith(1024 * kMiB)), "error 2");
  EXPECT_EQ(tenant_.Charged(), before);
  EXPECT_EQ(tenant_.Truth(), before);
  EXPECT_EQ(RefusedCount(tenant_.share), 1U);
}

TEST_F(Modules, AbsurdSizesAreRefusedAndCostNothing) {
  const uint64_t before = tenant_.Charged();
  uint64_t refused = 0;
  for (const std::string size : {"[18446744073709551615]", "[4294967296][4294967296]",
                                 "[18446744073709551617]", "[2305843009213693952][2]"}) {
    EXPECT_EQ(Ask(script_, "module m " + Ptx(".global .u64 table" + size + ";")), "error 2");
    EXPECT_EQ(tenant_.Charged(), before) << size;
    EXPECT_EQ(tenant_.Truth(), before) << size;
    EXPECT_EQ(RefusedCount(tenant_.share), ++refused) << size;
  }
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

class LargeModules : public Modules {
 public:
  LargeModules() : Modules("4Gi") {}
};

// Beyond the charge are at most the pages that the driver rounds up to.
TEST_F(LargeModules, AreChargedWhatTheyTake) {
  const uint64_t before = tenant_.Charged();
  ASSERT_EQ(Ask(script_, "module m " + PtxWith(64 * kMiB)), "ok");
  EXPECT_GE(tenant_.Charged(), before + 64 * kMiB);
  EXPECT_LT(tenant_.Charged(), before + 65 * kMiB);
  EXPECT_GE(tenant_.Charged() + kPageBytes, tenant_.Truth());
  ASSERT_EQ(Ask(script_, "unmodule m"), "ok");
  EXPECT_EQ(tenant_.Charged(), before);
  EXPECT_EQ(tenant_.Truth(), before);
}

// What the simulated driver reads out of the same image, by a parser of its own. For code, of which
// only the text's length is known, it rounds up more often.
TEST_F(LargeModules, AreChargedWhatTheDriverReads) {
  constexpr uint64_t kCodeBytes = 4096;
  const uint64_t before = tenant_.Charged();
  const std::string golden = std::string(HAMI_IMAGES) + "/";
  // Of a version that this driver compiles.
  const std::string compiled = std::regex_replace(ReadFile(golden + "compute_80.ptx"),
                                                  std::regex("\\.version .*"), ".version 7.0");
  const std::string variables =
      ".version 7.0\n.target sm_80\n.address_size 64\n"
      ".global .align 256 .b8 a[1048577], b[] = {1, 2, 3};\n.const .f64 c[3][0x10], d;\n"
      ".global .v4 .f32 e[1000000];\n.global .attribute(.managed) .u16 f[010];\n"
      ".visible .global .u64 g[][2][1000] = {{{1}, {2}}, {{3}}};";
  for (const std::string& image :
       {variables, compiled, ReadFile(golden + "sm_86.cubin"),
        ReadFile(golden + "mix_plain.fatbin"), ReadFile(golden + "mix_lz4.fatbin"),
        ReadFile(golden + "mix_zstd.fatbin"), ReadFile(golden + "mix_concatenated.fatbin")}) {
    SCOPED_TRACE(image.size());
    const std::string path = folder_ + "/image";
    std::ofstream(path, std::ios::binary) << image;
    uint64_t bytes = 0;
    ASSERT_EQ(simgpu::ParseImage(image.c_str(), 86, {}, &bytes), simgpu::ImageStatus::kOk);
    ASSERT_EQ(Ask(script_, "module m " + path), "ok");
    EXPECT_GE(tenant_.Charged() + kCodeBytes, before + bytes);
    ASSERT_EQ(Ask(script_, "unmodule m"), "ok");
    EXPECT_EQ(tenant_.Charged(), before);
  }
}

}  // namespace
}  // namespace hami::component
