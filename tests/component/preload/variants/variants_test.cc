// SPDX-License-Identifier: Apache-2.0
//
// Every variant of a call that takes memory is charged as its siblings are, given back by every
// variant of the call that frees it, and refused where the slice has no room. Which variant a
// program calls is its compiler's choice: old interfaces, per-thread default streams.

#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <string>

#include "tests/component/harness.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

// The least that a variant takes: code has 16 MiB of variables.
constexpr uint64_t kLeastBytes = 16 * kMiB;

class VariantsTest : public testing::TestWithParam<const char*> {
 protected:
  VariantsTest() { signal(SIGPIPE, SIG_IGN); }

  static Running Start(const Tenant& tenant) {
    const std::string image = tenant.share.folder() + "/module.ptx";
    std::ofstream(image) << ".version 7.0\n.target sm_80\n.address_size 64\n"
                         << ".visible .global .align 4 .b8 table[" << kLeastBytes << "];\n"
                         << ".visible .entry nothing() { ret; }\n";
    Running program = tenant.share.Start({TestProgram("variants"), {image}, {}});
    EXPECT_EQ(Ask(program, "enter"), "ok");
    return program;
  }
  static std::string Take() { return std::string("take ") + GetParam(); }
  // What the driver's pages hide of an image of code; the agent finds it (docs/adr/0011).
  static uint64_t HiddenBytes() {
    return std::string(GetParam()).find("Load") != std::string::npos ? kPageBytes : 0;
  }
};

TEST_P(VariantsTest, IsChargedAndGivenBack) {
  const Tenant tenant("4Gi", "a10-580");
  Running program = Start(tenant);
  // The first use of a family may leave something behind that the driver keeps.
  ASSERT_EQ(Ask(program, Take()), "ok");
  ASSERT_EQ(Ask(program, "give"), "ok");
  const uint64_t charged = tenant.Charged();
  const uint64_t truth = tenant.Truth();
  ASSERT_EQ(Ask(program, Take()), "ok");
  EXPECT_GE(tenant.Charged(), charged + kLeastBytes);
  EXPECT_GE(tenant.Charged() + HiddenBytes(), tenant.Truth());
  ASSERT_EQ(Ask(program, "give"), "ok");
  EXPECT_EQ(tenant.Truth(), truth);
  EXPECT_EQ(tenant.Charged(), charged);
}

TEST_P(VariantsTest, IsRefusedWhereThereIsNoRoom) {
  const uint64_t limit_mib = kContextBytes / kMiB + kLeastBytes / kMiB - 4;
  const Tenant tenant(std::to_string(limit_mib) + "Mi", "a10-580");
  Running program = Start(tenant);
  const uint64_t truth = tenant.Truth();
  EXPECT_EQ(Ask(program, Take()), "error 2");
  EXPECT_EQ(tenant.Truth(), truth);
}

// Look-ups lead to the library, whichever a program asks.
TEST(LookupVariantsTest, AllLeadToTheLibrary) {
  const Tenant tenant("4Gi", "a10-580");
  Running program = tenant.share.Start({TestProgram("variants"), {"/dev/null"}, {}});
  Running native(tenant.simulation.With({TestProgram("variants"), {"/dev/null"}, {}}));
  for (const std::string call : {"cuGetProcAddress", "cuGetProcAddress_ptsz", "cuGetProcAddress_v2",
                                 "cuGetProcAddress_v2_ptsz"}) {
    EXPECT_EQ(Ask(native, "lookup " + call).substr(0, 7), "libcuda") << call;
    EXPECT_EQ(Ask(program, "lookup " + call), "libvgpu.so") << call;
  }
}

// A primary context goes by whichever call ends it.
TEST(PrimaryContextTest, GoesByEveryVariant) {
  for (const std::string end : {"cuDevicePrimaryCtxRelease", "cuDevicePrimaryCtxRelease_v2",
                                "cuDevicePrimaryCtxReset", "cuDevicePrimaryCtxReset_v2"}) {
    SCOPED_TRACE(end);
    const Tenant tenant("4Gi", "a10-580");
    Running program = tenant.share.Start({TestProgram("variants"), {"/dev/null"}, {}});
    ASSERT_EQ(Ask(program, "take cuDevicePrimaryCtxRetain/" + end), "ok");
    EXPECT_EQ(tenant.Charged(), kContextBytes);
    ASSERT_EQ(Ask(program, "give"), "ok");
    EXPECT_EQ(tenant.Charged(), 0U);
    EXPECT_EQ(tenant.Truth(), 0U);
  }
}

// The interface of CUDA 2 has addresses of 32 bits. The simulation refuses it (what a real 64-bit
// driver does is not known); what is refused costs nothing.
TEST(NarrowAddressTest, WhatTheDriverRefusesCostsNothing) {
  const Tenant tenant("4Gi", "a10-580");
  Running program = tenant.share.Start({TestProgram("variants"), {"/dev/null"}, {}});
  ASSERT_EQ(Ask(program, "enter"), "ok");
  for (const std::string call : {"cuMemAlloc", "cuMemAllocPitch"}) {
    EXPECT_EQ(Ask(program, "take " + call), "error 801") << call;
    EXPECT_EQ(tenant.Charged(), kContextBytes) << call;
  }
  for (const std::string call :
       {"cuGraphicsResourceGetMappedPointer", "cuGLMapBufferObject", "cuGLMapBufferObjectAsync"}) {
    EXPECT_EQ(Ask(program, "null " + call), "801") << call;
    EXPECT_EQ(tenant.Charged(), kContextBytes) << call;
  }
}

// A recapture takes the place of a graph that was captured before (CUDA 13.3). Captures into
// another interface's command list need that interface: the driver's refusal passes, and nothing is
// charged.
TEST(NewestCaptureTest, IsChargedAtItsLaunch) {
  const Tenant tenant("4Gi", "h200-615", 520 * kMiB);
  Running program = tenant.share.Start({TestProgram("variants"), {"/dev/null"}, {}});
  ASSERT_EQ(Ask(program, "enter"), "ok");
  const uint64_t before = tenant.Charged();
  for (const std::string call :
       {"cuStreamBeginRecaptureToGraph", "cuStreamBeginRecaptureToGraph_ptsz"}) {
    SCOPED_TRACE(call);
    ASSERT_EQ(Ask(program, "take " + call), "ok");
    EXPECT_EQ(tenant.Charged(), before + 64 * kMiB);
    EXPECT_EQ(tenant.Truth(), tenant.Charged());
    ASSERT_EQ(Ask(program, "give"), "ok");
    EXPECT_EQ(tenant.Charged(), before);
  }
  for (const std::string call : {"cuStreamBeginCaptureToCig", "cuStreamBeginCaptureToCig_ptsz"}) {
    EXPECT_EQ(Ask(program, "take " + call), "error 801") << call;
    EXPECT_EQ(tenant.Charged(), before) << call;
  }
}

// What takes; behind a slash what gives back, where that is not the usual.
INSTANTIATE_TEST_SUITE_P(
    Calls, VariantsTest,
    testing::Values("cuCtxCreate", "cuCtxCreate_v2", "cuCtxCreate_v2/cuCtxDestroy",
                    "cuCtxCreate_v2/cuCtxDetach", "cuCtxCreate_v3", "cuCtxCreate_v4",
                    "cuMemAlloc_v2", "cuMemAllocAsync", "cuMemAllocAsync/cuMemFreeAsync_ptsz",
                    "cuMemAllocAsync/cuMemFree_v2", "cuMemAllocAsync_ptsz",
                    "cuMemAllocFromPoolAsync", "cuMemAllocFromPoolAsync_ptsz", "cuArrayCreate",
                    "cuArrayCreate_v2", "cuArray3DCreate", "cuArray3DCreate_v2", "cuModuleLoad",
                    "cuModuleLoadData", "cuModuleLoadDataEx", "cuModuleLoadFatBinary",
                    "cuLibraryLoadFromFile", "cuGraphInstantiate", "cuGraphInstantiate_v2",
                    "cuGraphInstantiateWithFlags", "cuGraphInstantiateWithParams",
                    "cuGraphInstantiateWithParams_ptsz", "cuStreamBeginCapture",
                    "cuStreamBeginCapture_ptsz", "cuStreamBeginCapture_v2",
                    "cuStreamBeginCapture_v2_ptsz", "cuStreamBeginCaptureToGraph",
                    "cuStreamBeginCaptureToGraph_ptsz"),
    [](const testing::TestParamInfo<const char*>& variant) {
      std::string name = variant.param;
      for (char& letter : name) letter = letter == '/' ? '_' : letter;
      return name;
    });

}  // namespace
}  // namespace hami::component
