// SPDX-License-Identifier: Apache-2.0
//
// Memory that is bound to a multicast object is charged until it is unbound, whatever becomes of
// its handle.

#include <gtest/gtest.h>

#include "tests/component/preload/memory/special_script.h"

namespace hami::component {
namespace {

constexpr uint64_t kH200ContextBytes = 520 * kMiB;

std::string InBytes(uint64_t bytes) { return std::to_string(bytes); }

class Multicast : public testing::Test {
 protected:
  Multicast() : script_("4Gi", "h200-580", kH200ContextBytes) { Step("retain", 0); }
  void Step(const std::string& line, uint64_t bytes) { EXPECT_EQ(script_.Step(line, bytes), ""); }
  void Fails(const std::string& line, CUresult error, uint64_t bytes) {
    EXPECT_EQ(script_.Fails(line, error, bytes), "");
  }

  SpecialScript script_;
};

TEST_F(Multicast, AnObjectTakesNoMemory) {
  Step("multicast m " + InBytes(1024 * kMiB), 0);
  Step("release m", 0);
  Fails("release m", CUDA_ERROR_INVALID_VALUE, 0);
}

TEST_F(Multicast, ABindingKeepsTheMemory) {
  Step("multicast m " + InBytes(64 * kMiB), 0);
  Step("create a " + InBytes(4 * kMiB), 4 * kMiB);
  Step("create b " + InBytes(6 * kMiB), 10 * kMiB);
  Step("bind m 0 a", 10 * kMiB);
  Step("bind m " + InBytes(4 * kMiB) + " b", 10 * kMiB);
  Fails("bind m 0 b", CUDA_ERROR_INVALID_VALUE, 10 * kMiB);  // is taken
  Step("release a", 10 * kMiB);
  Step("release b", 10 * kMiB);
  Step("unbind m 0 " + InBytes(4 * kMiB), 6 * kMiB);
  Fails("unbind m 0 " + InBytes(4 * kMiB), CUDA_ERROR_INVALID_VALUE, 6 * kMiB);
  Step("unbind m " + InBytes(4 * kMiB) + " " + InBytes(6 * kMiB), 0);
  Step("release m", 0);
}

TEST_F(Multicast, AnObjectTakesItsBindingsAlong) {
  Step("multicast m " + InBytes(64 * kMiB), 0);
  Step("create a " + InBytes(4 * kMiB), 4 * kMiB);
  Step("bind m 0 a", 4 * kMiB);
  Step("release a", 4 * kMiB);
  Step("map team m", 4 * kMiB);  // a mapping keeps the object
  Step("release m", 4 * kMiB);
  Step("unmap team", 0);
}

TEST_F(Multicast, MemoryIsBoundByItsAddress) {
  Step("multicast m " + InBytes(64 * kMiB), 0);
  Step("create a " + InBytes(4 * kMiB), 4 * kMiB);
  Step("map x a", 4 * kMiB);
  Step("bindat m 0 x", 4 * kMiB);
  Step("release a", 4 * kMiB);
  Step("unmap x", 4 * kMiB);
  Step("unbind m 0 " + InBytes(4 * kMiB), 0);
}

// What the newest driver has besides: variants that name the device (CUDA 13.1), and logical
// endpoints (13.3).
class NewestMulticast : public testing::Test {
 protected:
  NewestMulticast() : script_("4Gi", "h200-615", kH200ContextBytes) { Step("retain", 0); }
  void Step(const std::string& line, uint64_t bytes) { EXPECT_EQ(script_.Step(line, bytes), ""); }

  SpecialScript script_;
};

TEST_F(NewestMulticast, TheVariantsThatNameADeviceBindAsWell) {
  Step("multicast m " + InBytes(64 * kMiB), 0);
  Step("create a " + InBytes(4 * kMiB), 4 * kMiB);
  Step("create b " + InBytes(6 * kMiB), 10 * kMiB);
  Step("map x b", 10 * kMiB);
  Step("bind2 m 0 a", 10 * kMiB);
  Step("bindat2 m " + InBytes(4 * kMiB) + " x", 10 * kMiB);
  Step("release a", 10 * kMiB);
  Step("release b", 10 * kMiB);
  Step("unmap x", 10 * kMiB);
  Step("unbind m 0 " + InBytes(4 * kMiB), 6 * kMiB);
  Step("unbind m " + InBytes(4 * kMiB) + " " + InBytes(6 * kMiB), 0);
}

TEST_F(NewestMulticast, ALogicalEndpointKeepsWhatIsBoundToIt) {
  Step("endpoint 1 " + InBytes(64 * kMiB), 0);
  Step("create a " + InBytes(4 * kMiB), 4 * kMiB);
  Step("create b " + InBytes(6 * kMiB), 10 * kMiB);
  Step("map x b", 10 * kMiB);
  Step("endbind 1 0 a", 10 * kMiB);
  EXPECT_EQ(script_.Fails("endbind 1 0 a", CUDA_ERROR_INVALID_VALUE, 10 * kMiB), "");  // is taken
  Step("endbindat 1 " + InBytes(4 * kMiB) + " x", 10 * kMiB);
  Step("release a", 10 * kMiB);
  Step("release b", 10 * kMiB);
  Step("unmap x", 10 * kMiB);
  Step("endunbind 1 0 " + InBytes(4 * kMiB), 6 * kMiB);
  Step("unendpoint 1", 0);
  EXPECT_EQ(script_.Fails("unendpoint 1", CUDA_ERROR_INVALID_VALUE, 0), "");
}

TEST_F(Multicast, TheLimitHolds) {
  const uint64_t rest = script_.tenant().limit_bytes - kH200ContextBytes;
  Step("multicast m " + InBytes(64 * kMiB), 0);
  Step("create a " + InBytes(4 * kMiB), 4 * kMiB);
  Step("bind m 0 a", 4 * kMiB);
  Step("release a", 4 * kMiB);
  Fails("create b " + InBytes(rest), CUDA_ERROR_OUT_OF_MEMORY, 4 * kMiB);
  Step("release m", 0);
  Step("create b " + InBytes(rest), rest);
}

}  // namespace
}  // namespace hami::component
