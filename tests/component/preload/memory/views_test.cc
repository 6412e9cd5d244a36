// SPDX-License-Identifier: Apache-2.0
//
// What a program is told about memory: cuMemGetInfo, cuDeviceTotalMem and NVML agree with each
// other and with what is charged.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <map>
#include <sstream>
#include <string>

#include "tests/component/harness.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

// Of the profile a10-550.
constexpr uint64_t kCardBytes = 23028 * kMiB;
constexpr uint64_t kReservedBytes = 297 * kMiB;
constexpr uint64_t kUsableBytes = kCardBytes - kReservedBytes;

struct NvmlView {
  uint64_t total = 0;
  uint64_t free = 0;
  uint64_t used = 0;
  uint64_t reserved = 0;
  std::map<uint64_t, uint64_t> processes;  // PID -> bytes
  int devices = 0;
};

// Both versions of the memory query must agree.
NvmlView Parse(const Output& output) {
  NvmlView view;
  EXPECT_EQ(output.exit_code, 0) << output.text;
  std::istringstream words(output.text);
  uint64_t first = 0;
  uint64_t second = 0;
  for (std::string kind; words >> kind;) {
    if (kind == "gpu") {
      words >> first;
      ++view.devices;
    } else if (kind == "v1") {
      words >> view.total >> view.free >> view.used;
    } else if (kind == "v2") {
      uint64_t used = 0;
      words >> first >> view.reserved >> second >> used;
      EXPECT_EQ(first, view.total);
      EXPECT_EQ(second, view.free);
      EXPECT_EQ(used + view.reserved, view.used);
    } else {
      EXPECT_EQ(kind, "process") << output.text;
      words >> first >> second;
      view.processes[first] = second;
    }
  }
  return view;
}

NvmlView LookThroughNvml(const Share& share) {
  return Parse(share.Run({TestProgram("nvml_view"), {}, {}}));
}

Running StartWithContext(const Share& share) {
  Running script = share.Start({TestProgram("script"), {}, {}});
  EXPECT_EQ(Ask(script, "init"), "ok");
  EXPECT_EQ(Ask(script, "retain"), "ok");
  return script;
}

std::string FreeAndTotal(uint64_t free, uint64_t total) {
  return std::to_string(free) + " " + std::to_string(total);
}

class Views : public testing::Test {
 protected:
  Views() { signal(SIGPIPE, SIG_IGN); }

  // All views of the tenant's share; `script` has a context.
  void ExpectAgreement(Running& script) {
    const std::string info = Ask(script, "info");
    const uint64_t charged = tenant_.Charged();
    const uint64_t limit = tenant_.limit_bytes;
    EXPECT_EQ(info, FreeAndTotal(limit - charged, limit));
    EXPECT_EQ(Ask(script, "total"), std::to_string(limit));
    const NvmlView nvml = LookThroughNvml(tenant_.share);
    EXPECT_EQ(nvml.devices, 1);
    EXPECT_EQ(nvml.total, limit);
    EXPECT_EQ(nvml.used, charged);
    EXPECT_EQ(nvml.free, limit - charged);
    EXPECT_EQ(nvml.reserved, 0U);
    uint64_t listed = 0;
    for (const auto& [pid, bytes] : nvml.processes) listed += bytes;
    EXPECT_EQ(listed, charged);
  }

  Tenant tenant_;
};

TEST_F(Views, ShowTheWholeSliceBeforeAnythingIsTaken) {
  Running script = tenant_.share.Start({TestProgram("script"), {}, {}});
  ASSERT_EQ(Ask(script, "init"), "ok");
  EXPECT_EQ(Ask(script, "total"), std::to_string(tenant_.limit_bytes));
  const NvmlView nvml = LookThroughNvml(tenant_.share);
  EXPECT_EQ(nvml.total, tenant_.limit_bytes);
  EXPECT_EQ(nvml.free, tenant_.limit_bytes);
  EXPECT_EQ(nvml.used, 0U);
  EXPECT_THAT(nvml.processes, IsEmpty());
}

TEST_F(Views, AgreeAfterEveryCall) {
  Running script = StartWithContext(tenant_.share);
  for (const std::string line :
       {"alloc a 104857601", "pitch p 1000 1000", "managed m 104857600", "async s 1048576",
        "create h 4194304", "map v h", "ctx c", "free a", "free p", "free m", "unasync s", "sync",
        "unmap v", "release h", "unctx c", "trim 0"}) {
    SCOPED_TRACE(line);
    EXPECT_EQ(Ask(script, line), "ok");
    ExpectAgreement(script);
  }
  EXPECT_EQ(tenant_.Charged(), kContextBytes);
}

TEST_F(Views, AgreeWhenNothingIsFree) {
  Running script = StartWithContext(tenant_.share);
  const uint64_t rest = tenant_.limit_bytes - kContextBytes;
  ASSERT_EQ(Ask(script, "alloc all " + std::to_string(rest)), "ok");
  EXPECT_EQ(Ask(script, "info"), FreeAndTotal(0, tenant_.limit_bytes));
  ExpectAgreement(script);
  EXPECT_EQ(Ask(script, "alloc more 1"), "error 2");
  ExpectAgreement(script);
}

TEST_F(Views, ShowTheOtherProcessesOfTheShare) {
  Running first = StartWithContext(tenant_.share);
  Running second = StartWithContext(tenant_.share);
  ASSERT_EQ(Ask(first, "alloc a " + std::to_string(1024 * kMiB)), "ok");
  ASSERT_EQ(Ask(second, "alloc a " + std::to_string(512 * kMiB)), "ok");
  ExpectAgreement(first);
  ExpectAgreement(second);
  EXPECT_THAT(LookThroughNvml(tenant_.share).processes,
              UnorderedElementsAre(Pair(first.pid(), 1024 * kMiB + kContextBytes),
                                   Pair(second.pid(), 512 * kMiB + kContextBytes)));
  const pid_t survivor = second.pid();
  first.Kill();
  ExpectAgreement(second);
  EXPECT_THAT(LookThroughNvml(tenant_.share).processes,
              UnorderedElementsAre(Pair(survivor, 512 * kMiB + kContextBytes)));
}

TEST_F(Views, DoNotShowTheNeighbour) {
  const Share neighbour(tenant_.simulation, {.memory = "2Gi", .context_bytes = kContextBytes});
  Running other = StartWithContext(neighbour);
  ASSERT_EQ(Ask(other, "alloc a " + std::to_string(1024 * kMiB)), "ok");
  Running script = StartWithContext(tenant_.share);
  ExpectAgreement(script);
  EXPECT_THAT(LookThroughNvml(tenant_.share).processes,
              UnorderedElementsAre(Pair(script.pid(), kContextBytes)));
}

// A slice may be larger than what neighbours have left of the card; nobody is told of memory as
// free that is not there.
TEST_F(Views, FreeIsAtMostWhatTheCardHasFree) {
  const Share neighbour(tenant_.simulation, {.memory = "30Gi", .context_bytes = kContextBytes});
  Running other = StartWithContext(neighbour);
  const uint64_t taken = 20480 * kMiB;
  ASSERT_EQ(Ask(other, "alloc a " + std::to_string(taken)), "ok");
  Running script = StartWithContext(tenant_.share);
  const uint64_t left = kUsableBytes - taken - 2 * kContextBytes;
  ASSERT_LT(left, tenant_.limit_bytes - kContextBytes);
  EXPECT_EQ(Ask(script, "info"), FreeAndTotal(left, tenant_.limit_bytes));
  const NvmlView nvml = LookThroughNvml(tenant_.share);
  EXPECT_EQ(nvml.total, tenant_.limit_bytes);
  EXPECT_EQ(nvml.used, kContextBytes);
  EXPECT_EQ(nvml.free, left);
}

// As without the library, CUDA's total is without what the driver keeps and NVML's is with it.
TEST_F(Views, ASliceBeyondTheCardShowsTheCard) {
  const Share large(tenant_.simulation, {.memory = "30Gi", .context_bytes = kContextBytes});
  Running script = StartWithContext(large);
  EXPECT_EQ(Ask(script, "total"), std::to_string(kUsableBytes));
  EXPECT_EQ(Ask(script, "info"), FreeAndTotal(kUsableBytes - kContextBytes, kUsableBytes));
  const NvmlView nvml = LookThroughNvml(large);
  EXPECT_EQ(nvml.total, kCardBytes);
  EXPECT_EQ(nvml.free, kUsableBytes - kContextBytes);
}

TEST_F(Views, WithoutALimitShowTheDevice) {
  Command command = tenant_.simulation.With({TestProgram("script"), {}, {}});
  command.environment["LD_PRELOAD"] = PreloadLibrary();
  Running script(command);
  ASSERT_EQ(Ask(script, "init"), "ok");
  ASSERT_EQ(Ask(script, "retain"), "ok");
  EXPECT_EQ(Ask(script, "total"), std::to_string(kUsableBytes));
  EXPECT_EQ(Ask(script, "info"), FreeAndTotal(kUsableBytes - kContextBytes, kUsableBytes));
  command.program = TestProgram("nvml_view");
  const NvmlView nvml = Parse(RunToEnd(command));
  EXPECT_EQ(nvml.total, kCardBytes);
  EXPECT_EQ(nvml.reserved, kReservedBytes);
  EXPECT_EQ(nvml.used, kReservedBytes + kContextBytes);
  EXPECT_THAT(nvml.processes, UnorderedElementsAre(Pair(script.pid(), kContextBytes)));
}

}  // namespace
}  // namespace hami::component
