// SPDX-License-Identifier: Apache-2.0
//
// Imported memory counts from the import until neither that nor anything mapped on it is left.

#include <gtest/gtest.h>

#include "tests/component/preload/memory/special_script.h"

namespace hami::component {
namespace {

std::string InBytes(uint64_t bytes) { return std::to_string(bytes); }

class ExternalMemory : public testing::Test {
 protected:
  ExternalMemory() { Step("retain", 0); }
  void Step(const std::string& line, uint64_t bytes) { EXPECT_EQ(script_.Step(line, bytes), ""); }
  void Fails(const std::string& line, CUresult error, uint64_t bytes) {
    EXPECT_EQ(script_.Fails(line, error, bytes), "");
  }

  SpecialScript script_;
};

TEST_F(ExternalMemory, CountsWhenItIsImported) {
  Step("import a " + InBytes(10 * kMiB), 10 * kMiB);
  Step("import b 1", 10 * kMiB + kPageBytes);
  Step("unimport a", kPageBytes);
  Fails("unimport a", CUDA_ERROR_INVALID_HANDLE, kPageBytes);
  Step("unimport b", 0);
}

TEST_F(ExternalMemory, ABufferKeepsIt) {
  Step("import a " + InBytes(10 * kMiB), 10 * kMiB);
  Step("buffer x a 0 " + InBytes(4 * kMiB), 10 * kMiB);
  Step("buffer y a " + InBytes(4 * kMiB) + " " + InBytes(6 * kMiB), 10 * kMiB);
  Fails("buffer z a " + InBytes(4 * kMiB) + " " + InBytes(7 * kMiB), CUDA_ERROR_INVALID_VALUE,
        10 * kMiB);
  Step("unimport a", 10 * kMiB);
  Step("free x", 10 * kMiB);
  Step("free y", 0);
  Fails("free y", CUDA_ERROR_INVALID_VALUE, 0);
}

TEST_F(ExternalMemory, LevelsKeepIt) {
  Step("import a " + InBytes(10 * kMiB), 10 * kMiB);
  Step("levels x a 1024 1024 11", 10 * kMiB);
  Fails("levels y a 4096 4096 1", CUDA_ERROR_INVALID_VALUE, 10 * kMiB);  // 64 MiB
  Step("unimport a", 10 * kMiB);
  Step("unlevels x", 0);
}

TEST_F(ExternalMemory, TheLimitHolds) {
  const uint64_t rest = script_.tenant().limit_bytes - kContextBytes;
  Fails("import a " + InBytes(rest + 1), CUDA_ERROR_OUT_OF_MEMORY, 0);
  Step("import a " + InBytes(rest), rest);
  Fails("alloc b 1", CUDA_ERROR_OUT_OF_MEMORY, rest);
  Step("unimport a", 0);
  Step("alloc b 1", kPageBytes);
}

TEST_F(ExternalMemory, GoesWithItsContext) {
  Step("ctx one", kContextBytes);
  Step("import a " + InBytes(10 * kMiB), kContextBytes + 10 * kMiB);
  Step("buffer x a 0 " + InBytes(4 * kMiB), kContextBytes + 10 * kMiB);
  Step("unctx one", 0);
}

}  // namespace
}  // namespace hami::component
