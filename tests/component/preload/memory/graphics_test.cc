// SPDX-License-Identifier: Apache-2.0
//
// Memory of a graphics interface is the driver's to count from the beginning, and the slice's from
// the moment on at which CUDA is shown how much it is, until it is unregistered.

#include <gtest/gtest.h>

#include "tests/component/preload/memory/special_script.h"

namespace hami::component {
namespace {

std::string InBytes(uint64_t bytes) { return std::to_string(bytes); }

class Graphics : public testing::Test {
 protected:
  Graphics() { EXPECT_EQ(script_.Answer("retain"), "ok"); }

  // What the driver has given, and what is charged, beside the primary context.
  void Step(const std::string& line, uint64_t given, uint64_t charged) {
    Says(line, "ok", given, charged);
  }
  void Fails(const std::string& line, CUresult error, uint64_t given, uint64_t charged) {
    Says(line, "error " + std::to_string(static_cast<int>(error)), given, charged);
  }
  void Says(const std::string& line, const std::string& answer, uint64_t given, uint64_t charged) {
    EXPECT_EQ(script_.Answer(line), answer) << line;
    EXPECT_EQ(script_.tenant().Truth(), kContextBytes + given) << line;
    EXPECT_EQ(script_.tenant().Charged(), kContextBytes + charged) << line;
  }
  uint64_t Rest() const { return script_.tenant().limit_bytes - kContextBytes; }

  static constexpr uint64_t kBuffer = 10 * kMiB;
  SpecialScript script_;
};

TEST_F(Graphics, ABufferCountsFromTheFirstLookUntilItIsUnregistered) {
  Step("glbuffer b " + InBytes(kBuffer), kBuffer, 0);
  Step("register buffer r b", kBuffer, 0);
  Fails("look pointer r", CUDA_ERROR_NOT_MAPPED, kBuffer, 0);
  Step("mapres r", kBuffer, 0);
  Step("look pointer r", kBuffer, kBuffer);
  Step("look pointer r", kBuffer, kBuffer);  // once
  Step("unmapres r", kBuffer, kBuffer);
  Step("mapres r", kBuffer, kBuffer);
  Step("look pointer r", kBuffer, kBuffer);
  Step("unregister r", kBuffer, 0);
  Fails("unregister r", CUDA_ERROR_INVALID_HANDLE, kBuffer, 0);
  Step("gldelete b", 0, 0);
}

TEST_F(Graphics, CountsInPages) {
  Step("glbuffer b 1", kPageBytes, 0);
  Step("register buffer r b", kPageBytes, 0);
  Step("mapres r", kPageBytes, 0);
  Step("look pointer r", kPageBytes, kPageBytes);
  Step("unregister r", kPageBytes, 0);
}

TEST_F(Graphics, AnImageCountsWithAllItsLevels) {
  // 1024 by 1024 elements of 16 bytes, and a quarter of that, and so on: 11 levels.
  EXPECT_EQ(script_.Answer("glimage i 1024 1024 0 11"), "ok");
  const uint64_t image = script_.tenant().Truth() - kContextBytes;
  EXPECT_GT(image, 21 * kMiB);
  for (const std::string kind : {"image", "video", "output", "egl"}) {
    SCOPED_TRACE(kind);
    Step("register " + kind + " r i", image, 0);
    Step("mapres r", image, 0);
    Step("look array r 0 3", image, image);  // whichever is looked at
    Step("look array r 0 0", image, image);
    Step("look mipmap r", image, image);
    Step("unregister r", image, 0);
  }
  Step("register image r i", image, 0);
  Step("mapres r", image, 0);
  Step("look mipmap r", image, image);
  Step("unregister r", image, 0);
}

TEST_F(Graphics, AnImageCountsWithAllItsLayers) {
  EXPECT_EQ(script_.Answer("gllayers i 512 512 6 1"), "ok");
  const uint64_t image = script_.tenant().Truth() - kContextBytes;
  EXPECT_EQ(image, 24 * kMiB);
  Step("register image r i", image, 0);
  Step("mapres r", image, 0);
  Fails("look array r 6 0", CUDA_ERROR_INVALID_VALUE, image, 0);
  Fails("look pointer r", CUDA_ERROR_NOT_MAPPED_AS_POINTER, image, 0);
  Step("look array r 5 0", image, image);
  Step("unregister r", image, 0);
}

TEST_F(Graphics, AFrameCounts) {
  EXPECT_EQ(script_.Answer("glimage i 512 512 0 1"), "ok");
  const uint64_t image = 4 * kMiB;
  Step("register egl r i", image, 0);
  Step("mapres r", image, 0);
  Step("look frame r 0 0", image, image);
  Step("unregister r", image, 0);
}

TEST_F(Graphics, TheLimitHolds) {
  const uint64_t rest = Rest();
  Step("glbuffer b " + InBytes(rest), rest, 0);
  Step("register buffer r b", rest, 0);
  Step("mapres r", rest, 0);
  Step("alloc a 1", rest + kPageBytes, kPageBytes);
  Fails("look pointer r", CUDA_ERROR_OUT_OF_MEMORY, rest + kPageBytes, kPageBytes);
  Step("free a", rest, 0);
  Step("look pointer r", rest, rest);
  Step("look pointer r", rest, rest);
  Fails("alloc a 1", CUDA_ERROR_OUT_OF_MEMORY, rest, rest);
  Step("unregister r", rest, 0);
  Step("alloc a 1", rest + kPageBytes, kPageBytes);
}

TEST_F(Graphics, TheLimitHoldsForImages) {
  Step("alloc a " + InBytes(Rest()), Rest(), Rest());
  Step("glimage i 512 512 0 1", Rest() + 4 * kMiB, Rest());
  Step("register egl r i", Rest() + 4 * kMiB, Rest());
  Step("mapres r", Rest() + 4 * kMiB, Rest());
  Fails("look array r 0 0", CUDA_ERROR_OUT_OF_MEMORY, Rest() + 4 * kMiB, Rest());
  Fails("look mipmap r", CUDA_ERROR_OUT_OF_MEMORY, Rest() + 4 * kMiB, Rest());
  Fails("look frame r 0 0", CUDA_ERROR_OUT_OF_MEMORY, Rest() + 4 * kMiB, Rest());
  Step("unregister r", Rest() + 4 * kMiB, Rest());
}

TEST_F(Graphics, TheOldInterfaceCounts) {
  Step("glbuffer b " + InBytes(kBuffer), kBuffer, 0);
  for (const std::string form : {"map", "map_ptds", "async", "async_ptsz"}) {
    SCOPED_TRACE(form);
    Step("oldregister b", kBuffer, 0);
    Step("oldmap " + form + " b", kBuffer, kBuffer);
    Step("oldunmap b", kBuffer, kBuffer);
    Step("oldmap " + form + " b", kBuffer, kBuffer);
    Step("oldunregister b", kBuffer, 0);
    Fails("oldunregister b", CUDA_ERROR_INVALID_VALUE, kBuffer, 0);
  }
}

TEST_F(Graphics, TheOldInterfaceIsNotMappedBeyondTheLimit) {
  Step("glbuffer b " + InBytes(kBuffer), kBuffer, 0);
  Step("alloc a " + InBytes(Rest()), Rest() + kBuffer, Rest());
  Step("oldregister b", Rest() + kBuffer, Rest());
  Fails("oldmap map b", CUDA_ERROR_OUT_OF_MEMORY, Rest() + kBuffer, Rest());
  Fails("oldunmap b", CUDA_ERROR_INVALID_VALUE, Rest() + kBuffer, Rest());
  Step("free a", kBuffer, 0);
  Step("oldmap map b", kBuffer, kBuffer);
}

TEST_F(Graphics, ResourcesGoWithTheirContext) {
  Step("glbuffer b " + InBytes(kBuffer), kBuffer, 0);
  Step("glimage i 512 512 0 1", kBuffer + 4 * kMiB, 0);
  Step("ctx one", kContextBytes + kBuffer + 4 * kMiB, kContextBytes);
  Step("register buffer r b", kContextBytes + kBuffer + 4 * kMiB, kContextBytes);
  Step("register image s i", kContextBytes + kBuffer + 4 * kMiB, kContextBytes);
  Step("mapres r", kContextBytes + kBuffer + 4 * kMiB, kContextBytes);
  Step("mapres s", kContextBytes + kBuffer + 4 * kMiB, kContextBytes);
  Step("look pointer r", kContextBytes + kBuffer + 4 * kMiB, kContextBytes + kBuffer);
  Step("look array s 0 0", kContextBytes + kBuffer + 4 * kMiB, kContextBytes + kBuffer + 4 * kMiB);
  Step("unctx one", kBuffer + 4 * kMiB, 0);
  Step("gldelete b", 4 * kMiB, 0);
  Step("gldelete i", 0, 0);
}

TEST_F(Graphics, ContextsForGraphicsAreContexts) {
  Fails("glctx c", CUDA_ERROR_INVALID_GRAPHICS_CONTEXT, 0, 0);
  Step("glbuffer b 1", kPageBytes, 0);
  Step("glctx c", kPageBytes + kContextBytes, kContextBytes);
  Step("vdpctx d", kPageBytes + 2 * kContextBytes, 2 * kContextBytes);
  Step("alloc a " + InBytes(Rest() - 3 * kContextBytes), kPageBytes + Rest() - kContextBytes,
       Rest() - kContextBytes);
  Step("glctx1 e", kPageBytes + Rest(), Rest());
  Fails("vdpctx1 f", CUDA_ERROR_OUT_OF_MEMORY, kPageBytes + Rest(), Rest());
  Step("unglctx e", kPageBytes + Rest() - kContextBytes, Rest() - kContextBytes);
}

// The agent finds the memory before it is registered.
TEST_F(Graphics, WhatTheAgentHasFoundIsNotCountedTwice) {
  const uint64_t buffer = uint64_t{3 * 1024} * kMiB;  // of 4 GiB
  Step("glbuffer b " + InBytes(buffer), buffer, 0);
  Step("register buffer r b", buffer, 0);
  Step("mapres r", buffer, 0);
  SetHiddenBytes(script_.tenant().share, buffer);
  Fails("alloc a " + InBytes(1024 * kMiB), CUDA_ERROR_OUT_OF_MEMORY, buffer, 0);
  Step("look pointer r", buffer, buffer);
  Step("unregister r", buffer, 0);
  // More is hidden than this buffer, and too much.
  Step("register buffer r b", buffer, 0);
  Step("mapres r", buffer, 0);
  SetHiddenBytes(script_.tenant().share, Rest() + kPageBytes);
  Fails("look pointer r", CUDA_ERROR_OUT_OF_MEMORY, buffer, 0);
  SetHiddenBytes(script_.tenant().share, Rest());
  Step("look pointer r", buffer, buffer);
}

}  // namespace
}  // namespace hami::component
