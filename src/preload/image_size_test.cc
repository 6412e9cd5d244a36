// SPDX-License-Identifier: Apache-2.0

#include "preload/image_size.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "preload/ptx_size.h"

namespace hami::preload {
namespace {

constexpr char kHead[] = ".version 7.0\n.target sm_80\n.address_size 64\n";

struct Ptx {
  const char* text;
  uint64_t bytes;
};

class PtxSizeTest : public testing::TestWithParam<Ptx> {};

TEST_P(PtxSizeTest, CountsVariables) {
  const std::string text = std::string(kHead) + GetParam().text;
  EXPECT_EQ(PtxVariableBytes(text.data(), text.size()), GetParam().bytes) << text;
}

INSTANTIATE_TEST_SUITE_P(
    Variables, PtxSizeTest,
    testing::Values(Ptx{"", 0}, Ptx{".global .u32 one;", 4},
                    Ptx{".visible .global .align 4 .b8 t[1024];", 1024},
                    Ptx{".visible.global.align 4.b8 t[1073741824];", 1073741824},
                    Ptx{".const .f64 a[3];\n.global .f32 b;", 28},
                    Ptx{".global .u16 a, b[3], c;", 10}, Ptx{".global .v4 .f32 v[2];", 32},
                    Ptx{".global .f16x2 h[5];", 20}, Ptx{".global .bf16 h[5];", 10},
                    Ptx{".global .b128 wide;", 16}, Ptx{".global .u8 m[4][0x10][010];", 512},
                    Ptx{".global .u8 m[0b110U];", 6},
                    Ptx{".global .align 256 .u8 a;\n.global .align 8 .u8 b;", 264},
                    Ptx{".global .attribute(.managed) .align 4 .u32 shared_by_all[2];", 8}));

INSTANTIATE_TEST_SUITE_P(Initialisers, PtxSizeTest,
                         testing::Values(Ptx{".global .u32 n = 7;", 4},
                                         Ptx{".global .u32 a[] = {1, 2, 3};", 12},
                                         Ptx{".global .u32 a[] = {1, -2, 0xff(a), b+4}, c;", 20},
                                         Ptx{".global .u8 a[][2] = {{1, 2}, {3, 4}, {5}};", 6},
                                         Ptx{".global .u8 a[8] = {1};", 8},
                                         Ptx{".global .u8 a[];", 0},
                                         Ptx{".global .u8 a[] = \"abc\";", 4}));

INSTANTIATE_TEST_SUITE_P(
    NoStorage, PtxSizeTest,
    testing::Values(Ptx{"// .global .u32 a;\n/* .global .u32 b; */", 0},
                    Ptx{".pragma \".global .u32 a;\";", 0},
                    Ptx{".extern .global .align 4 .b8 theirs[4096];\n.global .u8 mine;", 1},
                    Ptx{".entry k(.param .u64 .ptr .global .align 16 p, .param .u32 n)\n"
                        "{ .reg .u32 %r<3>; .shared .u32 s[64]; ld.global.u32 %r1, [p]; ret; }",
                        0},
                    Ptx{".entry k() { st.global.u32 [%rd1], %r1; ld.const.u32 %r1, [c]; ret; }",
                        0}));

// At least the value; never less than what the driver will make of it.
INSTANTIATE_TEST_SUITE_P(Expressions, PtxSizeTest,
                         testing::Values(Ptx{".global .u8 a[1 << 30];", uint64_t{1} << 30},
                                         Ptx{".global .u8 a[4 * 256];", 1024},
                                         Ptx{".global .u8 a[100 - 4];", 100},
                                         Ptx{".global .u8 a[2 * (3 + 4)];", 24},
                                         Ptx{".global .u8 a[~0];", UINT64_MAX},
                                         Ptx{".global .u8 a[1 ? 1000 : 2];", UINT64_MAX}));

INSTANTIATE_TEST_SUITE_P(
    Hostile, PtxSizeTest,
    testing::Values(Ptx{".global .u64 a[0xffffffffffffffff];", UINT64_MAX},
                    Ptx{".global .u64 a[99999999999999999999999999];", UINT64_MAX},
                    Ptx{".global .u8 a[4294967296][4294967296];", UINT64_MAX},
                    Ptx{".global .align 0 .u32 a;", 4}, Ptx{".global", 0},
                    Ptx{".global .u32 a[", 0}, Ptx{".global .u32 a[] = {1, {", 4},
                    Ptx{"/* .global .u32 a;", 0}, Ptx{".global .u32 a[] = \"x", 8}));

TEST(PtxSizeTest, EveryBeginningOfATextEnds) {
  const std::string text =
      std::string(kHead) +
      ".visible .global .align 4 .b8 t[0x400] = {1, \"\\\"\", {2}}; /* c */ // d\n"
      ".entry k(.param .u64 .ptr .global p) { ret; }";
  for (size_t length = 0; length <= text.size(); ++length) {
    const std::vector<char> part(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_LE(PtxVariableBytes(part.data(), part.size()), 1024U) << length;
  }
}

std::string Read(const std::string& name) {
  std::ifstream file(std::string(HAMI_IMAGES) + "/" + name, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(ImageBytesTest, PtxIsItsTextAndItsVariables) {
  const std::string text = std::string(kHead) + ".global .u8 a[1048576];";
  EXPECT_EQ(ImageBytes(text.c_str()), text.size() + 1048576);
}

// tests/golden/images/kernels.cu: the same variables in every form that is not compressed.
TEST(ImageBytesTest, VariablesCountInEveryForm) {
  const std::string ptx = Read("compute_80.ptx");
  ASSERT_FALSE(ptx.empty());
  const uint64_t variables = PtxVariableBytes(ptx.data(), ptx.size());
  EXPECT_GT(variables, 0U);
  for (const char* name : {"compute_80.ptx", "sm_86.cubin", "mix_plain.fatbin"}) {
    const std::string image = Read(name);
    EXPECT_GE(ImageBytes(image.c_str()), variables) << name;
  }
}

}  // namespace
}  // namespace hami::preload
