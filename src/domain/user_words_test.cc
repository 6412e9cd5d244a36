// SPDX-License-Identifier: Apache-2.0
//
// The small texts: lists of names, weights, Go's flags, ids, scores of pairs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "domain/allocation_id.h"
#include "domain/go_bool.h"
#include "domain/name_list.h"
#include "domain/pair_scores.h"
#include "domain/scoring_weights.h"

namespace hami::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

using Names = std::vector<std::string>;

TEST(NameListTest, SpacesAndEmptyItemsAreDropped) {
  EXPECT_THAT(ParseNameList("GPU-a,GPU-b"), ElementsAre("GPU-a", "GPU-b"));
  EXPECT_THAT(ParseNameList(" GPU-a ,, \tGPU-b,"), ElementsAre("GPU-a", "GPU-b"));
  EXPECT_THAT(ParseNameList(""), IsEmpty());
  EXPECT_THAT(ParseNameList(" , ,"), IsEmpty());
}

TEST(NameListTest, TypesMatchInPartAndInAnyCase) {
  EXPECT_TRUE(TypeMatches(Names{"a100", "H100"}, {}, "NVIDIA A100-SXM4-80GB"));
  EXPECT_FALSE(TypeMatches(Names{"A100", "H100"}, {}, "Tesla V100"));
  EXPECT_TRUE(TypeMatches({}, {}, "Tesla V100"));
  EXPECT_FALSE(TypeMatches({}, Names{"1080", "v100"}, "Tesla V100"));
  EXPECT_FALSE(TypeMatches(Names{"V100"}, Names{"Tesla"}, "Tesla V100"));
  EXPECT_FALSE(TypeMatches(Names{"V100"}, {}, ""));
}

TEST(NameListTest, IdsMatchExactly) {
  EXPECT_TRUE(IdMatches(Names{"GPU-a", "GPU-b"}, {}, "GPU-b"));
  EXPECT_FALSE(IdMatches(Names{"GPU-a"}, {}, "GPU-A"));
  EXPECT_FALSE(IdMatches(Names{"GPU-a"}, {}, "GPU-aa"));
  EXPECT_TRUE(IdMatches({}, Names{"GPU-a"}, "GPU-b"));
  EXPECT_FALSE(IdMatches({}, Names{"GPU-a"}, "GPU-a"));
}

TEST(NameListTest, TheContractsRows) {
  EXPECT_TRUE(IdMatches(ParseNameList("GPU-a , GPU-b"), {}, "GPU-b"));
  EXPECT_TRUE(IdMatches(ParseNameList(""), {}, "GPU-b"));
  EXPECT_TRUE(IdMatches(ParseNameList("  "), {}, "GPU-b"));
  EXPECT_FALSE(IdMatches(ParseNameList("GPU-b"), ParseNameList("GPU-b"), "GPU-b"));
  EXPECT_TRUE(TypeMatches(ParseNameList("a100"), {}, "NVIDIA A100-SXM4"));
  EXPECT_FALSE(TypeMatches({}, ParseNameList(",v100"), "NVIDIA V100"));
  EXPECT_TRUE(TypeMatches({}, ParseNameList(",v100"), "NVIDIA A100"));
  EXPECT_TRUE(TypeMatches(ParseNameList("A10,"), {}, "NVIDIA A100"));  // a part is enough
}

TEST(ScoringWeightsTest, TheContractsExample) {
  EXPECT_EQ(ParseScoringWeights("slot=1,core=1,memory=3").value(), (ScoringWeights{1, 1, 3}));
  EXPECT_EQ(ParseScoringWeights(" memory = 3 , slot=0,core= 0 ").value(),
            (ScoringWeights{0, 0, 3}));
}

TEST(ScoringWeightsTest, AnythingElseIsRefusedWithASentence) {
  for (const char* text :
       {"", "slot=1", "slot=1,core=1", "slot=1,core=1,memory=1,", "slot=1,core=1,core=1",
        "slot=1,core=1,memory=1,slot=1", "slot=-1,core=1,memory=1", "slot=0,core=0,memory=0",
        "slot=1.5,core=1,memory=1", "slot=1,core=1,mem=1", "Slot=1,core=1,memory=1",
        "slot=1,core=1,memory", "slot=1,core=1,memory=", "slot=1,core=1,memory=2147483648",
        "slot=1;core=1;memory=1"}) {
    const auto weights = ParseScoringWeights(text);
    ASSERT_FALSE(weights) << text;
    EXPECT_EQ(weights.error().code, Code::kInvalidArgument);
    EXPECT_THAT(weights.error().message, HasSubstr("slot=1,core=1,memory=1"));
  }
}

TEST(GoBoolTest, WhatGoReads) {
  for (const char* text : {"1", "t", "T", "TRUE", "true", "True"}) {
    EXPECT_EQ(ParseGoBool(text), true) << text;
  }
  for (const char* text : {"0", "f", "F", "FALSE", "false", "False"}) {
    EXPECT_EQ(ParseGoBool(text), false) << text;
  }
  for (const char* text : {"", "yes", "on", "tRUE", " true", "true ", "2"}) {
    EXPECT_EQ(ParseGoBool(text), std::nullopt) << text;
  }
}

TEST(AllocationIdTest, ThereAndBack) {
  EXPECT_EQ(FormatAllocationId(0x0123456789abcdef), "v1,0123456789abcdef");
  EXPECT_EQ(FormatAllocationId(0), "v1,0000000000000000");
  std::mt19937_64 random(6);
  for (int i = 0; i < 1'000; ++i) {
    const uint64_t id = random();
    EXPECT_EQ(ParseAllocationId(FormatAllocationId(id)), id);
  }
  for (const char* text : {"", "v1,", "v2,0123456789abcdef", "v1,0123456789ABCDEF",
                           "v1,0123456789abcde", "v1,0123456789abcdef0", "v1 0123456789abcdef"}) {
    EXPECT_EQ(ParseAllocationId(text), std::nullopt) << text;
  }
}

TEST(PairScoresTest, TheContractsExample) {
  const char* text = R"([{"uuid":"GPU-a","score":{"GPU-b":200,"GPU-c":10}},)"
                     R"({"uuid":"GPU-b","score":{"GPU-a":200}}])";
  const auto scores = ParsePairScores(text);
  ASSERT_TRUE(scores) << scores.error().message;
  EXPECT_THAT(*scores,
              ElementsAre(Pair("GPU-a", ElementsAre(Pair("GPU-b", 200), Pair("GPU-c", 10))),
                          Pair("GPU-b", ElementsAre(Pair("GPU-a", 200)))));
  EXPECT_EQ(FormatPairScores(*scores), text);
}

TEST(PairScoresTest, AnythingElseIsRefused) {
  EXPECT_TRUE(ParsePairScores(R"([{"uuid":"GPU-a"},{"uuid":"GPU-b","score":null}])"));
  for (const char* text :
       {"", "{}", "[5]", R"([{"score":{}}])", R"([{"uuid":"","score":{}}])",
        R"([{"uuid":"a","score":[]}])", R"([{"uuid":"a","score":{"b":"1"}}])",
        R"([{"uuid":"a","score":{"b":3000000000}}])", R"([{"uuid":"a","score":{"b":null}}])"}) {
    EXPECT_FALSE(ParsePairScores(text)) << text;
  }
}

}  // namespace
}  // namespace hami::domain
