// SPDX-License-Identifier: Apache-2.0

#include "dra/slice_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace hami::dra {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string PolicyOf(const std::string& parameters) {
  const Result<SliceConfig> config = ParseSliceConfig(parameters);
  EXPECT_TRUE(config) << config.error().message;
  return config ? config->core_policy : "";
}

std::string RefusalOf(const std::string& parameters) {
  const Result<SliceConfig> config = ParseSliceConfig(parameters);
  EXPECT_FALSE(config) << parameters;
  if (config) return "";
  EXPECT_EQ(config.error().code, Code::kInvalidArgument) << parameters;
  return config.error().message;
}

TEST(SliceConfigTest, EveryPolicyIsTaken) {
  for (const std::string policy : {"default", "force", "disable", "burst"}) {
    EXPECT_EQ(PolicyOf(R"({"apiVersion":"hami.io/v1","kind":"SliceConfig","corePolicy":")" +
                       policy + "\"}"),
              policy);
  }
  EXPECT_EQ(PolicyOf(R"({"kind":"SliceConfig","apiVersion":"hami.io/v1"})"), "default");
}

TEST(SliceConfigTest, AnUnknownKindIsToldWhatThereIs) {
  // NVIDIA's, which HAMi's driver reads.
  EXPECT_THAT(RefusalOf(R"({"apiVersion":"resource.nvidia.com/v1beta1","kind":"GpuConfig"})"),
              AllOf(HasSubstr("\"GpuConfig\" resource.nvidia.com/v1beta1"),
                    HasSubstr("kind SliceConfig of hami.io/v1")));
  for (const std::string parameters :
       {R"({"apiVersion":"hami.io/v2","kind":"SliceConfig"})", R"({"kind":"SliceConfig"})",
        R"({"apiVersion":"hami.io/v1"})", R"({"apiVersion":"hami.io/v1","kind":["SliceConfig"]})",
        "{}", "[]", "null", "3"}) {
    EXPECT_THAT(RefusalOf(parameters), HasSubstr("kind SliceConfig of hami.io/v1")) << parameters;
  }
}

TEST(SliceConfigTest, AnUnknownFieldIsToldWhatThereIs) {
  EXPECT_THAT(RefusalOf(R"({"apiVersion":"hami.io/v1","kind":"SliceConfig","corepolicy":"force"})"),
              AllOf(HasSubstr("no field \"corepolicy\""), HasSubstr("there is corePolicy")));
}

TEST(SliceConfigTest, AnUnknownPolicyIsToldWhatThereIs) {
  for (const std::string policy :
       {"\"Force\"", "\"Burst\"", "\"\"", "1", "null", "[\"force\"]", "{}"}) {
    EXPECT_THAT(
        RefusalOf(R"({"apiVersion":"hami.io/v1","kind":"SliceConfig","corePolicy":)" + policy +
                  "}"),
        AllOf(HasSubstr("corePolicy " + policy), HasSubstr("default, force, disable or burst")));
  }
}

TEST(SliceConfigTest, WhatIsNoJsonIsRefused) {
  for (const std::string parameters : {"", "{", "corePolicy: force"}) RefusalOf(parameters);
}

}  // namespace
}  // namespace hami::dra
