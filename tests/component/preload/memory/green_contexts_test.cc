// SPDX-License-Identifier: Apache-2.0
//
// A green context holds the primary context, and that is what it is charged.

#include <gtest/gtest.h>

#include "tests/component/preload/memory/special_script.h"

namespace hami::component {
namespace {

class GreenContexts : public testing::Test {
 protected:
  void Has(const std::string& line, uint64_t bytes) {
    EXPECT_EQ(script_.Wrong(line, "ok", bytes), "");
  }
  void Fails(const std::string& line, CUresult error, uint64_t bytes) {
    const std::string answer = "error " + std::to_string(static_cast<int>(error));
    EXPECT_EQ(script_.Wrong(line, answer, bytes), "");
  }

  SpecialScript script_;
};

TEST_F(GreenContexts, TheFirstOneBringsThePrimaryContextAndTheLastOneTakesItAlong) {
  Has("green a 8", kContextBytes);
  Has("green b 8", kContextBytes);
  Has("ungreen a", kContextBytes);
  Has("ungreen b", 0);
  Fails("ungreen b", CUDA_ERROR_INVALID_CONTEXT, 0);
}

TEST_F(GreenContexts, ThePrimaryContextIsChargedOnceWhoeverHoldsIt) {
  Has("retain", kContextBytes);
  Has("green a 8", kContextBytes);
  Has("unretain", kContextBytes);
  Has("ungreen a", 0);
  Has("green a 8", kContextBytes);
  Has("reset", 0);
}

TEST_F(GreenContexts, MemoryIsThePrimaryContexts) {
  Has("retain", kContextBytes);
  Has("green a 8", kContextBytes);
  Has("enter a", kContextBytes);
  Has("alloc x " + std::to_string(64 * kMiB), kContextBytes + 64 * kMiB);
  Fails("alloc y " + std::to_string(script_.tenant().limit_bytes), CUDA_ERROR_OUT_OF_MEMORY,
        kContextBytes + 64 * kMiB);
  Has("leave", kContextBytes + 64 * kMiB);
  Has("ungreen a", kContextBytes + 64 * kMiB);
  Has("free x", kContextBytes);
}

TEST_F(GreenContexts, LimitsAreThePrimaryContexts) {
  Has("green a 8", kContextBytes);
  Has("enter a", kContextBytes);
  Has("limit 2 " + std::to_string(40 * kMiB), kContextBytes + 32 * kMiB);
  Has("retain", kContextBytes + 32 * kMiB);
  Has("limit 2 " + std::to_string(48 * kMiB), kContextBytes + 40 * kMiB);
  Has("ungreen a", kContextBytes + 40 * kMiB);
  Has("unretain", 0);
}

TEST_F(GreenContexts, WithoutRoomForThePrimaryContextThereIsNone) {
  SpecialScript small("100Mi");
  EXPECT_EQ(small.Wrong("green a 8", "error 2", 0), "");
}

}  // namespace
}  // namespace hami::component
