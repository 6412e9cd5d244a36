// SPDX-License-Identifier: Apache-2.0
//
// One text for each rule. Sizes in comments are those of .nv.global or .nv.constant3 in what ptxas
// 11.8 and 13.5 make of the text, where they differ from the sum.

#include "preload/ptx_size.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hami::preload {
namespace {

constexpr char kHead[] = ".version 7.0\n.target sm_80\n.address_size 64\n";
constexpr uint64_t kTooMany = UINT64_MAX;

struct Ptx {
  const char* text;
  uint64_t bytes;
};

class PtxSize : public testing::TestWithParam<Ptx> {};

TEST_P(PtxSize, IsTheSumOfItsVariables) {
  // To the byte, so that a sanitizer sees what is read behind.
  const std::string text = std::string(kHead) + GetParam().text;
  const std::vector<char> exact(text.begin(), text.end());
  EXPECT_EQ(PtxVariableBytes(exact.data(), exact.size()), GetParam().bytes) << text;
}

INSTANTIATE_TEST_SUITE_P(
    Declarations, PtxSize,
    testing::Values(Ptx{"", 0}, Ptx{".global .u32 one;", 4},
                    Ptx{".visible .global .align 4 .b8 t[1073741824];", 1073741824},
                    Ptx{".weak .global .b8 t[9];.common .global .b8 u[9];", 18},
                    Ptx{".const .f64 a[3];\n.global .f32 b;", 28},
                    Ptx{".global .u16 a, b[3], c;", 10},
                    Ptx{".global .attribute(.managed) .align 4 .u32 all[2];", 8},
                    Ptx{".global .attribute(.unified(19,95)) .f32 f;", 4},
                    Ptx{".attribute(.managed) .global .b8 t[1000];", 1000},
                    Ptx{".global .align 8 .attribute(.managed) .b8 t[1000];", 1000},
                    Ptx{".const[2] .b8 t[1000];", 1000}, Ptx{".tex .u32 t;", 4},
                    Ptx{".global .b8 %t[1000], global[1];", 1001}));

INSTANTIATE_TEST_SUITE_P(
    Types, PtxSize,
    testing::Values(Ptx{".global .b8 t[3];", 3}, Ptx{".global .s16 t[3];", 6},
                    Ptx{".global .u32 t[3];", 12}, Ptx{".global .s64 t[3];", 24},
                    Ptx{".global .b128 t[3];", 48}, Ptx{".global .f16 t[3];", 6},
                    Ptx{".global .bf16 t[3];", 6}, Ptx{".global .tf32 t[3];", 12},
                    Ptx{".global .f16x2 t[3];", 12}, Ptx{".global .bf16x2 t[3];", 12},
                    Ptx{".global .f32x2 t[3];", 24}, Ptx{".global .u8x4 t[3];", 12},
                    Ptx{".global .f64 t[3];", 24}, Ptx{".global .v4 .f32 t[2];", 32},
                    Ptx{".global .v2 .u64 t;", 16}, Ptx{".global .v8 .b32 t[2];", 64},
                    // 52, and 0 with ptxas 13.5.
                    Ptx{".global .texref t;", 64}, Ptx{".global .b9 t[2];", 128},
                    Ptx{".global .what t[2];", 128}));

INSTANTIATE_TEST_SUITE_P(
    Dimensions, PtxSize,
    testing::Values(Ptx{".global .u8 m[4][0x10][010];", 512}, Ptx{".global .u8 m[0b110U];", 6},
                    Ptx{".global .u8 m[0B11];", 3}, Ptx{".global .u8 m[0X400U];", 1024},
                    Ptx{".global .u8 m [10] [10];", 100}, Ptx{".global .u8 m[WARP_SZ][2];", 64},
                    Ptx{".global .u8 m[0];", 0}, Ptx{".global .u8 m[];", 0},
                    // 8 where two of them are used.
                    Ptx{".global .u32 a<100>;", 400},
                    Ptx{".global .align 64 .u32 a<100>, b;", 6464}));

INSTANTIATE_TEST_SUITE_P(
    Alignment, PtxSize,
    testing::Values(Ptx{".global .align 256 .u8 a;\n.global .align 8 .u8 b;", 264},
                    Ptx{".global .u8 a;\n.global .align 64 .u8 b;", 128},
                    Ptx{".align 64 .global .u8 a[65];", 128},
                    Ptx{".global .align 8 .align 64 .u8 a[65];", 128},
                    Ptx{".visible .align 64 .shared .u8 s[4];\n.global .u8 a;", 1},
                    Ptx{".global .align 0 .u32 a;", 4}));

INSTANTIATE_TEST_SUITE_P(
    Initialisers, PtxSize,
    testing::Values(Ptx{".global .u32 n = 7, m = generic(n), o = 0xff(n), p;", 16},
                    Ptx{".global .u32 a[] = {1, 2, 3};", 12},
                    Ptx{".global .u32 a[] = {1+2,(3*4),~5, -6, 1?2:3}, b[]={4}, c[5];", 44},
                    Ptx{".global .u8 a[][2] = {{1, 2}, {3, 4}, {5}};", 6},
                    // Lists shorter than their dimension.
                    Ptx{".global .u8 a[][1048576] = {{1}, {2}, {3}};", 3145728},
                    Ptx{".global .u32 a[][2][2] = {{{1,2},{3,4}},{{5},{6}},{{1}}};", 48},
                    Ptx{".global .v4 .u32 a[] = {{1,2,3,4},{5,6,7,8}};", 32},
                    Ptx{".global .u8 a[8] = {1};", 8},
                    Ptx{".global .f32 a[]={0f3F800000,1.0,-1.5e3,1.E5};", 16},
                    // ptxas takes no string here.
                    Ptx{".global .u8 a[] = \"abc\";", 6}));

// What a text hides a declaration behind, and ptxas finds it.
INSTANTIATE_TEST_SUITE_P(
    Places, PtxSize,
    testing::Values(
        Ptx{".visible.global.align 4.b8 t[1000];", 1000},
        Ptx{".func f() { .global .b8 t[1000]; ret; }", 1000},
        Ptx{".entry k() { {.const .b8 t[1000];} ret; }", 1000},
        Ptx{".entry k() { @p ret;.global .b8 t[1000]; L1:.global .b8 u[10]; }", 1010},
        Ptx{".entry k() { ts: .branchtargets A,B; A: B: .global .b8 t[9]; }", 9},
        Ptx{".entry k() { .loc 1 2 3 .global .b8 t[1000]; ret; }", 1000},
        Ptx{".file 1 \"a.cu\" .global .b8 t[1000];", 1000},
        Ptx{".file 1 \"a\\\" .global .b8 t[1000]; .file 2 \"b\"", 1000},
        Ptx{".file 1 \"a\n\" .global .b8 t[1000]; .file 2 \"b\n\"", 1000},
        Ptx{".file 1 \"a//\" .global .b8 t[1000];", 1000},
        Ptx{".file 1 \"a/*\" .global .b8 t[1000]; .file 2 \"*/\"", 1000},
        Ptx{".section .d { .b64 .debug_abbrev+5 }.global .b8 t[1000];", 1000},
        Ptx{"# 1 \"a.cu\"\n.global .b8 t[1000];", 1000},
        Ptx{".visible/*x*/.global/*;*/.b8 t[/*5*/1000];", 1000},
        Ptx{"// a \\\n.global .b8 t[1000];", 1000}, Ptx{"// /* \n.global .b8 t[1000]; // */", 1000},
        Ptx{"// \"\n.global .b8 t[1000]; // \"", 1000}, Ptx{"/* // */ .global .b8 t[1000];", 1000},
        Ptx{"/*/ */ .global .b8 t[1000]; /*/*/", 1000},
        // It says that it is elsewhere, and is here.
        Ptx{".extern .global .b8 t[1000];", 1000}, Ptx{".extern .const .b64 t, u[3];", 32}));

TEST(PtxPlaces, BehindTheTarget) {
  const std::string text = ".version 7.0.target sm_80.global .b8 t[1000];.entry k() { ret; }";
  EXPECT_EQ(PtxVariableBytes(text.data(), text.size()), 1000U);
}

INSTANTIATE_TEST_SUITE_P(
    NoStorage, PtxSize,
    testing::Values(Ptx{"// .global .u32 a;\n/* .global .u32 b; */", 0},
                    Ptx{"// a \r .global .u32 a;", 0}, Ptx{"/*/ .global .u32 a; /*/", 0},
                    Ptx{".pragma \".global .u32 a;\";", 0},
                    Ptx{".file 1 \"a\n .global .b8 t[1000]; \"", 0},
                    Ptx{".extern .global .align 4 .b8 theirs[];\n.global .u8 mine;", 1},
                    Ptx{".entry k(.param .u64 .ptr .global .align 16 p, .param .u64 .ptr.const q)\n"
                        "{ .reg .u32 %r<3>; .shared .u32 s[64]; .local .u32 l[64];\n"
                        "ld.global.u32 %r1, [p]; cvta.to.global.u64 %rd, %rd; ret; }",
                        0},
                    Ptx{".extern .func (.param .b64 r) f (.param .b64 .ptr .global a);", 0},
                    Ptx{".entry k() { @%p st.global.v4.u32 [%rd1], {a, b, c, d};\n"
                        ".loc 1 2 3, function_name $L1, inlined_at 1 2 3\n"
                        "ld.const.u32 %r1, [c+4]; atom.global.add.u32 a, [b], 1; ret; }",
                        0},
                    // Little, but not nothing: cheaper than to know instructions.
                    Ptx{".entry k() { ld .global .u32 r, [t]; }", 4}));

INSTANTIATE_TEST_SUITE_P(
    Hostile, PtxSize,
    testing::Values(Ptx{".global .u64 a[0xffffffffffffffff];", kTooMany},
                    Ptx{".global .u64 a[2305843009213693952];", kTooMany},
                    Ptx{".global .u64 a[99999999999999999999999999];", kTooMany},
                    Ptx{".global .b8 a[18446744073709551617];", kTooMany},
                    Ptx{".global .u8 a[4294967296][4294967296];", kTooMany},
                    Ptx{".global .b64 a<9223372036854775808>;", kTooMany},
                    Ptx{".global .b8 a[18446744073709551615]; .global .b64 b[2];", kTooMany},
                    Ptx{".global .align 4096 .b8 a[18446744073709551615]; .global .b8 b;",
                        kTooMany},
                    Ptx{".global .b8 a[][4294967296][4294967295] = {{{1}}, {{2}}};", kTooMany},
                    // No integer constants, so nothing that ptxas takes.
                    Ptx{".global .u8 a[1 << 30];", kTooMany}, Ptx{".global .u8 a[-1];", kTooMany},
                    Ptx{".global .u8 a[089];", kTooMany}, Ptx{".global .u8 a[0x];", kTooMany},
                    Ptx{".global .u8 a[n];", kTooMany}, Ptx{".global .u8 a[1 2];", kTooMany},
                    Ptx{".global .u32 a[", kTooMany}, Ptx{".global .u32 a[5", kTooMany},
                    Ptx{".global .u32 a<", kTooMany}, Ptx{".global", 0}, Ptx{".global .", 0},
                    Ptx{".global .u32", 0}, Ptx{".global .attribute(", 0}, Ptx{".global .align", 0},
                    Ptx{".global .u32 a", 4}, Ptx{".global .u32 a,,,b;", 4},
                    Ptx{".global .u32 a =", 4}, Ptx{".global .u32 a[] = {1, {", 8},
                    Ptx{".global .u32 a[] = }}}", 4}, Ptx{")))}}}.global .u32 a;", 4},
                    Ptx{"(((;.global .u32 a;", 4}, Ptx{"/* .global .u32 a;", 0},
                    Ptx{"\" .global .u32 a;", 0}, Ptx{"/", 0}, Ptx{"/*", 0}, Ptx{"/*/", 0},
                    Ptx{"/**", 0}, Ptx{"\"", 0}, Ptx{".", 0}, Ptx{"\\", 0}));

TEST(PtxHostile, ATextEndsAtANul) {
  const std::string text = std::string(kHead) + ".global .u8 a;" + '\0' + ".global .u8 b;";
  EXPECT_EQ(PtxVariableBytes(text.data(), text.size()), 1U);
}

TEST(PtxHostile, EveryBeginningOfATextIsReadToItsEnd) {
  const std::string text =
      std::string(kHead) +
      ".visible .global .align 4 .b8 t[0x400] = {1, \"\\\", {2}}; /* c */ // d\n"
      ".global .attribute(.managed) .v4 .f32 a<4>, b[] = {{1}, generic(t)};\n"
      ".entry k(.param .u64 .ptr .global p) { @%p ld.global.u32 %r1, [p+4]; ret; }";
  for (size_t length = 0; length <= text.size(); ++length) {
    const std::vector<char> part(text.data(), text.data() + length);
    const uint64_t bytes = PtxVariableBytes(part.data(), part.size());
    EXPECT_TRUE(bytes <= 2048 || bytes == kTooMany) << length << ": " << bytes;
  }
}

// Two passes over this would show; one per character would not end.
TEST(PtxHostile, TimeGrowsWithTheText) {
  constexpr size_t kRepeats = 1000000;
  for (const char* piece : {".global ", ".global .b8 a[", "{", "(", "\"", "/*", "/", ".align ",
                            "a.global", ".global .b8 a={", "[", "=", ".b8 a<"}) {
    std::string text = kHead;
    for (size_t i = 0; i < kRepeats; ++i) text += piece;
    PtxVariableBytes(text.data(), text.size());
  }
}

}  // namespace
}  // namespace hami::preload
