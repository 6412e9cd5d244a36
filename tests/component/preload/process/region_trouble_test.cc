// SPDX-License-Identifier: Apache-2.0
//
// Regions that are full, cannot be written, or were changed behind a process that uses them: a
// refusal with one clear line or the limit, never more than was granted to who charges.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "region/ledger.h"
#include "region/mapping.h"
#include "region/slots.h"
#include "tests/component/harness.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

using testing::HasSubstr;

constexpr uint64_t kGiB = 1024 * kMiB;
constexpr int kCannot = 77;

class RegionTrouble : public testing::Test {
 protected:
  RegionTrouble() { signal(SIGPIPE, SIG_IGN); }

  Output RunActs(const std::vector<std::string>& words) const {
    return tenant_.share.Run({TestProgram("acts"), words, {}});
  }

  const std::string acts_ = TestProgram("acts");
  const std::string gib_ = std::to_string(kGiB);
  Tenant tenant_;  // 4 GiB
};

TEST_F(RegionTrouble, TheProcessAfterTheThousandAndTwentyFourthIsRefused) {
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  region::Mapping mine;
  const region::Identity identity = region::ReadIdentity();
  ASSERT_EQ(region::Attach(tenant_.share.region_path().c_str(), true, &identity, &mine),
            region::AttachError::kNone);
  // As in mapping_test: open files of this process stand for processes.
  std::vector<int> others;
  for (int slot = 1; slot < api::kMaxProcesses; ++slot) {
    const int fd = open(tenant_.share.region_path().c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) GTEST_SKIP() << "needs 1024 descriptors (ulimit -n)";
    others.push_back(fd);
    ASSERT_EQ(region::ClaimSlot(*mine.region, fd, identity), slot);
  }
  const Output refused = RunActs({"try", gib_});
  EXPECT_EQ(refused.exit_code, 0) << "the program decides what becomes of an error";
  EXPECT_THAT(refused.text, HasSubstr("begin 2\n"));
  EXPECT_THAT(refused.text, HasSubstr("has no free process slot (1024 live processes); every GPU "
                                      "allocation is refused"));
  EXPECT_EQ(tenant_.Truth(), 0U);
  close(others[100]);
  EXPECT_THAT(RunActs({"try", gib_}).text, HasSubstr("begin 0\nalloc 0\n"));
  for (const int fd : others) close(fd);
}

TEST_F(RegionTrouble, AReadOnlyShareRefusesEverything) {
  const Output first = RunActs({"read-only", tenant_.share.folder(), acts_, "try", gib_});
  if (first.exit_code == kCannot) GTEST_SKIP() << "may not mount";
  EXPECT_THAT(first.text, HasSubstr("region: cannot be opened; every GPU allocation is refused"));
  EXPECT_THAT(first.text, HasSubstr("begin 2\n"));
  // Nor with a region that is there.
  EXPECT_THAT(RunActs({"try", gib_}).text, HasSubstr("alloc 0\n"));
  const Output second = RunActs({"read-only", tenant_.share.folder(), acts_, "try", gib_});
  EXPECT_THAT(second.text, HasSubstr("region: cannot be opened; every GPU allocation is refused"));
  EXPECT_EQ(tenant_.Truth(), 0U);
}

// All of a container's processes were killed; its folder is used again.
TEST_F(RegionTrouble, AStaleRegionIsAsGoodAsNew) {
  {
    std::vector<Running> dead;
    for (int i = 0; i < 3; ++i) {
      dead.push_back(tenant_.share.Start({acts_, {"hold", gib_}, {}}));
      ASSERT_THAT(dead.back().ReadUntil("ready"), HasSubstr("ready"));
    }
    for (Running& one : dead) one.Kill();
  }
  Running next = tenant_.share.Start(
      {acts_, {"hold", std::to_string(tenant_.limit_bytes - kContextBytes)}, {}});
  EXPECT_EQ(next.ReadUntil("alloc"), "alloc 0\n");
  EXPECT_EQ(next.ReadUntil("ready"), "ready\n");
  EXPECT_EQ(tenant_.Charged(), tenant_.limit_bytes);
  EXPECT_EQ(tenant_.Truth(), tenant_.limit_bytes);
}

// What was removed or replaced behind a process is not the region that it charges.
TEST_F(RegionTrouble, ARemovedRegionBoundsWhoHasIt) {
  Running running = tenant_.share.Start({TestProgram("script"), {}, {}});
  EXPECT_EQ(Ask(running, "init"), "ok");
  EXPECT_EQ(Ask(running, "retain"), "ok");
  ASSERT_EQ(unlink(tenant_.share.region_path().c_str()), 0);
  EXPECT_EQ(Ask(running, "alloc a " + std::to_string(3 * kGiB)), "ok");
  EXPECT_EQ(Ask(running, "alloc b " + std::to_string(kGiB)), "error 2");
  EXPECT_EQ(Ask(running, "free a"), "ok");
  EXPECT_EQ(Ask(running, "alloc b " + std::to_string(kGiB)), "ok");
  EXPECT_EQ(tenant_.Truth(), kContextBytes + kGiB);
}

// Random words from another process of the tenant. Nothing here is a limit for the host; but a
// program is not ended by it, and what it frees never makes a sum wrap.
TEST_F(RegionTrouble, ScribbledChargesEndNobody) {
  Running running = tenant_.share.Start({TestProgram("script"), {}, {}});
  EXPECT_EQ(Ask(running, "init"), "ok");
  EXPECT_EQ(Ask(running, "retain"), "ok");
  region::Mapping mapping;
  ASSERT_EQ(region::Attach(tenant_.share.region_path().c_str(), false, nullptr, &mapping),
            region::AttachError::kNone);
  uint64_t state = 88172645463325252U;
  const auto random = [&state] {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
  };
  for (int round = 0; round < 200; ++round) {
    // Epochs and the bit of a recount stay: who breaks those has his processes wait for ever.
    for (int slot = 0; slot < 4; ++slot) {
      api::LedgerWord& word = mapping.region->ext.slots[slot].charge[0];
      word = (word & ~region::kUnitMask) | (random() & region::kUnitMask);
      mapping.region->v1.processes[slot].used[0].data_bytes = random();
      mapping.region->v1.processes[slot].pid = static_cast<int32_t>(random());
    }
    api::LedgerWord& total = mapping.region->ext.devices[0].total;
    total = (total & ~region::kUnitMask) | (random() & region::kUnitMask);
    mapping.region->v1.process_count = static_cast<int32_t>(random());
    mapping.region->ext.slots_ever_used = static_cast<uint32_t>(random());
    mapping.region->ext.slot_used[0] = random();
    mapping.region->ext.limits_generation = static_cast<uint32_t>(random());
    const std::string answer = Ask(running, "alloc a " + std::to_string(16 * kMiB));
    ASSERT_TRUE(answer == "ok" || answer == "error 2") << answer;
    if (answer == "ok") {
      ASSERT_EQ(Ask(running, "free a"), "ok");
    }
    ASSERT_THAT(Ask(running, "info"), HasSubstr(" "));
  }
  EXPECT_EQ(tenant_.Truth(), kContextBytes);
}

}  // namespace
}  // namespace hami::component
