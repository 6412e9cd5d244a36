// SPDX-License-Identifier: Apache-2.0

#include "extender/pod_record.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/file.h"
#include "domain/fake_objects.h"
#include "domain/names.h"
#include "kube/protobuf_object.h"

namespace hami::extender {
namespace {

constexpr int kRounds = 500;

// Everything that an entry has, as a text.
std::string TextOf(const PodEntry& entry) {
  const placement::PodFacts& facts = entry.facts;
  nlohmann::json all = {
      {"key", entry.key.Text()},
      {"flags", {entry.bound, entry.over, entry.terminating, facts.init_done}},
      {"decided", entry.decided_s},
      {"labels", entry.labels},
      {"problem", entry.problem},
      {"pod", {facts.uid, facts.namespace_name, facts.name, facts.node}},
      {"scopes",
       {facts.traits.has_deadline, facts.traits.is_best_effort, facts.traits.priority_class}},
      {"numbers", {facts.priority, facts.cpu_milli, facts.memory_bytes}}};
  for (const domain::ContainerKind kind : facts.kinds) all["kinds"].push_back(kind);
  for (const domain::Slice& slice : facts.slices) {
    nlohmann::json text = {slice.container,  slice.vendor, slice.device,
                           slice.memory_mib, slice.cores,  slice.shape};
    if (slice.mig) {
      text.push_back({slice.mig->profile, slice.mig->start, slice.mig->size, slice.mig->mig_uuid,
                      slice.mig->gpu_instance, slice.mig->compute_instance});
    }
    all["slices"].push_back(text);
  }
  return all.dump(1);
}

PodEntry FullEntry() {
  PodEntry entry;
  entry.key = {"team-a", "train-0"};
  entry.facts.uid = "6b5a1f6e-0000-4000-8000-000000000001";
  entry.facts.namespace_name = "team-a";
  entry.facts.name = "train-0";
  entry.facts.node = "node-1";
  entry.facts.kinds = {domain::ContainerKind::kInit, domain::ContainerKind::kSidecar,
                       domain::ContainerKind::kApp};
  entry.facts.init_done = true;
  entry.facts.priority = -7;
  entry.facts.cpu_milli = 63'500;
  entry.facts.memory_bytes = int64_t{1} << 40;
  entry.facts.traits = {.has_deadline = true, .is_best_effort = false, .priority_class = "batch"};
  entry.facts.slices = {{.container = 2,
                         .vendor = "NVIDIA",
                         .device = "GPU-a",
                         .memory_mib = 10'000,
                         .cores = 30,
                         .shape = ""},
                        {.container = 2,
                         .vendor = "NVIDIA",
                         .device = "GPU-b",
                         .memory_mib = -1,
                         .cores = 0,
                         .mig = domain::MigPlacement{.profile = "2g.10gb",
                                                     .start = 2,
                                                     .size = 2,
                                                     .mig_uuid = "MIG-x",
                                                     .gpu_instance = -1,
                                                     .compute_instance = 5},
                         .shape = "2g.10gb"}};
  entry.bound = true;
  entry.terminating = true;
  entry.decided_s = 1'700'000'000;
  entry.labels = {{"app", "train"}, {"empty", ""}};
  return entry;
}

TEST(PodRecordTest, NothingOfAnEntryIsLost) {
  const PodEntry entry = FullEntry();
  const PodRecord record(entry);
  EXPECT_EQ(TextOf(record.Unpack()), TextOf(entry));
  EXPECT_EQ(record.uid(), entry.facts.uid);
  EXPECT_EQ(record.name_space(), "team-a");
  EXPECT_EQ(record.name(), "train-0");
  EXPECT_EQ(record.node(), "node-1");
  EXPECT_TRUE(record.bound());
  EXPECT_FALSE(record.over());
  EXPECT_TRUE(record.holds_devices());
  EXPECT_FALSE(record.has_problem());
  EXPECT_EQ(record.decided_s(), 1'700'000'000);
}

TEST(PodRecordTest, EdgesOfNumbersAndAProblemComeBack) {
  PodEntry entry = FullEntry();
  entry.facts.priority = INT32_MIN;
  entry.facts.cpu_milli = INT64_MAX;
  entry.facts.memory_bytes = INT64_MIN;
  entry.facts.slices[0].memory_mib = INT32_MAX;
  entry.facts.slices[0].cores = INT32_MIN;
  entry.facts.slices[0].device = std::string(70'000, 'x');
  entry.problem = "forged";
  const PodRecord record(entry);
  EXPECT_EQ(TextOf(record.Unpack()), TextOf(entry));
  EXPECT_TRUE(record.has_problem());
  EXPECT_EQ(TextOf(PodRecord(PodEntry()).Unpack()), TextOf(PodEntry()));
}

TEST(PodRecordTest, HoldingAlikeIsWhatIsHeldAndWhere) {
  const PodRecord record(FullEntry());
  PodEntry other = FullEntry();
  other.labels["more"] = "label";
  other.facts.priority = 5;
  EXPECT_TRUE(record.HoldsLike(PodRecord(other)));
  EXPECT_FALSE(record == PodRecord(other));
  EXPECT_TRUE(record == PodRecord(FullEntry()));
  const auto differs = [&record](auto change) {
    PodEntry changed = FullEntry();
    change(&changed);
    return !record.HoldsLike(PodRecord(changed));
  };
  EXPECT_TRUE(differs([](PodEntry* pod) { pod->facts.node = "node-2"; }));
  EXPECT_TRUE(differs([](PodEntry* pod) { pod->bound = false; }));
  EXPECT_TRUE(differs([](PodEntry* pod) { pod->over = true; }));
  EXPECT_TRUE(differs([](PodEntry* pod) { pod->facts.init_done = false; }));
  EXPECT_TRUE(differs([](PodEntry* pod) { pod->facts.slices[1].mig->start = 0; }));
  EXPECT_TRUE(differs([](PodEntry* pod) { pod->facts.slices.pop_back(); }));
}

// What is kept is small: the reason for all this (design decision "numbers", 3 KB a cached pod).
TEST(PodRecordTest, AnOrdinaryPodHasAFewHundredBytes) {
  PodEntry entry = FullEntry();
  entry.facts.slices.pop_back();
  EXPECT_LE(sizeof(PodRecord) + PodRecord(entry).bytes(), 256U);
}

// --- JSON and protobuf say the same ---

class FormsTest : public ::testing::Test {
 protected:
  static std::string Recorded(const std::string& name) {
    return base::ReadFile(std::string(HAMI_GOLDEN_FOLDER "/") + name, 1 << 20).value();
  }
  static std::string RecordedMessage(const std::string& name) {
    const std::string text = Recorded(name);
    return std::string(kube::OpenEnvelope(text).value().message);
  }
  void ExpectTheSamePod(const std::string& text, const std::string& message) {
    json::Document document;
    ASSERT_TRUE(document.Parse(text));
    const auto expected = ReadPodRecord(registry_, document.root());
    const auto record = ReadPodRecord(registry_, message);
    ASSERT_EQ(record.has_value(), expected.has_value()) << text;
    if (!record) return;
    ASSERT_EQ(TextOf(record->Unpack()), TextOf(expected->Unpack())) << text;
    ASSERT_TRUE(*record == *expected) << text;
  }
  void ExpectTheSameNode(const std::string& text, const std::string& message) {
    json::Document document;
    ASSERT_TRUE(document.Parse(text));
    const auto expected = ReadNodeEntry(registry_, document.root());
    const auto node = ReadNodeEntry(registry_, std::string_view(message));
    ASSERT_EQ(node.has_value(), expected.has_value()) << text;
    if (!node) return;
    ASSERT_EQ(node->key, expected->key);
    ASSERT_EQ(node->takes_binding, expected->takes_binding);
    ASSERT_EQ(node->taints, expected->taints);
    ASSERT_EQ(node->problems, expected->problems);
    ASSERT_EQ(node->facts.labels, expected->facts.labels);
    ASSERT_EQ(node->facts.annotations, expected->facts.annotations);
    ASSERT_EQ(node->facts.cpu_milli, expected->facts.cpu_milli);
    ASSERT_EQ(node->facts.memory_bytes, expected->facts.memory_bytes);
    ASSERT_EQ(node->facts.devices.size(), expected->facts.devices.size());
    for (size_t i = 0; i < node->facts.devices.size(); ++i) {
      ASSERT_EQ(node->facts.devices[i].id, expected->facts.devices[i].id);
      ASSERT_EQ(node->facts.devices[i].memory_mib, expected->facts.devices[i].memory_mib);
    }
  }

  const vendor::Registry registry_ = vendor::Registry::Default();
};

TEST_F(FormsTest, RecordedObjectsAreTheSameEntries) {
  ExpectTheSamePod(Recorded("pod.json"), RecordedMessage("pod.protobuf"));
  ExpectTheSameNode(Recorded("node.json"), RecordedMessage("node.protobuf"));
}

TEST_F(FormsTest, AnyObjectIsTheSameEntry) {
  std::mt19937 random(9);
  size_t holders = 0;
  for (int round = 0; round < kRounds; ++round) {
    nlohmann::json pod = domain::RandomPod(&random);
    if (round % 2 == 0) {
      nlohmann::json& annotations = pod["metadata"]["annotations"];
      if (!annotations.is_object()) annotations = nlohmann::json::object();
      annotations[std::string(domain::kVgpuNode)] = "node-1";
      annotations["hami.io/vgpu-devices-allocated"] = ";GPU-a,NVIDIA,2000,10:;";
      annotations[std::string(domain::kVgpuTime)] = "1700000000";
    }
    ExpectTheSamePod(pod.dump(), domain::PodMessage(pod));
    json::Document document;
    ASSERT_TRUE(document.Parse(pod.dump()));
    const auto record = ReadPodRecord(registry_, document.root());
    holders += record && record->holds_devices() ? 1 : 0;
    nlohmann::json node = domain::RandomNode(&random);
    node["metadata"]["annotations"][std::string(domain::kNodeNvidiaRegister)] =
        R"([{"id":"GPU-a","count":10,"devmem":8192,"devcore":100,"type":"NVIDIA-A10",)"
        R"("health":true}])";
    ExpectTheSameNode(node.dump(), domain::NodeMessage(node));
  }
  EXPECT_GT(holders, 10U) << "the annotations are read";
}

}  // namespace
}  // namespace hami::extender
