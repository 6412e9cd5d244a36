// SPDX-License-Identifier: Apache-2.0
//
// Limits from share directories: one and several, lowered by the environment, changed while
// programs run, and broken, in which case nothing can be allocated and one line says why.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "api/region/region.h"
#include "tests/component/harness.h"
#include "tests/component/preload/memory/limits_script.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

constexpr char kRefused[] = "; every GPU allocation is refused";

// What takes memory, after "init"; and what all of it is to answer.
const std::vector<std::string> kTakers = {"init",      "retain",          "ctx c",
                                          "alloc a 1", "pitch b 1 1",     "managed c 1",
                                          "async d 1", "create e 2097152"};

void ExpectAllRefused(const std::vector<std::string>& transcript, const std::string& message) {
  std::vector<std::string> answers;
  std::vector<std::string> messages;
  for (const std::string& line : transcript) {
    (line.starts_with("[hami") ? messages : answers).push_back(line);
  }
  std::vector<std::string> expected(kTakers.size(), "error 2");
  expected[0] = "ok";
  EXPECT_EQ(answers, expected);
  EXPECT_THAT(messages, ElementsAre(EndsWith(message + kRefused)));
}

std::string LimitsText(const std::string& uuid, uint64_t memory_bytes) {
  return "hami-limits 1\ngeneration 1\ndevice " + uuid + "\nmemory " +
         std::to_string(memory_bytes) + "\ncontext " + std::to_string(kContextBytes) + "\nend\n";
}

// What a writer of the limits file does after it has replaced it.
void CountGenerationUp(const Share& share) {
  const int fd = open(share.region_path().c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  constexpr off_t kAt =
      api::kExtensionOffset + static_cast<off_t>(offsetof(api::RegionExtension, limits_generation));
  uint32_t generation = 0;
  EXPECT_EQ(pread(fd, &generation, sizeof(generation), kAt), 4);
  ++generation;
  EXPECT_EQ(pwrite(fd, &generation, sizeof(generation), kAt), 4);
  close(fd);
}

class Limits : public testing::Test {
 protected:
  Limits() : simulation_("a10-550", 2) { signal(SIGPIPE, SIG_IGN); }

  ShareOptions Of(const std::string& memory, int gpu = 0) const {
    return {.memory = memory, .gpu = gpu, .context_bytes = kContextBytes};
  }
  // A script under several share directories.
  Running StartUnder(const Share& first, const Share& second) const {
    return StartScript(first.With({}), {{"HAMI_SHARES", first.folder() + ":" + second.folder()}});
  }

  Simulation simulation_;
};

TEST_F(Limits, TheEnvironmentOnlyLowersThem) {
  struct Case {
    Environment environment;
    uint64_t limit;
  };
  for (const Case& lowered :
       {Case{{{"CUDA_DEVICE_MEMORY_LIMIT", "1g"}}, kGiB},
        Case{{{"CUDA_DEVICE_MEMORY_LIMIT_0", "2g"}, {"CUDA_DEVICE_MEMORY_LIMIT", "1g"}}, 2 * kGiB},
        Case{{{"CUDA_DEVICE_MEMORY_LIMIT", "8g"}}, 4 * kGiB},
        Case{{{"CUDA_DEVICE_MEMORY_LIMIT", "0"}}, 4 * kGiB},
        Case{{{"CUDA_DEVICE_MEMORY_LIMIT", "lots"}}, 4 * kGiB}}) {
    const Share share(simulation_, Of("4Gi"));
    Running script = StartScript(share.With({}), lowered.environment);
    EXPECT_EQ(FindWrongLimit(script, lowered.limit, kContextBytes), "");
  }
}

TEST_F(Limits, OnlyGrantedDevicesAreThere) {
  const Share share(simulation_, Of("2Gi", 1));
  Running script = StartScript(share.With({}), {});
  EXPECT_EQ(Ask(script, "device 1"), "error 101");
  ASSERT_EQ(Ask(script, "device 0"), "ok");
  EXPECT_EQ(FindWrongLimit(script, 2 * kGiB, kContextBytes), "");
}

TEST_F(Limits, ZeroIsNothing) {
  const Share share(simulation_, Of("0"));
  Running script = StartScript(share.With({}), {});
  EXPECT_EQ(Ask(script, "total"), "0");
  EXPECT_EQ(Ask(script, "retain"), "error 2");
}

TEST_F(Limits, TwoSharesOnTwoDevices) {
  const Share first(simulation_, Of("1Gi", 0));
  const Share second(simulation_, Of("2Gi", 1));
  Running script = StartUnder(first, second);
  EXPECT_EQ(FindWrongLimit(script, kGiB, kContextBytes), "");
  EXPECT_EQ(ChargedBytes(first), kGiB);
  EXPECT_EQ(ChargedBytes(second), 0U);
  ASSERT_EQ(Ask(script, "device 1"), "ok");
  EXPECT_EQ(FindWrongLimit(script, 2 * kGiB, kContextBytes), "");
  EXPECT_EQ(ChargedBytes(first), kGiB);
  EXPECT_EQ(ChargedBytes(second), 2 * kGiB);
  script.Kill();
  EXPECT_EQ(ChargedBytes(first) + ChargedBytes(second), 0U);
}

TEST_F(Limits, TwoSharesOnOneDeviceAddUp) {
  const Share first(simulation_, Of("1Gi"));
  const Share second(simulation_, Of("2Gi"));
  Running script = StartUnder(first, second);
  EXPECT_EQ(FindWrongLimit(script, 3 * kGiB, kContextBytes), "");
  EXPECT_EQ(ChargedBytes(first), kGiB);
  EXPECT_EQ(ChargedBytes(second), 2 * kGiB);
  EXPECT_EQ(Ask(script, "free a"), "ok");
  EXPECT_EQ(ChargedBytes(first) + ChargedBytes(second), kContextBytes);
}

// A process with one of the two leaves the other's processes what they hold.
TEST_F(Limits, AShareUsedTwice) {
  const Share first(simulation_, Of("1Gi"));
  const Share second(simulation_, Of("2Gi"));
  Running alone = StartScript(first.With({}), {});
  EXPECT_EQ(FindWrongLimit(alone, kGiB, kContextBytes), "");
  Running both = StartUnder(first, second);
  EXPECT_EQ(Ask(both, "retain"), "ok");
  EXPECT_EQ(Ask(both, "info"),
            std::to_string(2 * kGiB - kContextBytes) + " " + std::to_string(3 * kGiB));
  EXPECT_EQ(Ask(both, AllocLine(2 * kGiB)), "error 2");
  alone.Kill();
  EXPECT_EQ(Ask(both, AllocLine(2 * kGiB)), "ok");
}

TEST_F(Limits, AReplacedFileHoldsFromTheNextCallOn) {
  const Share share(simulation_, Of("4Gi"));
  const std::string& uuid = simulation_.uuids().at(0);
  Running script = StartScript(share.With({}), {});
  ASSERT_EQ(Ask(script, "retain"), "ok");
  ASSERT_EQ(Ask(script, AllocLine(2 * kGiB)), "ok");
  share.WriteLimits(LimitsText(uuid, kGiB));
  CountGenerationUp(share);
  // What is held beyond the new limit stays; nothing is free.
  EXPECT_EQ(Ask(script, "info"), "0 " + std::to_string(kGiB));
  EXPECT_EQ(Ask(script, "alloc b 1"), "error 2");
  share.WriteLimits(LimitsText(uuid, 8 * kGiB));
  CountGenerationUp(share);
  EXPECT_EQ(Ask(script, "alloc b " + std::to_string(5 * kGiB)), "ok");
}

TEST_F(Limits, AFileThatBreaksRefusesUntilItIsMended) {
  const Share share(simulation_, Of("4Gi"));
  Running script = StartScript(share.With({}), {});
  ASSERT_EQ(Ask(script, "retain"), "ok");
  ASSERT_EQ(Ask(script, AllocLine(2 * kGiB)), "ok");
  const uint64_t charged = ChargedBytes(share);
  share.WriteLimits("hami-limits 1\n");
  CountGenerationUp(share);
  script.WriteLine("alloc c 1");
  EXPECT_THAT(script.ReadLine(), HasSubstr(kRefused));
  EXPECT_EQ(script.ReadLine(), "error 2\n");
  EXPECT_EQ(Ask(script, "alloc c 1"), "error 2");
  EXPECT_EQ(Ask(script, "info"), "0 0");
  // What is given back meanwhile is counted out.
  EXPECT_EQ(Ask(script, "free a"), "ok");
  EXPECT_EQ(ChargedBytes(share), charged - 2 * kGiB);
  share.WriteLimits(LimitsText(simulation_.uuids().at(0), 4 * kGiB));
  CountGenerationUp(share);
  EXPECT_EQ(Ask(script, AllocLine(2 * kGiB)), "ok");
  EXPECT_EQ(ChargedBytes(share), charged);
}

// ---- broken

struct Broken {
  std::string text;
  std::string message;  // behind the folder
};

TEST_F(Limits, ABrokenFileRefusesEverything) {
  const std::string device = "device " + simulation_.uuids().at(0) + "\n";
  const std::string head = "hami-limits 1\ngeneration 1\n";
  for (const Broken& broken : {
           Broken{"", "/limits line 1: not a limits file"},
           Broken{"nonsense\n", "/limits line 1: not a limits file"},
           Broken{"hami-limits 2\nend\n",
                  "/limits line 1: a format version this build does not know"},
           Broken{head + device + "memory 1073741824\n",
                  "/limits line 4: no `end`: the file is truncated"},
           Broken{head + device + "memory 10737",
                  "/limits line 4: the last line does not end in a newline: the file is truncated"},
           Broken{head + device + "memory lots\nend\n",
                  "/limits line 4: `memory` needs bytes, 0 to 2^48"},
           Broken{head + device + "cores 50\nend\n",
                  "/limits line 5: the device before this line has no `memory`"},
           Broken{head + device + "memory 1073741824\nmemorry 1\nend\n",
                  "/limits line 5: unknown key"},
       }) {
    SCOPED_TRACE(broken.text);
    const Share share(simulation_);
    share.WriteLimits(broken.text);
    ExpectAllRefused(Transcript(share.With({}), kTakers), share.folder() + broken.message);
  }
}

TEST_F(Limits, AListedFolderWithoutAFileRefusesEverything) {
  const Share share(simulation_, Of("4Gi"));
  std::filesystem::remove(share.folder() + "/limits");
  ExpectAllRefused(Transcript(share.With({}), kTakers), share.folder() + ": cannot be read");
}

// Of two lengths that do not fit: with its files' names, and alone. Cut off, a path would lead to
// another folder.
TEST_F(Limits, AFolderWhosePathIsTooLongRefusesEverything) {
  const Share share(simulation_, Of("4Gi"));
  for (const size_t length : {size_t{508}, size_t{4000}}) {
    std::string folder = share.folder();
    while (folder.size() < length) folder += "/.";
    Command command = share.With({});
    command.environment["HAMI_SHARES"] = folder;
    const std::vector<std::string> transcript = Transcript(command, kTakers);
    EXPECT_EQ(std::count(transcript.begin(), transcript.end(), "error 2"), 7);
    EXPECT_THAT(transcript, testing::Contains(AllOf(HasSubstr("is too long"), EndsWith(kRefused))));
  }
}

TEST_F(Limits, OneBrokenShareOfTwoRefusesEverything) {
  const Share good(simulation_, Of("4Gi"));
  const Share broken(simulation_, Of("4Gi", 1));
  broken.WriteLimits("nonsense\n");
  for (const std::string& shares :
       {good.folder() + ":" + broken.folder(), broken.folder() + ":" + good.folder()}) {
    Command command = good.With({});
    command.environment["HAMI_SHARES"] = shares;
    ExpectAllRefused(Transcript(command, kTakers),
                     broken.folder() + "/limits line 1: not a limits file");
  }
}

TEST_F(Limits, ARegionThatCannotBeUsedRefusesEverything) {
  const Share share(simulation_, Of("4Gi"));
  std::filesystem::create_directory(share.region_path());
  const std::vector<std::string> transcript = Transcript(share.With({}), kTakers);
  EXPECT_EQ(std::count(transcript.begin(), transcript.end(), "error 2"), 7);
  EXPECT_THAT(transcript,
              testing::Contains(AllOf(HasSubstr(share.region_path() + ": "), EndsWith(kRefused))));
}

}  // namespace
}  // namespace hami::component
