// SPDX-License-Identifier: Apache-2.0
//
// Every family of calls that takes device memory: after each call what is charged is what the
// simulated driver has given. Where that is not so, the test says why.

#include <gtest/gtest.h>
#include <signal.h>

#include <string>
#include <vector>

#include "tests/component/harness.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {
namespace {

constexpr uint64_t kSegmentBytes = 32 * kMiB;  // in which the driver's pools grow

std::string Image(const std::string& name) { return std::string(HAMI_IMAGES) + "/" + name; }
std::string InBytes(uint64_t bytes) { return std::to_string(bytes); }

// One process with its primary context.
class Families : public testing::Test {
 protected:
  Families() : script_(tenant_.StartScript()) {
    signal(SIGPIPE, SIG_IGN);
    ExpectAfter("init", "ok", 0);
    ExpectAfter("retain", "ok", kContextBytes);
  }

  // The line's answer, and what is charged and given afterwards.
  void ExpectAfter(const std::string& line, const std::string& answer, uint64_t bytes) {
    SCOPED_TRACE(line);
    EXPECT_EQ(Ask(script_, line), answer);
    EXPECT_EQ(tenant_.Truth(), bytes);
    EXPECT_EQ(tenant_.Charged(), bytes);
    EXPECT_EQ(TotalBytes(tenant_.share), bytes);
  }
  // The same beside the primary context.
  void Step(const std::string& line, uint64_t bytes) {
    ExpectAfter(line, "ok", kContextBytes + bytes);
  }
  void Fails(const std::string& line, int error, uint64_t bytes) {
    ExpectAfter(line, "error " + std::to_string(error), kContextBytes + bytes);
  }
  std::string AddressOf(const std::string& name) { return Ask(script_, "address " + name); }

  Tenant tenant_;
  Running script_;
};

TEST_F(Families, PlainMemoryIsChargedInPages) {
  Step("alloc large " + InBytes(100 * kMiB), 100 * kMiB);
  Step("alloc odd " + InBytes(100 * kMiB + 1), 202 * kMiB);
  Step("free large", 102 * kMiB);
  Step("free odd", 0);
}

TEST_F(Families, SmallAllocationsShareAPage) {
  Step("alloc a 1", kPageBytes);
  Step("alloc b " + InBytes(kMiB), kPageBytes);
  Step("alloc c " + InBytes(kMiB), 2 * kPageBytes);
  Step("free a", 2 * kPageBytes);
  Step("free b", kPageBytes);
  Step("free c", 0);
}

TEST_F(Families, PitchedMemoryIsChargedWithItsRowsRoundedUp) {
  Step("pitch wide " + InBytes(kMiB) + " 64", 64 * kMiB);
  // Rows of 1000 bytes lie 1024 apart.
  Step("pitch narrow 1000 " + InBytes(8192), 72 * kMiB);
  Step("free wide", 8 * kMiB);
  Step("free narrow", 0);
}

// Charged in whole when it is made, for it may come to lie on the device in whole; the driver gives
// device memory only for what is used there, and nothing is used here.
TEST_F(Families, ManagedMemoryIsChargedInWhole) {
  EXPECT_EQ(Ask(script_, "managed m " + InBytes(100 * kMiB)), "ok");
  EXPECT_EQ(tenant_.Charged(), kContextBytes + 100 * kMiB);
  EXPECT_EQ(tenant_.Truth(), kContextBytes);
  EXPECT_EQ(Ask(script_, "managed byte 1"), "ok");
  EXPECT_EQ(tenant_.Charged(), kContextBytes + 100 * kMiB + 65536);
  EXPECT_EQ(Ask(script_, "free byte"), "ok");
  Step("free m", 0);
}

TEST_F(Families, MemoryIsFreedOnce) {
  Step("alloc a " + InBytes(10 * kMiB), 10 * kMiB);
  Step("alloc b " + InBytes(30 * kMiB), 40 * kMiB);
  const std::string address = AddressOf("a");
  Step("free a", 30 * kMiB);
  Fails("free a", 1, 30 * kMiB);
  Fails("freeraw " + address, 1, 30 * kMiB);
  Fails("unasync a", 1, 30 * kMiB);
  Step("unasync b", 0);
  Fails("free b", 1, 0);
}

// Pointers that nobody has given out: the library answers what the driver does without it.
TEST_F(Families, ForeignPointersAreTheDriversToJudge) {
  Running plain(tenant_.simulation.With({TestProgram("script"), {}, {}}));
  ASSERT_EQ(Ask(plain, "init"), "ok");
  ASSERT_EQ(Ask(plain, "retain"), "ok");
  for (const char* address : {"0", "1", "4096", "139637976727552", "18446744073709551615"}) {
    const std::string line = std::string("freeraw ") + address;
    EXPECT_EQ(Ask(script_, line), Ask(plain, line)) << line;
  }
  plain.Kill();
  Step("alloc a 1", kPageBytes);
}

TEST_F(Families, AddressesInsideAnAllocationFreeNothing) {
  Step("alloc a " + InBytes(10 * kMiB), 10 * kMiB);
  const uint64_t address = std::stoull(AddressOf("a"));
  Fails("freeraw " + InBytes(address + 512), 1, 10 * kMiB);
  Fails("freeraw 4096", 1, 10 * kMiB);
  Step("freeraw 0", 10 * kMiB);  // as free(NULL)
  Step("freeraw " + InBytes(address), 0);
}

// ---- pools

TEST_F(Families, APoolIsChargedInSegments) {
  Step("async a " + InBytes(kMiB), kSegmentBytes);
  Step("async b " + InBytes(kMiB), kSegmentBytes);
  Step("async c " + InBytes(40 * kMiB), 3 * kSegmentBytes);
  for (const std::string name : {"a", "b", "c"}) Ask(script_, "unasync " + name);
  EXPECT_EQ(Ask(script_, "sync"), "ok");
  Step("trim 0", 0);
}

// At a synchronisation the driver gives back what lies above the threshold, 0 by default. The
// library does not see synchronisations: until the next look (a view, a free, a trim, or an
// allocation that would be refused) the charge is above the truth.
TEST_F(Families, WhatASynchronisationReleasesIsFoundAtTheNextLook) {
  Step("async a " + InBytes(100 * kMiB), 4 * kSegmentBytes);
  Step("unasync a", 4 * kSegmentBytes);
  EXPECT_EQ(Ask(script_, "sync"), "ok");
  EXPECT_EQ(tenant_.Truth(), kContextBytes);
  EXPECT_EQ(tenant_.Charged(), kContextBytes + 4 * kSegmentBytes);
  Ask(script_, "info");
  EXPECT_EQ(tenant_.Charged(), kContextBytes);

  const uint64_t all = tenant_.limit_bytes - kContextBytes;
  EXPECT_EQ(Ask(script_, "async b " + InBytes(3072 * kMiB)), "ok");
  EXPECT_EQ(Ask(script_, "unasync b"), "ok");
  EXPECT_EQ(Ask(script_, "sync"), "ok");
  EXPECT_EQ(tenant_.Charged(), kContextBytes + 3072 * kMiB);
  Step("alloc everything " + InBytes(all), all);
}

TEST_F(Families, MemoryBelowTheReleaseThresholdStaysCharged) {
  Step("keep " + InBytes(3 * kSegmentBytes), 0);
  // Two do not fit into one segment.
  for (uint64_t i = 1; i <= 4; ++i) {
    Step("async a" + InBytes(i) + " " + InBytes(20 * kMiB), i * kSegmentBytes);
  }
  for (uint64_t i = 1; i <= 4; ++i) Step("unasync a" + InBytes(i), 4 * kSegmentBytes);
  EXPECT_EQ(Ask(script_, "sync"), "ok");
  Step("trim " + InBytes(3 * kSegmentBytes), 3 * kSegmentBytes);
  Step("trim " + InBytes(kSegmentBytes), kSegmentBytes);
  Step("async b " + InBytes(kMiB), kSegmentBytes);
  Step("unasync b", kSegmentBytes);
  Step("sync", kSegmentBytes);
  Step("trim 0", 0);
}

TEST_F(Families, PooledMemoryMayBeFreedAtOnce) {
  Step("async a " + InBytes(kMiB), kSegmentBytes);
  Step("async b " + InBytes(kMiB), kSegmentBytes);
  Ask(script_, "freeraw " + AddressOf("a"));
  Fails("free a", 1, kSegmentBytes);
  Fails("unasync a", 1, kSegmentBytes);
  EXPECT_EQ(Ask(script_, "free b"), "ok");
  EXPECT_EQ(Ask(script_, "sync"), "ok");
  Step("trim 0", 0);
}

TEST_F(Families, APoolOfTheProgramsOwn) {
  Step("pool p", 0);
  Step("async a " + InBytes(kMiB) + " p", kSegmentBytes);
  Step("async b " + InBytes(kMiB), 2 * kSegmentBytes);
  Step("unasync a", 2 * kSegmentBytes);
  Step("unpool p", kSegmentBytes);
}

// Nobody can ask the driver what a destroyed pool still holds: while one of its allocations lives
// that is exact, afterwards the charge stays until the process ends.
TEST_F(Families, ADestroyedPoolInUseStaysCharged) {
  Step("pool p", 0);
  Step("async a " + InBytes(kMiB) + " p", kSegmentBytes);
  Step("unpool p", kSegmentBytes);
  EXPECT_EQ(Ask(script_, "free a"), "ok");
  EXPECT_EQ(tenant_.Charged(), kContextBytes + kSegmentBytes);
  script_.Kill();
  EXPECT_EQ(tenant_.Charged(), 0U);
}

// ---- virtual memory management

TEST_F(Families, PhysicalMemoryLivesAsLongAsSomethingRefersToIt) {
  Step("create h " + InBytes(4 * kMiB), 4 * kMiB);
  Step("map m h", 4 * kMiB);
  Step("map again h", 4 * kMiB);
  Step("release h", 4 * kMiB);
  Step("unmap m", 4 * kMiB);
  Step("retainhandle r again", 4 * kMiB);
  Step("unmap again", 4 * kMiB);
  Step("release r", 0);
  Fails("release r", 1, 0);
}

TEST_F(Families, PhysicalMemoryWithoutAMapping) {
  Step("create a " + InBytes(4 * kMiB), 4 * kMiB);
  Step("create b " + InBytes(6 * kMiB), 10 * kMiB);
  Step("release a", 6 * kMiB);
  // Half a page is the driver's to refuse; what was charged ahead for it is refunded.
  Fails("create c " + InBytes(kMiB), 1, 6 * kMiB);
  Step("release b", 0);
}

// ---- arrays: elements of 16 bytes

TEST_F(Families, AnArrayIsChargedInPages) {
  Step("array a 1024 1024 0", 16 * kMiB);
  Step("array b 1024 64 16", 32 * kMiB);  // three dimensions
  Step("oldarray c 1024 128", 34 * kMiB);
  Step("unarray a", 18 * kMiB);
  Step("unarray b", kPageBytes);
  Step("unarray c", 0);
}

TEST_F(Families, RowsOfAnArrayAreRoundedUp) {
  // 1000 elements take 16 000 bytes, which is 250 tiles; 513 rows take 520.
  Step("array a 1000 513 0", 8 * kMiB);
  Step("unarray a", 0);
}

TEST_F(Families, SmallArraysOfAContextShareAPage) {
  Step("array a 64 0 0", kPageBytes);
  Step("array b 256 256 0", kPageBytes);  // 1 MiB
  Step("array c 128 256 0", kPageBytes);
  Step("alloc plain 1", 2 * kPageBytes);
  Step("array d 256 256 0", 3 * kPageBytes);
  for (const std::string name : {"a", "b", "c"}) Ask(script_, "unarray " + name);
  Step("unarray d", kPageBytes);
  Step("free plain", 0);
}

TEST_F(Families, LayersAndLevelsAreCharged) {
  Step("layers l 1024 128 6", 12 * kMiB);
  // 16, 4 and 1 MiB.
  Step("mipmap m 1024 1024 3", 34 * kMiB);
  Step("unarray l", 22 * kMiB);
  Step("unmipmap m", 0);
}

TEST_F(Families, AContextTakesItsArraysAlong) {
  Step("ctx one", kContextBytes);
  Step("array a 1024 1024 0", kContextBytes + 16 * kMiB);
  Step("array b 8 8 0", kContextBytes + 18 * kMiB);
  Step("unctx one", 0);
  Step("array a 1024 1024 0", 16 * kMiB);
  ExpectAfter("reset", "ok", 0);
}

TEST_F(Families, AnArrayThatIsRefusedCostsNothing) {
  Fails("array a 0 8 0", 1, 0);
  Fails("array a 200000 8 0", 1, 0);
  Fails("array a 65536 65536 0", 2, 0);  // 64 GiB
  Fails("mipmap m 32768 8192 2", 2, 0);  // 5 GiB: beyond the limit of 4, not of the card
  Step("array a 8 8 0", kPageBytes);
  Step("unarray a", 0);
  Fails("unarray a", 400, 0);
}

// ---- graphs

TEST_F(Families, AGraphsMemoryIsChargedWhenItIsLaunched) {
  Step("graph g", 0);
  Step("takes g a " + InBytes(100 * kMiB), 0);
  Step("gives g a", 0);
  Step("instantiate e g", 0);
  Step("launch e", 100 * kMiB);
  Step("launch e", 100 * kMiB);
  Step("unexec e", 100 * kMiB);  // reserved for the next graph
  Step("trimgraphs", 0);
}

TEST_F(Families, NodesOfAnyTypeAreSeenByTheirType) {
  Step("graph g", 0);
  Step("takesany g a " + InBytes(100 * kMiB), 0);
  Step("gives g a", 0);
  Step("instantiate e g", 0);
  Step("launch e", 100 * kMiB);
  Step("unexec e", 100 * kMiB);
  Step("trimgraphs", 0);
  Step("graph h", 0);
  Step("takesany h b " + InBytes(uint64_t{8} << 30), 0);
  Step("gives h b", 0);
  Step("instantiate f h", 0);
  Fails("launch f", 2, 0);
}

TEST_F(Families, WhatAGraphDoesNotFreeTheProgramFrees) {
  Step("graph g", 0);
  Step("takes g a " + InBytes(10 * kMiB), 0);
  Step("takes g b " + InBytes(kMiB), 0);
  Step("instantiate e g", 0);
  Step("launch e", 12 * kMiB);
  Fails("launch e", 1, 12 * kMiB);  // its memory is in use
  Step("unexec e", 12 * kMiB);
  Step("ungraph g", 12 * kMiB);
  Step("graphfree a", 12 * kMiB);
  Step("trimgraphs", 2 * kMiB);
  Step("graphfree b", 2 * kMiB);
  Step("trimgraphs", 0);
}

TEST_F(Families, AGraphMayFreeItsMemoryAtTheNextLaunch) {
  Step("graph g", 0);
  Step("takes g a " + InBytes(10 * kMiB), 0);
  Step("instantiate e g 1", 0);
  Step("launch e", 10 * kMiB);
  Step("launch e", 10 * kMiB);
  Step("graphfree a", 10 * kMiB);
  Step("trimgraphs", 0);
}

TEST_F(Families, ACapturedAllocationIsTheGraphs) {
  Step("capture g " + InBytes(50 * kMiB), 0);
  Step("instantiate e g", 0);
  Step("upload e", 50 * kMiB);
  Step("launch e", 50 * kMiB);
  Step("trimgraphs", 0);
  ExpectAfter("reset", "ok", 0);
}

TEST_F(Families, AGraphBeyondTheLimitIsRefusedAtItsLaunch) {
  const uint64_t room = tenant_.limit_bytes - kContextBytes;
  Step("graph small", 0);
  Step("takes small a " + InBytes(room - 100 * kMiB), 0);
  Step("gives small a", 0);
  Step("instantiate s small", 0);
  Step("graph large", 0);
  Step("takes large b " + InBytes(room + kMiB), 0);
  Step("instantiate l large", 0);
  Fails("launch l", 2, 0);
  Step("launch s", room - 100 * kMiB);
  Fails("alloc c " + InBytes(200 * kMiB), 2, room - 100 * kMiB);
  Step("alloc c " + InBytes(100 * kMiB), room);
  Step("launch s", room);  // what is reserved is enough
  Fails("upload l", 2, room);
  Step("trimgraphs", 100 * kMiB);
  Step("free c", 0);
}

TEST_F(Families, AResetTakesTheMemoryOfGraphsAlong) {
  Step("graph g", 0);
  Step("takes g a " + InBytes(10 * kMiB), 0);
  Step("instantiate e g", 0);
  Step("launch e", 10 * kMiB);
  ExpectAfter("reset", "ok", 0);
}

// ---- memory of another process

TEST_F(Families, SharedMemoryIsChargedAtItsMaker) {
  Step("alloc a " + InBytes(100 * kMiB), 100 * kMiB);
  const std::string handle = Ask(script_, "share " + AddressOf("a"));
  Step("alloc b 1", 102 * kMiB);  // sharing changes nothing
  Running other = tenant_.StartScript();
  for (const char* line : {"init", "retain"}) ASSERT_EQ(Ask(other, line), "ok");
  const uint64_t both = 2 * kContextBytes + 102 * kMiB;
  ASSERT_EQ(Ask(other, "open theirs " + handle), "ok");
  EXPECT_EQ(tenant_.Charged(), both);
  EXPECT_EQ(tenant_.Truth(), both);
  EXPECT_EQ(Ask(other, "open again " + handle), "ok");
  EXPECT_EQ(tenant_.Charged(), both);
  EXPECT_EQ(Ask(other, "close theirs"), "ok");
  EXPECT_EQ(Ask(other, "close again"), "ok");
  EXPECT_EQ(Ask(other, "close again"), "error 1");
  EXPECT_EQ(tenant_.Charged(), both);
  other.Kill();
  Ask(script_, "info");
  Step("free a", kPageBytes);
}

// What a dead process shared lives on in those who opened it. Nobody is charged for it in the
// region; the host's agent finds it in the driver's figure of the process that holds it
// (docs/adr/0011; tests/component/run/test_hidden.py).
TEST_F(Families, SharedMemoryOutlivesItsMaker) {
  Step("alloc a " + InBytes(100 * kMiB), 100 * kMiB);
  const std::string handle = Ask(script_, "share " + AddressOf("a"));
  Running other = tenant_.StartScript();
  for (const std::string& line : {std::string("init"), std::string("retain"), "open a " + handle}) {
    ASSERT_EQ(Ask(other, line), "ok");
  }
  script_.Kill();
  Ask(other, "info");
  EXPECT_EQ(tenant_.Charged(), kContextBytes);
  EXPECT_EQ(tenant_.Truth(), kContextBytes + 100 * kMiB);
  EXPECT_EQ(Ask(other, "close a"), "ok");
  EXPECT_EQ(tenant_.Truth(), kContextBytes);
}

// ---- contexts

TEST_F(Families, ThePrimaryContextIsChargedOnce) {
  Step("retain", 0);
  Step("alloc a " + InBytes(10 * kMiB), 10 * kMiB);
  Step("unretain", 10 * kMiB);
  ExpectAfter("unretain", "ok", 0);
  ExpectAfter("retain", "ok", kContextBytes);
}

TEST_F(Families, AResetPrimaryContextTakesItsMemoryAlong) {
  Step("alloc a 1", kPageBytes);
  Step("pitch b 4096 4096", kPageBytes + 16 * kMiB);
  Step("async c 1", kPageBytes + 16 * kMiB + kSegmentBytes);
  ExpectAfter("reset", "ok", 0);
  ExpectAfter("retain", "ok", kContextBytes);
  Step("alloc a 1", kPageBytes);
}

TEST_F(Families, AnExplicitContextTakesItsMemoryAlong) {
  Step("alloc mine " + InBytes(10 * kMiB), 10 * kMiB);
  Step("ctx one", kContextBytes + 10 * kMiB);
  Step("ctx two", 2 * kContextBytes + 10 * kMiB);
  Step("alloc theirs " + InBytes(20 * kMiB), 2 * kContextBytes + 30 * kMiB);
  Step("unctx two", kContextBytes + 10 * kMiB);
  Step("unctx one", 10 * kMiB);
  Step("free mine", 0);
}

// ---- modules

// Charged what the image's headers say. The driver places modules side by side in pages as it does
// small allocations, and tells nobody where: the charge may be below the truth by what the pages
// have unused, until the agent reconciles it with the driver's figure.
TEST_F(Families, AModuleIsChargedByItsImage) {
  for (const std::string image : {"sm_86.cubin", "mix_plain.fatbin", "mix_lz4.fatbin"}) {
    SCOPED_TRACE(image);
    EXPECT_EQ(Ask(script_, "module m " + Image(image)), "ok");
    EXPECT_GT(tenant_.Charged(), kContextBytes);
    EXPECT_EQ(tenant_.Truth(), kContextBytes + kPageBytes);
    EXPECT_GT(tenant_.Charged() + kPageBytes, tenant_.Truth());
    Step("unmodule m", 0);
  }
}

TEST_F(Families, AModuleThatIsRefusedCostsNothing) {
  Fails("module m " + Image("sm_90_hopper.cubin"), 209, 0);
}

}  // namespace
}  // namespace hami::component
