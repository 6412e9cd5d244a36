// SPDX-License-Identifier: Apache-2.0
//
// PTX forms that the compilers' output in tests/golden/images does not show.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simgpu/image/image_recorder.h"

namespace hami::simgpu {
namespace {

using testing::ElementsAre;
using testing::Pair;

constexpr char kHeader[] = ".version 7.0\n.target sm_80\n.address_size 64\n";

ImageStatus Parse(const std::string& text, Recorder* recorder) {
  return ParseImageBytes(text.data(), text.size(), 86, recorder->Visitor(),
                         &recorder->device_bytes);
}

ImageStatus ParseBody(const std::string& text, Recorder* recorder) {
  return Parse(kHeader + text, recorder);
}

TEST(PtxTest, ParametersAreLaidOutByAlignment) {
  Recorder recorder;
  ASSERT_EQ(ParseBody(".entry K(.param .u8 a, .param .v4 .f32 b, .param .align 4 .b8 c[6],\n"
                      ".param .u64 .ptr .global .align 16 d, .param .b16 e[2][3]) { ret; }",
                      &recorder),
            ImageStatus::kOk);
  EXPECT_THAT(recorder.kernels.at("K").params,
              ElementsAre(Pair(0, 1), Pair(16, 16), Pair(32, 6), Pair(40, 8), Pair(48, 12)));
  EXPECT_EQ(recorder.kernels.at("K").param_bytes, 60U);
}

TEST(PtxTest, BoundsOfTheSourceCount) {
  Recorder recorder;
  ASSERT_EQ(ParseBody(".visible .entry A() .maxntid 8, 8, 4 .minnctapersm 2 .maxnreg 24 { ret; }\n"
                      ".visible .entry B() .reqntid 96 { ret; }\n"
                      ".weak .entry C() .pragma \"nounroll\"; { ret; }",
                      &recorder),
            ImageStatus::kOk);
  EXPECT_EQ(recorder.kernels.at("A").max_threads, 256U);
  EXPECT_EQ(recorder.kernels.at("A").registers, 24U);
  EXPECT_EQ(recorder.kernels.at("B").max_threads, 96U);
  EXPECT_EQ(recorder.kernels.at("C").max_threads, 1024U);
}

TEST(PtxTest, VariablesHaveTheirDeclaredSize) {
  Recorder recorder;
  ASSERT_EQ(ParseBody(".visible .global .align 8 .b8 list[] = {1, 2, 3, 4, 5};\n"
                      ".global .f64 pair[2][3];\n"
                      ".const .u32 first = 1, second = 0x2U;\n"
                      ".global .attribute(.managed) .v2 .u64 wide;\n"
                      ".extern .global .u32 elsewhere;\n"
                      ".global .u64 table[2] = {generic(list), 0};\n",
                      &recorder),
            ImageStatus::kOk);
  EXPECT_THAT(recorder.globals,
              ElementsAre(Pair("first", 4), Pair("list", 5), Pair("pair", 48), Pair("second", 4),
                          Pair("table", 16), Pair("wide", 16)));
}

TEST(PtxTest, SharedMemoryIsThatOfTheBodyAndWhatItNames) {
  Recorder recorder;
  ASSERT_EQ(ParseBody(".shared .align 4 .b8 common_block[100];\n"
                      ".shared .b32 other;\n"
                      ".extern .shared .align 16 .b8 dynamic[];\n"
                      ".entry Uses() { .shared .align 8 .b8 own[12]; mov.u32 %r1, common_block;\n"
                      "  mov.u32 %r2, common_block; mov.u32 %r3, dynamic; ret; }\n"
                      ".entry Free() { ret; }",
                      &recorder),
            ImageStatus::kOk);
  EXPECT_EQ(recorder.kernels.at("Uses").shared_bytes, 112U);
  EXPECT_EQ(recorder.kernels.at("Free").shared_bytes, 0U);
}

TEST(PtxTest, CommentsDebugLinesAndFunctionsAreNoKernels) {
  Recorder recorder;
  ASSERT_EQ(ParseBody("/* .entry Ghost() { */\n"
                      ".file 1 \"a{b.cu\"\n"
                      ".func (.param .b32 out) Helper(.param .b32 in) { { ret; } }\n"
                      ".extern .func Print(.param .b64 text);\n"
                      ".entry Declared(.param .u64 a);\n"
                      ".entry Real() { // }\n .loc 1 2 3, function_name $L1, inlined_at 1 2 3\n"
                      "$L2: bra $L2; }\n"
                      ".section .debug_str { $L1: .b8 1, 2 }\n",
                      &recorder),
            ImageStatus::kOk);
  EXPECT_THAT(recorder.kernels, ElementsAre(Pair("Real", testing::_)));
}

TEST(PtxTest, MoreInstructionsTakeMoreMemory) {
  Recorder small;
  Recorder large;
  std::string body;
  for (int i = 0; i < 1000; ++i) body += "add.u32 %r1, %r1, 1;\n";
  ASSERT_EQ(ParseBody(".entry K() { ret; }", &small), ImageStatus::kOk);
  ASSERT_EQ(ParseBody(".entry K() {" + body + " ret; }", &large), ImageStatus::kOk);
  EXPECT_EQ(large.device_bytes - small.device_bytes, 16128U - 256U);
}

class BrokenPtx : public testing::TestWithParam<const char*> {};

TEST_P(BrokenPtx, IsInvalidAndCallsNobody) {
  Recorder recorder;
  EXPECT_EQ(ParseBody(std::string(".entry Good() { ret; }\n") + GetParam(), &recorder),
            ImageStatus::kInvalidPtx);
  EXPECT_TRUE(recorder.kernels.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Texts, BrokenPtx,
    testing::Values(".entry", ".entry K(", ".entry K(.param .u64 a { ret; }", ".entry K() { ret;",
                    ".entry K(.param .u64) { ret; }", ".entry K(.param .what a) { ret; }",
                    ".entry K(.param .align 3 .b8 a[4]) { ret; }", "int main() {}",
                    ".entry K() .maxntid 2048 { ret; }", ".global .u32 x", ".global .u32 x[;",
                    ".global .u32 x[99999999999999999999];", "/* open", ".file 1 \"open\nx", "}",
                    ".entry K(.param .b8 a[40000]) { ret; }", ".global .u32 x = };"));

TEST(PtxTest, HeaderIsRequired) {
  Recorder recorder;
  EXPECT_EQ(Parse(".target sm_80\n", &recorder), ImageStatus::kInvalidImage);
  EXPECT_EQ(Parse(".version 7.0\n.entry K() { ret; }", &recorder), ImageStatus::kInvalidPtx);
  EXPECT_EQ(Parse(".version 7\n.target sm_80\n", &recorder), ImageStatus::kInvalidPtx);
  EXPECT_EQ(Parse(".version 7.0\n.target sm_80\n.address_size 32\n", &recorder),
            ImageStatus::kInvalidPtx);
  EXPECT_EQ(Parse(".version 7.0 .target sm_80, debug .entry K() { ret; }", &recorder),
            ImageStatus::kOk);
}

}  // namespace
}  // namespace hami::simgpu
