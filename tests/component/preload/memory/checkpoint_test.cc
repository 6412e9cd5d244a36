// SPDX-License-Identifier: Apache-2.0
//
// A checkpoint takes a process' memory off the device; its charge stays, so that the restore fits.

#include <gtest/gtest.h>

#include "tests/component/preload/memory/special_script.h"

namespace hami::component {
namespace {

constexpr uint64_t kH200ContextBytes = 520 * kMiB;

std::string InBytes(uint64_t bytes) { return std::to_string(bytes); }

TEST(Checkpoint, MemoryStaysChargedWhileItIsAway) {
  SpecialScript script("4Gi", "h200-580", kH200ContextBytes);
  const uint64_t half = script.tenant().limit_bytes / 2;
  EXPECT_EQ(script.Step("retain", 0), "");
  EXPECT_EQ(script.Step("alloc a " + InBytes(half), half), "");
  EXPECT_EQ(script.Step("checkpoint lock", half), "");
  EXPECT_EQ(script.Answer("checkpoint save"), "ok");
  EXPECT_EQ(script.tenant().Truth(), 0U);
  EXPECT_EQ(script.tenant().Charged(), kH200ContextBytes + half);

  // Somebody else of the slice cannot take its place.
  Running other = script.tenant().share.Start({.program = TestProgram("special")});
  EXPECT_EQ(Ask(other, "init"), "ok");
  EXPECT_EQ(Ask(other, "retain"), "ok");
  EXPECT_EQ(Ask(other, "alloc b " + InBytes(half)), "error 2");
  EXPECT_EQ(Ask(other, "unretain"), "ok");

  EXPECT_EQ(script.Step("checkpoint restore", half), "");
  EXPECT_EQ(script.Step("checkpoint unlock", half), "");
  EXPECT_EQ(script.Step("free a", 0), "");
}

TEST(Checkpoint, ARestoreStaysOnItsGpu) {
  SpecialScript script("4Gi", "h200-580", kH200ContextBytes);
  EXPECT_EQ(script.Step("retain", 0), "");
  EXPECT_EQ(script.Step("checkpoint lock", 0), "");
  EXPECT_EQ(script.Answer("checkpoint save"), "ok");
  EXPECT_EQ(script.Answer("checkpoint move"), "error 801");  // CUDA_ERROR_NOT_SUPPORTED
  EXPECT_EQ(script.Step("checkpoint restore", 0), "");
  EXPECT_EQ(script.Step("checkpoint unlock", 0), "");
}

}  // namespace
}  // namespace hami::component
