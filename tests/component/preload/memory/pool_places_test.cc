// SPDX-License-Identifier: Apache-2.0
//
// Pools take memory where they lie, whatever device is current: on another device, or on the host,
// which is nobody's slice. A driver of CUDA 13.

#include <gtest/gtest.h>
#include <signal.h>

#include <string>

#include "tests/component/harness.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

constexpr uint64_t kLimitBytes = 4096 * kMiB;

class PoolPlaces : public testing::Test {
 protected:
  PoolPlaces() : simulation_("h200-580", 2), share_(simulation_, {.raw_limits = Limits()}) {
    signal(SIGPIPE, SIG_IGN);
  }

  std::string Limits() const {
    std::string text = "hami-limits 1\ngeneration 1\n";
    for (const std::string& uuid : simulation_.uuids()) {
      text += "device " + uuid + "\nmemory " + std::to_string(kLimitBytes) + "\n";
    }
    return text + "end\n";
  }
  Running Start() {
    Running script = share_.Start({TestProgram("script"), {}, {}});
    EXPECT_EQ(Ask(script, "init"), "ok");
    EXPECT_EQ(Ask(script, "retain"), "ok");
    return script;
  }
  static std::string Async(const std::string& name, uint64_t mib, const std::string& pool) {
    return "async " + name + " " + std::to_string(mib * kMiB) + " " + pool;
  }

  Simulation simulation_;
  Share share_;
};

TEST_F(PoolPlaces, TheHostsMemoryIsNotCharged) {
  Running script = Start();
  ASSERT_EQ(Ask(script, "pool mine host"), "ok");
  ASSERT_EQ(Ask(script, "defaultpool theirs host"), "ok");
  const uint64_t before = TotalBytes(share_);
  for (const std::string& line : {Async("a", 5000, "mine"), Async("b", 5000, "theirs"),
                                  std::string("unasync a"), std::string("unpool mine")}) {
    EXPECT_EQ(Ask(script, line), "ok") << line;
    EXPECT_EQ(TotalBytes(share_), before) << line;
  }
  EXPECT_EQ(Ask(script, "async c " + std::to_string(5000 * kMiB)), "error 2");
}

TEST_F(PoolPlaces, AnotherDevicesPoolIsChargedThere) {
  Running script = Start();
  ASSERT_EQ(Ask(script, "pool mine 1"), "ok");
  ASSERT_EQ(Ask(script, "defaultpool theirs 1"), "ok");
  const uint64_t before = TotalBytes(share_);
  EXPECT_EQ(Ask(script, Async("a", 64, "mine")), "ok");
  EXPECT_EQ(TotalBytes(share_, 1), 64 * kMiB);
  EXPECT_EQ(Ask(script, Async("b", 32, "theirs")), "ok");
  EXPECT_EQ(TotalBytes(share_, 1), 96 * kMiB);
  EXPECT_EQ(TotalBytes(share_), before);
  // The limit that counts is that device's.
  EXPECT_EQ(Ask(script, Async("c", 4096, "theirs")), "error 2");
  EXPECT_EQ(Ask(script, Async("c", 4000, "theirs")), "ok");
  EXPECT_EQ(Ask(script, "alloc d " + std::to_string(1024 * kMiB)), "ok");
}

}  // namespace
}  // namespace hami::component
