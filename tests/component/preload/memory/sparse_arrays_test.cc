// SPDX-License-Identifier: Apache-2.0
//
// A sparse array has no memory of its own; what is mapped into it is charged when it is created and
// stays so until neither a handle nor a tile has it.

#include <gtest/gtest.h>

#include "tests/component/preload/memory/special_script.h"

namespace hami::component {
namespace {

std::string InBytes(uint64_t bytes) { return std::to_string(bytes); }

// An array of 8 by 8 tiles of 64 by 64 elements: two pools of 2 MiB hold all of it.
class SparseArrays : public testing::Test {
 protected:
  SparseArrays() {
    Step("retain", 0);
    Step("sparse a 512 512 0", 0);
    Step("pool p " + InBytes(kPool), kPool);
  }
  void Step(const std::string& line, uint64_t bytes) { EXPECT_EQ(script_.Step(line, bytes), ""); }
  void Fails(const std::string& line, CUresult error, uint64_t bytes) {
    EXPECT_EQ(script_.Fails(line, error, bytes), "");
  }

  static constexpr uint64_t kPool = 2 * kMiB;
  SpecialScript script_;
};

TEST_F(SparseArrays, ATileKeepsTheMemory) {
  Step("tile a 0 0 0 128 64 p 0", kPool);
  Step("unpool p", kPool);
  Step("tile a 0 0 0 64 64 -", kPool);  // one of two
  Step("tile a 0 0 0 64 64 -", kPool);  // nothing is there any more
  Step("tile a 0 64 0 64 64 -", 0);
  Step("unsparse a", 0);
}

TEST_F(SparseArrays, AHandleKeepsTheMemory) {
  Step("tile a 0 0 0 512 256 p 0", kPool);
  Step("tile a 0 0 0 512 512 -", kPool);
  Step("unpool p", 0);
}

TEST_F(SparseArrays, AnArrayTakesItsTilesAlong) {
  Step("tile a 0 0 0 512 256 p 0", kPool);
  Step("unpool p", kPool);
  Step("unsparse a", 0);
}

TEST_F(SparseArrays, AContextTakesItsArraysAlong) {
  Step("ctx one", kContextBytes + kPool);
  Step("sparse b 512 512 0", kContextBytes + kPool);
  Step("tile b 0 0 0 512 256 p 0", kContextBytes + kPool);
  Step("unpool p", kContextBytes + kPool);
  Step("unctx one", 0);
}

TEST_F(SparseArrays, MappingAnewGivesUpWhatWasThere) {
  Step("tile a 0 0 0 512 256 p 0", kPool);
  Step("unpool p", kPool);
  Step("pool q " + InBytes(kPool), 2 * kPool);
  Step("tile a 0 0 0 512 128 q 0", 2 * kPool);
  Step("tile a 0 0 128 512 128 q 0", kPool);  // the last ones of the first pool
  Step("unpool q", kPool);
  Step("unsparse a", 0);
}

TEST_F(SparseArrays, WhatTheDriverRefusesChangesNothing) {
  Step("tile a 0 0 0 512 256 p 0", kPool);
  Step("unpool p", kPool);
  Fails("tile a 0 0 0 63 64 -", CUDA_ERROR_INVALID_VALUE, kPool);
  Fails("tile a 0 0 0 4096 64 -", CUDA_ERROR_INVALID_VALUE, kPool);
  Fails("tile a 1 0 0 64 64 -", CUDA_ERROR_INVALID_VALUE, kPool);
  Fails("tail a 0 65536 -", CUDA_ERROR_INVALID_VALUE, kPool);
  // All of it, and something that is wrong: none of it.
  Step("and tile a 0 0 0 512 512 -", kPool);
  Fails("tile a 0 0 0 64 64 p 0", CUDA_ERROR_INVALID_HANDLE, kPool);
  Step("tile a 0 448 192 64 64 -", kPool);
  Step("tile a 0 0 0 512 512 -", 0);
}

TEST_F(SparseArrays, SeveralOperationsInOneCall) {
  Step("pool q " + InBytes(kPool), 2 * kPool);
  Step("and tile a 0 0 0 512 256 p 0", 2 * kPool);
  Step("tile a 0 0 256 512 256 q 0", 2 * kPool);
  Step("unpool p", 2 * kPool);
  Step("unpool q", 2 * kPool);
  // One tile twice in a call: the second operation counts.
  Step("and tile a 0 0 0 512 512 -", 2 * kPool);
  Step("tile a 0 0 0 512 512 -", 0);
}

TEST_F(SparseArrays, UnmappingIsInTheOrderOfTheStream) {
  Step("tile a 0 0 0 512 256 p 0", kPool);
  Step("hold", kPool + kPageBytes);
  Step("unpool p", kPool + kPageBytes);
  Step("tile a 0 0 0 512 256 -", kPool + kPageBytes);
  EXPECT_EQ(script_.Answer("used"), InBytes(kContextBytes + kPool + kPageBytes));
  EXPECT_EQ(script_.Answer("letgo"), "ok");
  EXPECT_EQ(script_.Answer("used"), InBytes(kContextBytes + kPageBytes));
  Step("unsparse a", kPageBytes);
}

TEST_F(SparseArrays, TheLimitSeesWhatHasLeft) {
  const uint64_t rest = script_.tenant().limit_bytes - kContextBytes - kPageBytes;
  Step("hold", kPool + kPageBytes);
  Step("tile a 0 0 0 512 256 p 0", kPool + kPageBytes);
  Step("unpool p", kPool + kPageBytes);
  Step("tile a 0 0 0 512 256 -", kPool + kPageBytes);
  Fails("alloc x " + InBytes(rest), CUDA_ERROR_OUT_OF_MEMORY, kPool + kPageBytes);
  script_.Answer("letgo");
  Step("alloc x " + InBytes(rest), rest + kPageBytes);
}

TEST_F(SparseArrays, MipmapsHaveLevelsAndATail) {
  // Levels of 512, 256, 128 and 64 are divided; 32 and below are the tail.
  Step("sparse m 512 512 10", kPool);
  Step("tile m 1 0 0 256 256 p 0", kPool);
  Step("tile m 3 0 0 64 64 p 0", kPool);
  Step("tail m 0 65536 p 65536", kPool);
  Step("unpool p", kPool);
  Step("tile m 1 0 0 256 256 -", kPool);
  Fails("tile m 4 0 0 32 32 -", CUDA_ERROR_INVALID_VALUE, kPool);
  Step("tail m 0 65536 -", kPool);
  Step("tile m 3 0 0 64 64 -", 0);
  Step("unsparse m", 0);
}

TEST_F(SparseArrays, ADeferredArrayIsMappedAsAWhole) {
  Step("deferred d 256 256 0", kPool);
  Step("whole d p 0", kPool);
  Step("unpool p", kPool);
  Step("whole d -", 0);
  Step("unsparse d", 0);
}

TEST_F(SparseArrays, TheLimitHolds) {
  const uint64_t rest = script_.tenant().limit_bytes - kContextBytes - kPool;
  Step("tile a 0 0 0 512 256 p 0", kPool);
  Step("unpool p", kPool);
  Fails("pool q " + InBytes(rest + kPool), CUDA_ERROR_OUT_OF_MEMORY, kPool);
  Step("tile a 0 0 0 512 256 -", 0);
  Step("pool q " + InBytes(rest + kPool), rest + kPool);
}

}  // namespace
}  // namespace hami::component
