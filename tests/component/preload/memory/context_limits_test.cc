// SPDX-License-Identifier: Apache-2.0
//
// What a context's limits take of the device is charged before the driver takes it.

#include <gtest/gtest.h>

#include "tests/component/preload/memory/special_script.h"

namespace hami::component {
namespace {

// The A10: 72 multiprocessors of 1536 threads; contexts begin with 1 KiB of stack for each.
constexpr uint64_t kThreads = uint64_t{72} * 1536;
constexpr uint64_t kStackKiBytes = kThreads * 1024;  // what one more KiB of stack takes

std::string Limit(CUlimit limit, uint64_t value) {
  return "limit " + std::to_string(static_cast<int>(limit)) + " " + std::to_string(value);
}

class ContextLimits : public testing::Test {
 protected:
  ContextLimits() { Step("retain", 0); }
  void Step(const std::string& line, uint64_t bytes) { EXPECT_EQ(script_.Step(line, bytes), ""); }
  void Fails(const std::string& line, CUresult error, uint64_t bytes) {
    EXPECT_EQ(script_.Fails(line, error, bytes), "");
  }
  void Gone(const std::string& line) { EXPECT_EQ(script_.Wrong(line, "ok", 0), ""); }

  SpecialScript script_;
};

TEST_F(ContextLimits, TheStackIsChargedForEveryThreadThatTheDeviceHolds) {
  Step(Limit(CU_LIMIT_STACK_SIZE, 4096), 3 * kStackKiBytes);
  Step(Limit(CU_LIMIT_STACK_SIZE, 2048), kStackKiBytes);
  Step(Limit(CU_LIMIT_STACK_SIZE, 512), 0);  // the context's own stays
  Step(Limit(CU_LIMIT_STACK_SIZE, 1024), 0);
}

TEST_F(ContextLimits, HeapAndPrintBufferAreChargedTheirSize) {
  Step(Limit(CU_LIMIT_MALLOC_HEAP_SIZE, 108 * kMiB), 100 * kMiB);
  Step(Limit(CU_LIMIT_PRINTF_FIFO_SIZE, 33 * kMiB), 132 * kMiB);
  Step(Limit(CU_LIMIT_MALLOC_HEAP_SIZE, 8 * kMiB), 32 * kMiB);
  Step(Limit(CU_LIMIT_PRINTF_FIFO_SIZE, 1), 0);
}

TEST_F(ContextLimits, TheDeviceRuntimeIsChargedByLevelsAndLaunches) {
  Step(Limit(CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH, 4), 300 * kMiB);
  Step(Limit(CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH, 2), 0);
  Step(Limit(CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT, 32768), 240 * kMiB);
  Step(Limit(CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT, 2048), 0);
}

TEST_F(ContextLimits, HintsAreFree) {
  Step(Limit(CU_LIMIT_MAX_L2_FETCH_GRANULARITY, 64), 0);
  Step(Limit(CU_LIMIT_PERSISTING_L2_CACHE_SIZE, kMiB), 0);
}

TEST_F(ContextLimits, WhatDoesNotFitIsRefusedAndChangesNothing) {
  const uint64_t rest = script_.tenant().limit_bytes - kContextBytes;
  Step("alloc a " + std::to_string(rest - kStackKiBytes), rest - kStackKiBytes);
  Fails(Limit(CU_LIMIT_STACK_SIZE, 3072), CUDA_ERROR_OUT_OF_MEMORY, rest - kStackKiBytes);
  EXPECT_EQ(script_.Answer("limitof 0"), "1024");
  Step(Limit(CU_LIMIT_STACK_SIZE, 2048), rest);
  Fails("alloc b 1", CUDA_ERROR_OUT_OF_MEMORY, rest);
  Fails(Limit(CU_LIMIT_MALLOC_HEAP_SIZE, 16 * kMiB), CUDA_ERROR_OUT_OF_MEMORY, rest);
  Step(Limit(CU_LIMIT_STACK_SIZE, 1024), rest - kStackKiBytes);
}

// The driver's own refusals reach the program, and what was charged ahead is refunded.
TEST_F(ContextLimits, WhatTheDriverRefusesCostsNothing) {
  Fails(Limit(CU_LIMIT_STACK_SIZE, uint64_t{1} << 60), CUDA_ERROR_INVALID_VALUE, 0);
  Fails(Limit(CU_LIMIT_MALLOC_HEAP_SIZE, UINT64_MAX), CUDA_ERROR_INVALID_VALUE, 0);
  Fails(Limit(CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH, 25), CUDA_ERROR_INVALID_VALUE, 0);
  Fails("limit 77 1", CUDA_ERROR_UNSUPPORTED_LIMIT, 0);
}

TEST_F(ContextLimits, AContextTakesItsLimitsAlong) {
  Step(Limit(CU_LIMIT_MALLOC_HEAP_SIZE, 18 * kMiB), 10 * kMiB);
  Step("ctx one", kContextBytes + 10 * kMiB);
  Step(Limit(CU_LIMIT_STACK_SIZE, 2048), kContextBytes + 10 * kMiB + kStackKiBytes);
  Step(Limit(CU_LIMIT_MALLOC_HEAP_SIZE, 28 * kMiB), kContextBytes + 30 * kMiB + kStackKiBytes);
  Step("unctx one", 10 * kMiB);
  Gone("reset");
  Step("retain", 0);
  Step(Limit(CU_LIMIT_MALLOC_HEAP_SIZE, 9 * kMiB), 2 * kMiB);  // from the default again
  Gone("unretain");
}

TEST_F(ContextLimits, ADeadProcessHasNoLimits) {
  Step(Limit(CU_LIMIT_STACK_SIZE, 8192), 7 * kStackKiBytes);
  script_.Kill();
  EXPECT_EQ(script_.tenant().Truth(), 0U);
  EXPECT_EQ(script_.tenant().Charged(), 0U);
}

}  // namespace
}  // namespace hami::component
