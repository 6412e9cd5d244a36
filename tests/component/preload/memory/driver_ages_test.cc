// SPDX-License-Identifier: Apache-2.0
//
// Drivers of any age hold a program to its slice: the oldest that is supported, which lacks many
// entry points, and a forward-compatible libcuda of an image that is newer than the host's driver
// (CUDA Compatibility, forward compatibility: the image's libcuda runs on the host's kernel
// driver).

#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <sstream>
#include <string>

#include "tests/component/harness.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

namespace fs = std::filesystem;

class DriverAgesTest : public testing::Test {
 protected:
  DriverAgesTest() { signal(SIGPIPE, SIG_IGN); }

  // Everything that the script can ask of a slice of 4 GiB, whichever driver answers.
  static void HoldsToItsSlice(Running& script, const Tenant& tenant) {
    EXPECT_EQ(Ask(script, "total"), std::to_string(4096 * kMiB));
    for (const char* line : {"alloc a 2147483648", "pitch b 1000 1000", "managed c 100000000",
                             "array d 1000 1000 0", "create e 268435456", "map f e"}) {
      EXPECT_EQ(Ask(script, line), "ok") << line;
      EXPECT_GE(tenant.Charged(), tenant.Truth()) << line;
    }
    for (const char* line : {"alloc x 2147483648", "managed x 2147483648", "create x 2147483648",
                             "pitch x 1048576 2048"}) {
      EXPECT_EQ(Ask(script, line), "error 2") << line;
    }
    EXPECT_LE(tenant.Truth(), tenant.limit_bytes);
    const std::string info = Ask(script, "info");
    EXPECT_EQ(info, std::to_string(tenant.limit_bytes - tenant.Charged()) + " " +
                        std::to_string(tenant.limit_bytes));
    for (const char* line : {"free a", "free b", "free c", "unarray d", "unmap f", "release e"}) {
      EXPECT_EQ(Ask(script, line), "ok") << line;
    }
    EXPECT_EQ(Ask(script, "alloc a 2147483648"), "ok");
  }
};

constexpr uint64_t kT4ContextBytes = 104 * kMiB;

TEST_F(DriverAgesTest, TheOldestDriverIsHeld) {
  const Tenant tenant("4Gi", "t4-440", kT4ContextBytes);
  Running script = tenant.StartScript();
  ASSERT_EQ(Ask(script, "version"), "10020");
  ASSERT_EQ(Ask(script, "init"), "ok");
  ASSERT_EQ(Ask(script, "retain"), "ok");
  HoldsToItsSlice(script, tenant);
}

// A program decides by what it finds which calls it may make: an entry point that the driver lacks
// must not be found because the library has a hook for it.
TEST_F(DriverAgesTest, WhatTheOldestDriverLacksIsNotThere) {
  const Tenant tenant("4Gi", "t4-440", kT4ContextBytes);
  Running script = tenant.StartScript();
  for (const char* name : {"cuMemAllocAsync", "cuGetProcAddress", "cuGetProcAddress_v2",
                           "cuLaunchKernelEx", "cuGraphAddMemAllocNode", "cuLibraryLoadData",
                           "cuMemGetDefaultMemPool", "cuGreenCtxCreate", "cuArrayGetPlane"}) {
    EXPECT_EQ(Ask(script, std::string("has ") + name), "") << name;
  }
  EXPECT_EQ(Ask(script, "has cuMemAlloc_v2").substr(0, 6), "driver");
}

// NVML's first forms: those of branch 440 are the only ones it has.
TEST_F(DriverAgesTest, TheOldestNvmlShowsTheSlice) {
  const Tenant tenant("4Gi", "t4-440", kT4ContextBytes);
  Running script = tenant.StartScript();
  Running neighbour(tenant.simulation.With({TestProgram("script"), {}, {}}));
  for (Running* each : {&script, &neighbour}) {
    ASSERT_EQ(Ask(*each, "init"), "ok");
    ASSERT_EQ(Ask(*each, "retain"), "ok");
    ASSERT_EQ(Ask(*each, "alloc a 1073741824"), "ok");
  }
  const uint64_t used = tenant.Charged();
  const Output view = tenant.share.Run({TestProgram("nvml_view"), {}, {}});
  EXPECT_EQ(view.exit_code, 0);
  std::ostringstream expected;
  expected << "gpu 0\nv1 " << tenant.limit_bytes << ' ' << tenant.limit_bytes - used << ' ' << used
           << "\nprocess " << script.pid() << ' ' << used << '\n';
  EXPECT_EQ(view.text, expected.str());
}

// The image's newer library under the host's older driver: the host's NVML says 550, the program
// runs on CUDA 13.0, and it is that library which is hooked.
TEST_F(DriverAgesTest, AForwardCompatibleLibraryIsTheOneThatIsHeld) {
  const Tenant tenant("4Gi", "a10-550");
  Command command = tenant.share.With({TestProgram("script"), {}, {}});
  const std::string native = command.environment.at("LD_LIBRARY_PATH");
  // As /usr/local/cuda/compat: libcuda, and nothing of NVML.
  const fs::path newer = fs::path(PreloadLibrary()).parent_path() / "simgpu/580/libcuda.so.1";
  const fs::path folder = fs::path(tenant.share.folder()) / "compat";
  fs::create_directory(folder);
  fs::create_symlink(newer, folder / newer.filename());
  command.environment["LD_LIBRARY_PATH"] = folder.string() + ":" + native;
  Running script(command);
  EXPECT_EQ(Ask(script, "version"), "13000");
  ASSERT_EQ(Ask(script, "init"), "ok");
  ASSERT_EQ(Ask(script, "retain"), "ok");
  HoldsToItsSlice(script, tenant);
  EXPECT_EQ(Ask(script, "async g 3000000000"), "error 2");
}

}  // namespace
}  // namespace hami::component
