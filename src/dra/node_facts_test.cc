// SPDX-License-Identifier: Apache-2.0

#include "dra/node_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace hami::dra {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

NodeFacts Read(const std::string& text) {
  json::Document document;
  EXPECT_TRUE(document.Parse(text));
  const Result<NodeFacts> facts = ReadNodeFacts(document.root());
  EXPECT_TRUE(facts);
  return facts ? *facts : NodeFacts();
}

TEST(NodeFactsTest, ReadsWhatTheDriverWantsToKnow) {
  const NodeFacts facts = Read(R"({
    "metadata": {"name": "ecs-a10-sh", "uid": "n1", "labels": {"gpu": "on", "zone": "b"}},
    "status": {"nodeInfo": {"containerRuntimeVersion": "containerd://2.1.9"}}})");
  EXPECT_EQ(facts.key.name, "ecs-a10-sh");
  EXPECT_EQ(facts.key.name_space, "");
  EXPECT_EQ(facts.uid, "n1");
  EXPECT_TRUE(facts.wants_gpus);
  EXPECT_EQ(facts.runtime_version, "containerd://2.1.9");
}

TEST(NodeFactsTest, OnlyTheLabelsOwnValueAsksForGpus) {
  for (const std::string labels : {"{}", R"({"gpu": "off"})", R"({"gpu": ""})", R"({"gpu": "ON"})",
                                   R"({"gpu": true})", R"({"GPU": "on"})", "null"}) {
    EXPECT_FALSE(Read(R"({"metadata": {"labels": )" + labels + "}}").wants_gpus) << labels;
  }
  EXPECT_FALSE(Read("{}").wants_gpus);
}

TEST(CheckRuntimeTest, WhatPassesCdiDevicesOnIsTaken) {
  for (const std::string version :
       {"containerd://1.7.0", "containerd://1.7.27", "containerd://1.10.0",
        "containerd://2.0.0-rc.1", "containerd://2.1.9", "containerd://1.7.20-k3s1",
        "cri-o://1.23.0", "cri-o://1.34.2", "docker://28.2.0", "docker://29.0", "containerd://2"}) {
    const Status checked = CheckRuntime(version);
    EXPECT_TRUE(checked) << version << ": " << checked.error().message;
  }
}

TEST(CheckRuntimeTest, WhatDropsThemIsRefusedWithAdvice) {
  const auto refusal = [](const std::string& version) {
    const Status checked = CheckRuntime(version);
    EXPECT_FALSE(checked) << version;
    if (checked) return std::string();
    EXPECT_EQ(checked.error().code, Code::kFailedPrecondition);
    EXPECT_THAT(checked.error().message, HasSubstr(version));
    return checked.error().message;
  };
  EXPECT_THAT(refusal("containerd://1.6.36"), AllOf(HasSubstr("1.7"), HasSubstr("enable_cdi")));
  EXPECT_THAT(refusal("containerd://1"), HasSubstr("containerd to 1.7"));
  EXPECT_THAT(refusal("cri-o://1.22.5"), HasSubstr("CRI-O to 1.23"));
  EXPECT_THAT(refusal("docker://28.1.1"), HasSubstr("Docker to 28.2"));
  EXPECT_THAT(refusal("docker://9.9"), HasSubstr("Docker to 28.2"));
}

TEST(CheckRuntimeTest, WhatWeDoNotKnowIsBelieved) {
  for (const std::string version :
       {"", "containerd", "podman://1.0.0", "containerd://", "containerd://dev",
        "containerd://v2.1.0", "CONTAINERD://1.6.0"}) {
    EXPECT_TRUE(CheckRuntime(version)) << version;
  }
}

}  // namespace
}  // namespace hami::dra
