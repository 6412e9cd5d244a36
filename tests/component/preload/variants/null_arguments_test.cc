// SPDX-License-Identifier: Apache-2.0
//
// Each function that the library has a hook for, called with nothing but zeros: the answer is the
// driver's own, nothing crashes, and nothing is charged. Null arguments are the driver's to refuse.

#include <gtest/gtest.h>
#include <signal.h>

#include <string>

#include "tests/component/harness.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

constexpr const char* kCudaHooks[] = {
#define HAMI_CUDA_HOOK(symbol, on_failure) #symbol,
#include "preload/hooks.def"
#undef HAMI_CUDA_HOOK
};

constexpr const char* kNvmlHooks[] = {
#define HAMI_NVML_HOOK(symbol, on_failure) #symbol,
#include "preload/hooks.def"
#undef HAMI_NVML_HOOK
};

class NullArgumentsTest : public testing::TestWithParam<const char*> {
 protected:
  NullArgumentsTest() { signal(SIGPIPE, SIG_IGN); }
};

TEST_P(NullArgumentsTest, OfCudaAreTheDriversToRefuse) {
  const Tenant tenant("4Gi", GetParam(), 520 * kMiB);
  for (const char* hook : kCudaHooks) {
    SCOPED_TRACE(hook);
    // Anew for each: some of them succeed, and end the context of the next.
    Running native(tenant.simulation.With({TestProgram("variants"), {"/dev/null"}, {}}));
    ASSERT_EQ(Ask(native, "enter"), "ok");
    const std::string expected = Ask(native, std::string("null ") + hook);
    ASSERT_NE(expected, "") << "the simulation crashes";
    native.Kill();
    Running ours = tenant.share.Start({TestProgram("variants"), {"/dev/null"}, {}});
    ASSERT_EQ(Ask(ours, "enter"), "ok");
    const uint64_t before = tenant.Charged();
    EXPECT_EQ(Ask(ours, std::string("null ") + hook), expected);
    EXPECT_LE(tenant.Charged(), before);
  }
}

TEST_P(NullArgumentsTest, OfNvmlAreTheDriversToRefuse) {
  const Tenant tenant("4Gi", GetParam(), 520 * kMiB);
  Running native(tenant.simulation.With({TestProgram("nvml_variants"), {}, {}}));
  Running ours = tenant.share.Start({TestProgram("nvml_variants"), {}, {}});
  for (const char* hook : kNvmlHooks) {
    SCOPED_TRACE(hook);
    const std::string line = std::string("null ") + hook;
    const std::string expected = Ask(native, line);
    ASSERT_NE(expected, "") << "the simulation crashes";
    EXPECT_EQ(Ask(ours, line), expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Drivers, NullArgumentsTest, testing::Values("h200-615", "t4-440"),
                         [](const testing::TestParamInfo<const char*>& profile) {
                           return std::string(profile.index == 0 ? "newest" : "oldest");
                         });

}  // namespace
}  // namespace hami::component
