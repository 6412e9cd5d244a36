// SPDX-License-Identifier: Apache-2.0
//
// A tenant writes over the words of its own region, one after the other, while its processes
// allocate, launch, start and end. None of them hangs or dies, whatever the word and the value, the
// library says what it saw, another tenant notices nothing, and with the words put right the limit
// is exact again. (What it may take meanwhile is the agent's to see: tests/component/run.)

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <random>
#include <string>
#include <thread>

#include "region/ledger.h"
#include "region/mapping.h"
#include "region/mend.h"
#include "tests/component/harness.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr uint64_t kGiB = 1024 * kMiB;
constexpr uint64_t kLimitBytes = 4 * kGiB;
constexpr unsigned kWatchdogS = 300;  // a hang ends the test, in no measured time
constexpr int kCasesPerProcess = 50;

// As Ask(), past what the library says.
std::string Order(Running& program, const std::string& line) {
  program.WriteLine(line);
  std::string answer;
  do {
    answer = program.ReadLine();
  } while (answer.starts_with("[hami "));
  return answer.substr(0, answer.find('\n'));
}

class HostileWords : public testing::Test {
 protected:
  HostileWords() {
    alarm(kWatchdogS);
    signal(SIGPIPE, SIG_IGN);
    EXPECT_EQ(Order(holder_, "init"), "ok");
    EXPECT_EQ(Order(holder_, "retain"), "ok");
    EXPECT_EQ(Order(neighbour_script_, "init"), "ok");
    EXPECT_EQ(Order(neighbour_script_, "retain"), "ok");
    EXPECT_EQ(launcher_.ReadLine(), "ready\n");
    EXPECT_EQ(Order(launcher_, "kernel 3"), "ok");
    EXPECT_EQ(region::Attach(share_.region_path().c_str(), false, nullptr, &mapping_),
              region::AttachError::kNone);
  }
  ~HostileWords() override { alarm(0); }

  static ShareOptions Of(const std::string& memory, int cores_pct) {
    return {.memory = memory, .cores_pct = cores_pct, .context_bytes = kContextBytes};
  }

  // Each part of `bytes` bytes in turn, every word with every value.
  void WriteOver(void* part, size_t bytes) {
    auto* words = static_cast<uint64_t*>(part);
    for (size_t i = 0; i < bytes / sizeof(uint64_t); ++i) {
      for (const uint64_t value : {uint64_t{0}, ~uint64_t{0}, random_()}) {
        SCOPED_TRACE(testing::Message() << "word " << i << ": " << value);
        std::atomic_ref word(words[i]);
        const uint64_t before = word.exchange(value);
        ExpectLife();
        word.store(before);
        ASSERT_FALSE(HasFailure());
      }
    }
  }

  // As `hami region resume` does; what is held back is not hung.
  void LetGo() const {
    std::atomic_ref recent(mapping_.region->v1.recent_kernel);
    if (recent.load() < 0) recent.store(2);
    for (int slot = 0; slot < 2; ++slot) {
      std::atomic_ref(mapping_.region->v1.processes[slot].status).store(1);
    }
  }

  void ExpectLife() {
    const std::string taken = Order(holder_, "alloc a " + std::to_string(16 * kMiB));
    EXPECT_THAT(taken, AnyOf("ok", "error 2"));
    if (taken == "ok") {
      EXPECT_EQ(Order(holder_, "free a"), "ok");
    }
    EXPECT_THAT(Order(holder_, "info"), HasSubstr(" "));
    const bool starts = ++cases_ % kCasesPerProcess == 0;
    if (starts) {
      const Output output = share_.Run({TestProgram("acts"), {"try", std::to_string(kMiB)}, {}});
      EXPECT_EQ(output.exit_code, 0) << output.text;
      EXPECT_THAT(output.text, HasSubstr("begin "));
      EXPECT_EQ(Order(neighbour_script_, "alloc n " + std::to_string(kGiB)), "ok");
      EXPECT_EQ(Order(neighbour_script_, "free n"), "ok");
    }
    LetGo();
    EXPECT_EQ(Order(launcher_, "kernel 1"), "ok");
  }

  // Nobody writes any more, and what stands there is counted again.
  void ExpectTheLimitIsExact() {
    ASSERT_TRUE(region::Mend(mapping_));
    const uint64_t left = (kLimitBytes - ChargedBytes(share_)) / kPageBytes * kPageBytes;
    EXPECT_EQ(Order(holder_, "alloc a " + std::to_string(left + kPageBytes)), "error 2");
    EXPECT_EQ(Order(holder_, "alloc a " + std::to_string(left)), "ok");
    EXPECT_EQ(Order(holder_, "alloc b " + std::to_string(kPageBytes)), "error 2");
    const uint64_t truth = observer_.UsedBytes() - kContextBytes;  // of the neighbour
    EXPECT_LE(truth, kLimitBytes);
    EXPECT_GT(truth, kLimitBytes - 2 * kPageBytes);
  }

  std::mt19937_64 random_{20260701};
  int cases_ = 0;
  const Simulation simulation_;
  const Observer observer_{simulation_};
  const Share share_{simulation_, Of("4Gi", 50)};
  const Share neighbour_{simulation_, Of("2Gi", 50)};
  Running holder_ = share_.Start({TestProgram("script"), {}, {}});      // slot 0
  Running launcher_ = share_.Start({TestProgram("launcher"), {}, {}});  // slot 1
  Running neighbour_script_ = neighbour_.Start({TestProgram("script"), {}, {}});
  region::Mapping mapping_;
};

TEST_F(HostileWords, OfTheHeaders) {
  api::RegionV1& v1 = mapping_.region->v1;
  WriteOver(&v1, offsetof(api::RegionV1, processes));
  WriteOver(&v1.process_count, sizeof(v1) - offsetof(api::RegionV1, process_count));
  api::RegionExtension& ext = mapping_.region->ext;
  WriteOver(&ext, offsetof(api::RegionExtension, unused1));
  ExpectTheLimitIsExact();
}

TEST_F(HostileWords, OfADevice) {
  for (int round = 0; round < 5; ++round) {
    WriteOver(&mapping_.region->ext.devices[0], sizeof(api::DeviceExtension));
  }
  ExpectTheLimitIsExact();
}

TEST_F(HostileWords, OfASlot) {
  for (int slot = 0; slot < 2; ++slot) {
    WriteOver(&mapping_.region->ext.slots[slot], sizeof(api::SlotExtension));
    WriteOver(&mapping_.region->v1.processes[slot], sizeof(api::ProcessSlot));
  }
  ExpectTheLimitIsExact();
}

// The words that others wait for, all the time and as fast as it goes.
TEST_F(HostileWords, WrittenWithoutAnEnd) {
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    api::RegionExtension& ext = mapping_.region->ext;
    for (uint64_t epoch = 0; !stop; ++epoch) {
      std::atomic_ref(ext.devices[0].total).store(region::MakeWord(epoch, 0) | region::kRecountBit);
      std::atomic_ref(ext.slots[0].charge[0]).store(region::MakeWord(epoch * 77777, 5));
      std::atomic_ref(ext.slots_ever_used).store(static_cast<uint32_t>(epoch));
    }
  });
  for (int i = 0; i < 3; ++i) ExpectLife();
  const Output output = share_.Run({TestProgram("acts"), {"try", std::to_string(kMiB)}, {}});
  EXPECT_EQ(output.exit_code, 0) << output.text;
  stop = true;
  writer.join();
  // What was counted in slot 0 is lost: it can be had once more, and no more than that.
  ASSERT_TRUE(region::Mend(mapping_));
  EXPECT_GT(mapping_.region->ext.devices[0].disturbed, 0U);
  const std::string much = std::to_string(kLimitBytes + 2 * kMiB);
  EXPECT_EQ(Order(holder_, "alloc a " + much), "error 2");
}

TEST_F(HostileWords, AreSaidOnce) {
  Running loud = share_.Start({TestProgram("script"), {}, {}});
  EXPECT_EQ(Ask(loud, "init"), "ok");
  EXPECT_EQ(Ask(loud, "retain"), "ok");
  const std::string big = "alloc a " + std::to_string(8 * kGiB);
  EXPECT_EQ(Ask(loud, big), "error 2") << "nothing is said of a plain refusal";
  for (int i = 0; i < 2; ++i) {
    std::atomic_ref total(mapping_.region->ext.devices[0].total);
    total.store(region::MakeWord(region::EpochOf(total.load()) + 9, 0));
    EXPECT_EQ(Ask(loud, "alloc b " + std::to_string(2 * kMiB)), "ok");
  }
  EXPECT_THAT(Ask(loud, big), HasSubstr("a process of this container writes over the region"));
  EXPECT_THAT(loud.ReadLine(), StartsWith("error 2"));
  EXPECT_EQ(Ask(loud, big), "error 2");
}

}  // namespace
}  // namespace hami::component
