// SPDX-License-Identifier: Apache-2.0
//
// What protobuf says is what JSON says.

#include "domain/protobuf_objects.h"

#include <gtest/gtest.h>

#include <string>

#include "base/file.h"
#include "domain/fake_objects.h"
#include "protobuf/fake_writer.h"
#include "protobuf/reader.h"

namespace hami::domain {
namespace {

using protobuf::FakeWriter;

constexpr int kRounds = 2'000;

Pod FromJson(const nlohmann::json& object) {
  json::Document document;
  EXPECT_TRUE(document.Parse(object.dump()));
  return ReadPod(document.root()).value();
}

// What an API server 1.36 answered to the same question in both forms (tests/golden/objects);
// tests/cluster/test_kube_protobuf.py asks the real one.
std::string Recorded(const std::string& name) {
  return base::ReadFile(std::string(HAMI_GOLDEN_FOLDER "/") + name, 1 << 20).value();
}

// The message of a recorded envelope: "k8s", a zero byte, and field 2 of the rest.
std::string RecordedMessage(const std::string& name) {
  const std::string text = Recorded(name);
  protobuf::Reader fields(std::string_view(text).substr(4));
  std::string message;
  while (fields.Next()) {
    if (fields.number() == 2) message = fields.Text();
  }
  return message;
}

TEST(RecordedTest, ThePodIsTheSame) {
  json::Document document;
  ASSERT_TRUE(document.Parse(Recorded("pod.json")));
  const Pod expected = ReadPod(document.root()).value();
  const auto pod = ReadPodProtobuf(RecordedMessage("pod.protobuf"));
  ASSERT_TRUE(pod) << pod.error().message;
  EXPECT_EQ(*pod, expected);
  EXPECT_EQ(pod->Text(), "team-a/large");
  ASSERT_EQ(pod->containers.size(), 4U);
  EXPECT_EQ(pod->containers[1].kind, ContainerKind::kSidecar);
  EXPECT_EQ(pod->containers[3].limits.at("nvidia.com/gpucores"), "30");
  EXPECT_TRUE(pod->containers[3].privileged);
  EXPECT_TRUE(pod->gated);
  EXPECT_TRUE(pod->init_done);
  EXPECT_GT(pod->created_s, 1'700'000'000);
}

TEST(RecordedTest, TheNodeIsTheSame) {
  json::Document document;
  ASSERT_TRUE(document.Parse(Recorded("node.json")));
  const auto node = ReadNodeProtobuf(RecordedMessage("node.protobuf"));
  ASSERT_TRUE(node) << node.error().message;
  EXPECT_EQ(*node, ReadNode(document.root()).value());
  EXPECT_EQ(node->allocatable.at("cpu"), "63500m");
  EXPECT_TRUE(node->unschedulable);
  EXPECT_TRUE(node->ready);
}

TEST(ProtobufPodTest, IsThePodOfTheJson) {
  const auto pod = ReadPodProtobuf(PodMessage(FakePod()));
  ASSERT_TRUE(pod) << pod.error().message;
  EXPECT_EQ(*pod, FromJson(FakePod()));
  EXPECT_NE(*pod, Pod{});
}

TEST(ProtobufPodTest, AnyPodIsThePodOfItsJson) {
  std::mt19937 random(6);
  for (int round = 0; round < kRounds; ++round) {
    const nlohmann::json object = RandomPod(&random);
    const auto pod = ReadPodProtobuf(PodMessage(object));
    ASSERT_TRUE(pod) << pod.error().message << object;
    ASSERT_EQ(*pod, FromJson(object)) << object;
  }
}

TEST(ProtobufNodeTest, AnyNodeIsTheNodeOfItsJson) {
  std::mt19937 random(6);
  for (int round = 0; round < kRounds; ++round) {
    const nlohmann::json object = round == 0 ? FakeNode() : RandomNode(&random);
    json::Document document;
    ASSERT_TRUE(document.Parse(object.dump()));
    const auto expected = ReadNode(document.root());
    const auto node = ReadNodeProtobuf(NodeMessage(object));
    ASSERT_EQ(node.has_value(), expected.has_value()) << object;
    if (node) {
      ASSERT_EQ(*node, *expected) << object;
    }
  }
}

// A message in two pieces is their sum: that is how protobuf merges.
TEST(ProtobufPodTest, PiecesOfAMessageAdd) {
  const std::string spec = FakeWriter().Text(10, "node-1").bytes();
  const std::string more = FakeWriter().Text(19, "hami-scheduler").bytes();
  const auto pod = ReadPodProtobuf(FakeWriter().Text(2, spec).Text(2, more).bytes());
  ASSERT_TRUE(pod);
  EXPECT_EQ(pod->node_name, "node-1");
  EXPECT_EQ(pod->scheduler_name, "hami-scheduler");
}

TEST(ProtobufPodTest, AFieldOfAnotherTypeIsRefused) {
  const std::string name_is_number =
      FakeWriter().Text(1, FakeWriter().Number(1, 5).bytes()).Text(2, "").bytes();
  EXPECT_EQ(ReadPodProtobuf(name_is_number).error().code, Code::kInvalidArgument);
  EXPECT_FALSE(ReadPodProtobuf(FakeWriter().Number(2, 5).bytes()));
  EXPECT_FALSE(ReadPodProtobuf(FakeWriter().Text(1, "").bytes()));   // no spec
  EXPECT_FALSE(ReadNodeProtobuf(FakeWriter().Text(1, "").bytes()));  // no name
}

TEST(ProtobufPodTest, NoCutOrFlippedByteHurts) {
  std::mt19937 random(6);
  const std::string pod = PodMessage(FakePod());
  const std::string node = NodeMessage(FakeNode());
  int refused = 0;
  for (size_t size = 0; size < pod.size(); ++size) {
    refused += ReadPodProtobuf(std::string_view(pod).substr(0, size)) ? 0 : 1;
  }
  // Only the ends of the three parts are ends of a message.
  EXPECT_EQ(refused, static_cast<int>(pod.size()) - 1);
  for (int round = 0; round < kRounds; ++round) {
    std::string broken = round % 2 == 0 ? pod : node;
    for (int i = 0; i < 3; ++i) broken[random() % broken.size()] = static_cast<char>(random());
    (void)ReadPodProtobuf(broken);
    (void)ReadNodeProtobuf(broken);
  }
}

}  // namespace
}  // namespace hami::domain
