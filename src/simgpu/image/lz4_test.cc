// SPDX-License-Identifier: Apache-2.0

#include "simgpu/image/lz4.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hami::simgpu {
namespace {

// Decodes into an exact allocation, so that the sanitizer sees a write behind it.
bool Decode(const std::vector<uint8_t>& input, size_t output_bytes, std::string* output) {
  std::vector<uint8_t> buffer(output_bytes);
  const bool ok = DecodeLz4(Bytes(input.data(), input.size()), buffer.data(), buffer.size());
  output->assign(buffer.begin(), buffer.end());
  return ok;
}

TEST(Lz4Test, LiteralsAndOverlappingMatch) {
  std::string out;
  // "ab", a match of 6 at distance 2, and "c" at the end.
  EXPECT_TRUE(Decode({0x22, 'a', 'b', 2, 0, 0x10, 'c'}, 9, &out));
  EXPECT_EQ(out, "ababababc");
}

TEST(Lz4Test, LongLengthsGoOnInFurtherBytes) {
  std::vector<uint8_t> input = {0xF0, 255, 3};
  input.insert(input.end(), 15 + 255 + 3, 'x');
  std::string out;
  EXPECT_TRUE(Decode(input, 273, &out));
  EXPECT_EQ(out, std::string(273, 'x'));

  EXPECT_TRUE(Decode({0x1F, 'y', 1, 0, 255, 0, 0x10, 'z'}, 1 + 15 + 255 + 4 + 1, &out));
  EXPECT_EQ(out, std::string(275, 'y') + "z");
}

TEST(Lz4Test, RefusesWhatDoesNotFit) {
  std::string out;
  EXPECT_FALSE(Decode({}, 1, &out));
  EXPECT_FALSE(Decode({0x22, 'a', 'b', 2, 0, 0x10, 'c'}, 8, &out)) << "too small a target";
  EXPECT_FALSE(Decode({0x22, 'a', 'b', 2, 0, 0x10, 'c'}, 10, &out)) << "too large a target";
  EXPECT_FALSE(Decode({0x20, 'a'}, 2, &out)) << "literals cut off";
  EXPECT_FALSE(Decode({0x10, 'a', 2, 0, 0x00}, 6, &out)) << "match before the start";
  EXPECT_FALSE(Decode({0x10, 'a', 0, 0, 0x00}, 6, &out)) << "distance 0";
  EXPECT_FALSE(Decode({0x10, 'a', 1}, 6, &out)) << "distance cut off";
  EXPECT_FALSE(Decode({0xF0, 255, 255}, 6, &out)) << "length cut off";
}

}  // namespace
}  // namespace hami::simgpu
