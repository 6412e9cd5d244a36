// SPDX-License-Identifier: Apache-2.0
//
// What a tenant's NVML client is shown besides memory and process lists
// (preload/memory/views_test): on the simulated driver with neighbours on the same GPU, and on one
// that has what the simulated has not (odd_nvml.cc).

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "api/region/region.h"
#include "tests/component/harness.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

constexpr uint64_t kGib = uint64_t{1} << 30;
constexpr uint64_t kLimit = 4 * kGib;
constexpr int kForeign = 4000001;  // PIDs that nobody has (PID_MAX_LIMIT is 4194304)
constexpr int kHostOfFirst = 4000002;
constexpr int kHostOfSecond = 4000003;

template <typename... Parts>
std::string Line(const Parts&... parts) {
  std::ostringstream text;
  const char* between = "";
  ((text << between << parts, between = " "), ...);
  return text.str();
}

ShareOptions Slice(int gpu = 0) {
  return {.memory = "4Gi", .gpu = gpu, .context_bytes = kContextBytes};
}

Running StartHolding(const Share& share, uint64_t bytes) {
  Running script = share.Start({TestProgram("script"), {}, {}});
  EXPECT_EQ(Ask(script, "init"), "ok");
  EXPECT_EQ(Ask(script, "retain"), "ok");
  EXPECT_EQ(Ask(script, "alloc a " + std::to_string(bytes)), "ok");
  return script;
}

std::set<std::string> Words(const std::string& text) {
  std::istringstream words(text);
  return {std::istream_iterator<std::string>(words), {}};
}

class NvmlViews : public testing::Test {
 protected:
  Simulation simulation_{"a10-580", 2};
  Share share_{simulation_, Slice()};
  Share neighbour_{simulation_, Slice()};
  std::string mine_ = simulation_.uuids()[0];
  std::string others_ = simulation_.uuids()[1];

  Running StartAsking(const Share& share) { return share.Start({TestProgram("nvml_ask"), {}, {}}); }
};

TEST_F(NvmlViews, UtilisationOfProcessesIsThatOfTheShare) {
  const auto busy = [](const Share& share) {
    return share.Start({ProductProgram("tenant"), {"alloc", "64Mi", "spin", "100", "10000"}, {}});
  };
  Running first = busy(share_);
  Running second = busy(share_);
  Running other = busy(neighbour_);
  for (Running* running : {&first, &second, &other}) running->ReadUntil("alloc");
  Running ask = StartAsking(share_);
  ASSERT_EQ(Ask(ask, "device 0"), "0 " + mine_);
  const std::string of_first = std::to_string(first.pid()) + ":";
  const std::string of_second = std::to_string(second.pid()) + ":";
  for (const std::string verb : {"samples", "infos"}) {
    SCOPED_TRACE(verb);
    // Until a whole period of both has been measured.
    std::string said;
    do {
      said = Ask(ask, verb + " 16");
    } while (!said.starts_with("0 2 ") || said.find(of_first + "0") != std::string::npos ||
             said.find(of_second + "0") != std::string::npos);
    EXPECT_THAT(said, testing::HasSubstr(" " + of_first));
    EXPECT_THAT(said, testing::HasSubstr(" " + of_second));
    EXPECT_EQ(Ask(ask, verb + " null"), "7 2");
    EXPECT_EQ(Ask(ask, verb + " 1"), "7 2");
  }
}

TEST_F(NvmlViews, NobodyOfTheShareRunsBesidesTheNeighbour) {
  Running other = StartHolding(neighbour_, 512 * kMiB);
  Running ask = StartAsking(share_);
  ASSERT_EQ(Ask(ask, "device 0"), "0 " + mine_);
  EXPECT_EQ(Ask(ask, "samples 16"), "6 0");
  EXPECT_EQ(Ask(ask, "infos null"), "6 0");
  EXPECT_EQ(Ask(ask, "processes null"), "0 0");
  EXPECT_EQ(Ask(ask, "details 0 null"), "0 0");
  // The neighbour sees itself.
  Running theirs = StartAsking(neighbour_);
  ASSERT_EQ(Ask(theirs, "device 0"), "0 " + mine_);
  EXPECT_EQ(Ask(theirs, "samples 16"), Line(0, 1, std::to_string(other.pid()) + ":0"));
}

TEST_F(NvmlViews, DetailsAreTheProcessesOfTheShare) {
  Running other = StartHolding(neighbour_, 512 * kMiB);
  Running own = StartHolding(share_, kGib);
  Running ask = StartAsking(share_);
  ASSERT_EQ(Ask(ask, "device 0"), "0 " + mine_);
  const std::string bytes = std::to_string(own.pid()) + ":" + std::to_string(kGib + kContextBytes);
  EXPECT_EQ(Ask(ask, "details 0 4"), Line(0, 1, bytes));
  EXPECT_EQ(Ask(ask, "processes 4"), Line(0, 1, bytes));
  EXPECT_EQ(Ask(ask, "details 0 null"), "7 1");
  EXPECT_EQ(Ask(ask, "details 0 nowhere"), "2 1");
  EXPECT_EQ(Ask(ask, "details 1 4"), "0 0");
  EXPECT_EQ(Ask(ask, "details 2 4"), "0 0");
  EXPECT_EQ(Ask(ask, "details 7 4"), "2 4") << "as the driver says";
}

TEST_F(NvmlViews, MemoryHasOneAnswer) {
  Running other = StartHolding(neighbour_, 2 * kGib);
  Running own = StartHolding(share_, kGib);
  Running ask = StartAsking(share_);
  ASSERT_EQ(Ask(ask, "device 0"), "0 " + mine_);
  const uint64_t used = kGib + kContextBytes;
  EXPECT_EQ(Ask(ask, "memory"), Line(0, kLimit, kLimit - used, used));
  EXPECT_EQ(Ask(ask, "bar1"), Line(0, kLimit, kLimit - kMiB, kMiB));
}

TEST_F(NvmlViews, OnlyGrantedDevicesAreNear) {
  Running ask = StartAsking(share_);
  ASSERT_EQ(Ask(ask, "device 0"), "0 " + mine_);
  EXPECT_EQ(Ask(ask, "device 1").substr(0, 1), "2");
  EXPECT_EQ(Ask(ask, "nearest null"), "0 0");
  EXPECT_EQ(Ask(ask, "nearest 8"), "0 0");
  EXPECT_EQ(Ask(ask, "set null"), "0 1");
  EXPECT_EQ(Ask(ask, "set 8"), Line(0, 1, mine_));
  EXPECT_EQ(Ask(ask, "set nowhere"), "2 100");
}

TEST_F(NvmlViews, NamesAreThoseOfTheContainersProcesses) {
  Running ask = StartAsking(share_);
  const std::string program = TestProgram("nvml_ask");
  EXPECT_EQ(Ask(ask, Line("name", ask.pid(), 500)), "0 " + program);
  EXPECT_EQ(Ask(ask, Line("name", ask.pid(), 5)), "0 " + program.substr(0, 4));
  EXPECT_EQ(Ask(ask, Line("name", kForeign, 500)), "6");
  EXPECT_EQ(Ask(ask, Line("name", ask.pid(), 0)), "2");
}

TEST_F(NvmlViews, NullIsTheDriversToRefuse) {
  Running ask = StartAsking(share_);
  ASSERT_EQ(Ask(ask, "device 0"), "0 " + mine_);
  const std::string said = Ask(ask, "null");
  EXPECT_THAT(Words(said), testing::IsSubsetOf({"2", "3", "13"})) << said;
}

// ---- a driver that is odd

class OddNvml : public NvmlViews {
 protected:
  void Tell(const std::vector<std::string>& uuids, const std::vector<int>& pids) {
    std::ofstream file(file_);
    for (const std::string& uuid : uuids) file << "uuid " << uuid << '\n';
    for (const int pid : pids) file << "pid " << pid << '\n';
  }

  Running StartAskingOdd(const Share& share) {
    return share.Start({TestProgram("nvml_ask"),
                        {},
                        {{"LD_LIBRARY_PATH", TestLibraryFolder() + "/odd"}, {"ODD_NVML", file_}}});
  }

  // As the agent does.
  void WriteHostPid(int pid, int host_pid) {
    const int fd = open(share_.region_path().c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    void* mapped = mmap(nullptr, sizeof(api::Region), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    ASSERT_NE(mapped, MAP_FAILED);
    auto* region = static_cast<api::Region*>(mapped);
    for (api::ProcessSlot& slot : region->v1.processes) {
      if (slot.pid == pid) slot.host_pid = host_pid;
    }
    munmap(mapped, sizeof(api::Region));
  }

  std::string file_ = share_.folder() + "/odd";
};

std::string Item(int pid, int figure_of) {
  return std::to_string(pid) + ":" + std::to_string(figure_of % 100);
}

constexpr const char* kLists[] = {"samples", "infos", "encoder", "fbc"};

TEST_F(OddNvml, ListsAreTheSharesWhereTheDriverSpeaksOfItsPids) {
  Running first = StartHolding(share_, kMiB);
  Running second = StartHolding(share_, kMiB);
  Tell({mine_}, {first.pid(), kForeign, second.pid()});
  Running ask = StartAskingOdd(share_);
  ASSERT_EQ(Ask(ask, "device 0"), "0 " + mine_);
  for (const std::string verb : kLists) {
    EXPECT_EQ(Ask(ask, verb + " 8"),
              Line(0, 2, Item(first.pid(), first.pid()), Item(second.pid(), second.pid())))
        << verb;
    EXPECT_EQ(Ask(ask, verb + " 1"), "7 2") << verb;
  }
  EXPECT_EQ(Ask(ask, "samples null"), "7 2");
  EXPECT_EQ(Ask(ask, "encoder null"), "0 2");
  EXPECT_EQ(Ask(ask, "encoder nowhere"), "2 2");
  EXPECT_EQ(Ask(ask, "pids null"), "7 2");
  EXPECT_EQ(Ask(ask, "pids 8"), Line(0, 2, first.pid(), second.pid()));
  EXPECT_EQ(Ask(ask, Line("account", first.pid())), Line(0, first.pid() % 100));
  EXPECT_EQ(Ask(ask, Line("account2", first.pid())), Line(0, Item(first.pid(), first.pid())));
  EXPECT_EQ(Ask(ask, Line("account", kForeign)), "6");
  EXPECT_EQ(Ask(ask, Line("account2", kForeign)), "6");
}

TEST_F(OddNvml, ListsAreTranslatedWhereTheDriverSpeaksOfTheHosts) {
  Running first = StartHolding(share_, kMiB);
  Running second = StartHolding(share_, kMiB);
  WriteHostPid(first.pid(), kHostOfFirst);
  WriteHostPid(second.pid(), kHostOfSecond);
  // A process of somebody else happens to have on the host the number that one of ours has here.
  Tell({mine_}, {kHostOfSecond, kForeign, first.pid(), kHostOfFirst});
  Running ask = StartAskingOdd(share_);
  ASSERT_EQ(Ask(ask, "device 0"), "0 " + mine_);
  for (const std::string verb : kLists) {
    EXPECT_EQ(Ask(ask, verb + " 8"),
              Line(0, 2, Item(second.pid(), kHostOfSecond), Item(first.pid(), kHostOfFirst)))
        << verb;
  }
  EXPECT_EQ(Ask(ask, "pids 8"), Line(0, 2, second.pid(), first.pid()));
  EXPECT_EQ(Ask(ask, Line("account", first.pid())), Line(0, kHostOfFirst % 100));
  EXPECT_EQ(Ask(ask, Line("account2", first.pid())), Line(0, Item(first.pid(), kHostOfFirst)));
  EXPECT_EQ(Ask(ask, Line("account", kHostOfFirst)), "6");
  EXPECT_EQ(Ask(ask, Line("name", ask.pid(), 500)), "0 " + TestProgram("nvml_ask"));
  EXPECT_EQ(Ask(ask, Line("name", kForeign, 500)), "6") << "the driver has a name for it";
}

TEST_F(OddNvml, OthersLeaveEmptyLists) {
  Running own = StartHolding(share_, kMiB);
  Tell({mine_}, {kForeign});
  Running ask = StartAskingOdd(share_);
  ASSERT_EQ(Ask(ask, "device 0"), "0 " + mine_);
  for (const std::string verb : {"samples", "infos"}) EXPECT_EQ(Ask(ask, verb + " 8"), "6 0");
  for (const std::string verb : {"encoder", "fbc", "pids"}) EXPECT_EQ(Ask(ask, verb + " 8"), "0 0");
}

TEST_F(OddNvml, LongListsAreRead) {
  Running own = StartHolding(share_, kMiB);
  std::vector<int> pids;
  for (int i = 0; i < 900; ++i) pids.push_back(kForeign + i);
  pids.push_back(own.pid());
  Tell({mine_}, pids);
  Running ask = StartAskingOdd(share_);
  ASSERT_EQ(Ask(ask, "device 0"), "0 " + mine_);
  EXPECT_EQ(Ask(ask, "samples 8"), Line(0, 1, Item(own.pid(), own.pid())));
}

TEST_F(OddNvml, MemoryOfEveryKindIsTheSlices) {
  Running own = StartHolding(share_, kGib);
  Tell({mine_}, {});
  Running ask = StartAskingOdd(share_);
  ASSERT_EQ(Ask(ask, "device 0"), "0 " + mine_);
  const uint64_t used = kGib + kContextBytes;
  EXPECT_EQ(Ask(ask, "memory"), Line(0, kLimit, kLimit - used, used));
  EXPECT_EQ(Ask(ask, "protected"), Line(0, kLimit, kLimit - used, used));
  EXPECT_EQ(Ask(ask, "bar1"), Line(0, kLimit, kLimit - used, used));
  EXPECT_EQ(Ask(ask, "protection"), Line(0, 3 << 20, 1 << 20));
  EXPECT_EQ(Ask(ask, "limits"), Line(0, kGib, kLimit, used));
  EXPECT_EQ(Ask(ask, "attributes"), "3") << "of MIG devices only";
}

TEST_F(OddNvml, AMigDeviceBelongsToTheDeviceThatItIsAPartOf) {
  Running own = StartHolding(share_, kGib);
  Tell({mine_, others_}, {kForeign, own.pid()});
  Running ask = StartAskingOdd(share_);
  const std::string my_mig = "MIG-" + mine_.substr(4);
  const std::string their_mig = "MIG-" + others_.substr(4);
  ASSERT_EQ(Ask(ask, "device 0"), "0 " + mine_);
  EXPECT_EQ(Ask(ask, "mig 1"), "6");
  EXPECT_EQ(Ask(ask, "parent"), "2") << "not a MIG device";
  ASSERT_EQ(Ask(ask, "mig 0"), "0 " + my_mig);
  const uint64_t used = kGib + kContextBytes;
  EXPECT_EQ(Ask(ask, "memory"), Line(0, kLimit, 1 * kGib, used)) << "free is what the driver has";
  EXPECT_EQ(Ask(ask, "attributes"), Line(0, 4096));
  EXPECT_EQ(Ask(ask, "processes 4"), Line(0, 1, Line(own.pid()) + ":" + std::to_string(used)));
  EXPECT_EQ(Ask(ask, "parent"), "0 " + mine_);
  for (const std::string& uuid : {others_, their_mig}) EXPECT_EQ(Ask(ask, "uuidv " + uuid), "6");
  EXPECT_EQ(Ask(ask, "uuidv " + my_mig), "0 " + my_mig);
  EXPECT_EQ(Ask(ask, "uuidv " + mine_), "0 " + mine_);
}

TEST_F(OddNvml, AMigDeviceHasTheLimitThatTheEnvironmentGivesItsDevice) {
  Tell({others_, mine_}, {});
  Running ask({TestProgram("nvml_ask"),
               {},
               {{"LD_LIBRARY_PATH", TestLibraryFolder() + "/odd"},
                {"ODD_NVML", file_},
                {"LD_PRELOAD", PreloadLibrary()},
                {"CUDA_DEVICE_MEMORY_LIMIT_1", "2g"},
                {"CUDA_DEVICE_MEMORY_SHARED_CACHE", share_.folder() + "/cache"}}});
  ASSERT_EQ(Ask(ask, "device 1"), "0 " + mine_);
  EXPECT_EQ(Ask(ask, "memory"), Line(0, 2 * kGib, 2 * kGib, 0));
  ASSERT_EQ(Ask(ask, "mig 0"), "0 MIG-" + mine_.substr(4));
  EXPECT_EQ(Ask(ask, "memory"), Line(0, 2 * kGib, kGib, 0));
  ASSERT_EQ(Ask(ask, "device 0"), "0 " + others_) << "the container has what it was given";
  EXPECT_EQ(Ask(ask, "memory"), Line(0, 24 * kGib, 15 * kGib, 9 * kGib)) << "without a limit";
}

TEST_F(OddNvml, AGrantedMigDeviceIsTheOnlyOneShown) {
  const std::string my_mig = "MIG-" + mine_.substr(4);
  const Share share(simulation_,
                    {.raw_limits = "hami-limits 1\ngeneration 1\ndevice " + my_mig + "\nmemory " +
                                   std::to_string(2 * kGib) + "\ncores 0\npolicy default\nend\n"});
  Tell({mine_, others_}, {});
  Running ask = StartAskingOdd(share);
  ASSERT_EQ(Ask(ask, "device 0"), "0 " + my_mig);
  EXPECT_EQ(Ask(ask, "memory"), Line(0, 2 * kGib, kGib, 0));
  EXPECT_EQ(Ask(ask, "parent"), "3") << "it was not granted";
  EXPECT_EQ(Ask(ask, "uuidv " + mine_), "6");
}

TEST_F(OddNvml, SetsHaveTheGrantedDevices) {
  Tell({others_, mine_}, {});
  Running ask = StartAskingOdd(share_);
  ASSERT_EQ(Ask(ask, "device 0"), "0 " + mine_);
  for (const std::string verb : {"nearest", "set", "unit"}) {
    EXPECT_EQ(Ask(ask, verb + " null"), "0 1") << verb;
    EXPECT_EQ(Ask(ask, verb + " 8"), Line(0, 1, mine_)) << verb;
    EXPECT_EQ(Ask(ask, verb + " nowhere"), "2 100") << verb;
  }
}

TEST_F(OddNvml, NullIsRefused) {
  Running own = StartHolding(share_, kMiB);
  Tell({mine_, others_}, {own.pid()});
  Running ask = StartAskingOdd(share_);
  ASSERT_EQ(Ask(ask, "device 0"), "0 " + mine_);
  const std::string said = Ask(ask, "null");
  EXPECT_THAT(Words(said), testing::ElementsAre("2")) << said;
}

}  // namespace
}  // namespace hami::component
