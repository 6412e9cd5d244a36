// SPDX-License-Identifier: Apache-2.0
//
// Every entry of the table, against what is written down for it in tests/golden/vendors: a node as
// the API server shows it, what containers ask, what admission does, what stands on a pod. And what
// holds for all of them, whoever they are. A new entry needs a file there and nothing here.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "domain/names.h"
#include "domain/pod_devices.h"
#include "json/value.h"
#include "vendor/registry.h"
#include "vendor/selectors.h"

namespace hami::vendor {
namespace {

using Texts = std::map<std::string, std::string>;

constexpr int64_t kNowNs = 1'705'054'796'000'000'001;

Texts ReadTexts(const json::Value& object) {
  Texts texts;
  for (const auto& [name, value] : object.Members()) texts[std::string(name)] = value.Text();
  return texts;
}

std::string Describe(const Request& request) {
  std::string text = fmt::format("count={} memory={} pct={} cores={}", request.count,
                                 request.memory_mib, request.memory_pct, request.cores);
  if (request.across_devices) text += " across";
  if (request.shape.slots != 1) text += fmt::format(" slots={}", request.shape.slots);
  if (!request.shape.name.empty()) text += " shape=" + request.shape.name;
  return text;
}

std::string Describe(const Device& device) {
  std::string text = fmt::format("{} index={} slots={} memory={} cores={} numa={} type={}",
                                 device.id, device.index, device.slots, device.memory_mib,
                                 device.cores, device.numa, device.type);
  if (!device.mode.empty()) text += " mode=" + device.mode;
  if (device.group >= 0) text += fmt::format(" group={}", device.group);
  if (!device.healthy) text += " unhealthy";
  return text;
}

class VendorTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const auto text = base::ReadFile(std::string(HAMI_GOLDEN_FOLDER) + "/" + GetParam() + ".json",
                                     size_t{1} << 20);
    ASSERT_TRUE(text) << text.error().message;
    const Status parsed = document_.Parse(*text);
    ASSERT_TRUE(parsed) << parsed.error().message;
    spec_ = registry_.Find(GetParam());
    ASSERT_NE(spec_, nullptr);
    while (&registry_.at(id_) != spec_) ++id_;
  }

  json::Value root() const { return document_.root(); }

  // A pod of one container "train".
  static domain::Pod PodOf(Texts limits, Texts annotations = {}, Texts requests = {}) {
    domain::Pod pod;
    pod.namespace_name = "default";
    pod.name = "train";
    pod.annotations = std::move(annotations);
    domain::PodContainer& container = pod.containers.emplace_back();
    container.name = "train";
    container.limits = std::move(limits);
    container.requests = std::move(requests);
    return pod;
  }

  static domain::Pod PodOfSample(const json::Value& sample) {
    return PodOf(ReadTexts(sample["limits"]), ReadTexts(sample["annotations"]),
                 ReadTexts(sample["requests"]));
  }

  // The sample that names most resources: what a container of this vendor looks like.
  domain::Pod Sample() const {
    domain::Pod most = PodOf(Texts());
    for (const json::Value sample : root()["asks"].Elements()) {
      const domain::Pod pod = PodOfSample(sample);
      const bool asks = sample["wants"].Text("nothing") != "nothing";
      if (asks && pod.containers[0].limits.size() > most.containers[0].limits.size()) most = pod;
    }
    return most;
  }

  std::vector<Request> Requests(const domain::Pod& pod) const {
    const auto requests = registry_.RequestsOf(pod);
    EXPECT_TRUE(requests) << requests.error().message;
    return requests ? (*requests)[0] : std::vector<Request>();
  }

  domain::Node Node() const {
    auto node = domain::ReadNode(root()["node"]);
    EXPECT_TRUE(node);
    return node ? *node : domain::Node();
  }
  domain::Pod DecidedPod() const {
    auto pod = domain::ReadPod(root()["decision"]["pod"]);
    EXPECT_TRUE(pod);
    return pod ? *pod : domain::Pod();
  }
  domain::Allocation Decision() const {
    domain::Allocation allocation;
    allocation.node = Node().name;
    for (const json::Value item : root()["decision"]["slices"].Elements()) {
      domain::Slice& slice = allocation.slices.emplace_back();
      slice.container = static_cast<uint16_t>(item["container"].Int());
      slice.vendor = spec_->common_word;
      slice.device = item["device"].Text();
      slice.memory_mib = static_cast<int32_t>(item["memory_mib"].Int());
      slice.cores = static_cast<int32_t>(item["cores"].Int());
      slice.shape = item["shape"].Text();
    }
    return allocation;
  }

  const Registry registry_ = Registry::Default();
  json::Document document_;
  const Spec* spec_ = nullptr;
  VendorId id_ = 0;
};

TEST_P(VendorTest, ReadsWhatContainersAsk) {
  ASSERT_GT(root()["asks"].size(), 0U);
  for (const json::Value sample : root()["asks"].Elements()) {
    SCOPED_TRACE(sample.Json());
    const auto requests = registry_.RequestsOf(PodOfSample(sample));
    if (sample["refused"].exists()) {
      ASSERT_FALSE(requests);
      EXPECT_EQ(requests.error().code, Code::kInvalidArgument);
      EXPECT_NE(requests.error().message.find(sample["refused"].Text()), std::string::npos)
          << requests.error().message;
      EXPECT_TRUE(requests.error().message.starts_with("container train: "));
      continue;
    }
    ASSERT_TRUE(requests) << requests.error().message;
    if (sample["wants"].Text() == "nothing") {
      EXPECT_TRUE((*requests)[0].empty());
      continue;
    }
    ASSERT_EQ((*requests)[0].size(), 1U);
    EXPECT_EQ((*requests)[0][0].vendor, id_);
    EXPECT_EQ(Describe((*requests)[0][0]), sample["wants"].Text());
  }
}

TEST_P(VendorTest, ReadsRequestsWhereThereAreNoLimits) {
  const domain::Pod by_limit = Sample();
  domain::Pod by_request = by_limit;
  std::swap(by_request.containers[0].limits, by_request.containers[0].requests);

  EXPECT_EQ(Requests(by_limit).size(), 1U);
  EXPECT_EQ(Requests(by_request), Requests(by_limit));
}

TEST_P(VendorTest, LimitsGoBeforeRequests) {
  const domain::Pod limited = Sample();
  domain::Pod both = limited;
  for (const auto& [name, value] : limited.containers[0].limits) {
    both.containers[0].requests[name] = "1";
  }

  EXPECT_EQ(Requests(both), Requests(limited));
}

TEST_P(VendorTest, AsksForNothingWithoutItsResources) {
  const domain::Pod pod = PodOf({{"cpu", "2"}, {"memory", "4Gi"}, {"example.com/other", "1"}});

  const auto requests = registry_.RequestsOf(pod);
  const auto admission = registry_.Admit(pod, 0);

  ASSERT_TRUE(requests);
  EXPECT_TRUE((*requests)[0].empty());
  ASSERT_TRUE(admission);
  EXPECT_FALSE(admission->has_devices);
  EXPECT_TRUE(admission->limits.empty());
  EXPECT_TRUE(admission->requests.empty());
  EXPECT_TRUE(admission->environment.empty());
}

// Of every resource that the sample names, one at a time.
TEST_P(VendorTest, RefusesWhatIsNoNumberAndSaysWhichResource) {
  const domain::Pod good = Sample();
  for (const auto& [resource, value] : good.containers[0].limits) {
    for (const char* bad :
         {"-1", "500m", "1.5", "", "many", "9223372036854775808", "1e40", "8Ei"}) {
      domain::Pod pod = good;
      pod.containers[0].limits[resource] = bad;
      const auto requests = registry_.RequestsOf(pod);
      ASSERT_FALSE(requests) << resource << "=" << bad;
      EXPECT_EQ(requests.error().code, Code::kInvalidArgument);
      EXPECT_TRUE(requests.error().message.starts_with("container train: " + resource + ": "))
          << requests.error().message;
      EXPECT_FALSE(registry_.Admit(pod, 0)) << resource << "=" << bad;
    }
  }
}

// More than 32 bits hold, in what HAMi would drop the request for without a word.
TEST_P(VendorTest, RefusesMoreMemoryThanFits) {
  domain::Pod pod = Sample();
  if (!pod.containers[0].limits.contains(spec_->resources.memory)) {
    EXPECT_TRUE(spec_->resources.memory.empty()) << "the sample names no memory";
    return;
  }
  for (const char* bad : {"2147483648", "16Ti"}) {
    if (spec_->common_word == "Metax-SGPU" && bad == std::string("16Ti")) continue;  // bytes there
    pod.containers[0].limits[spec_->resources.memory] = bad;
    const auto requests = registry_.RequestsOf(pod);
    ASSERT_FALSE(requests) << bad;
    EXPECT_NE(requests.error().message.find(spec_->resources.memory), std::string::npos);
  }
}

// The API server writes 2000 as "2k"; here the other way round.
TEST_P(VendorTest, ReadsNumbersWithSuffixes) {
  const domain::Pod plain = Sample();
  domain::Pod suffixed = plain;
  for (auto& [resource, value] : suffixed.containers[0].limits) {
    if (resource != spec_->resources.memory) value += "000e-3";
  }

  EXPECT_EQ(Requests(suffixed), Requests(plain));
}

TEST_P(VendorTest, AdmitsAsWritten) {
  ASSERT_GT(root()["admissions"].size(), 0U);
  for (const json::Value sample : root()["admissions"].Elements()) {
    SCOPED_TRACE(sample.Json());
    const domain::Pod pod = PodOfSample(sample);
    const auto admission = registry_.Admit(pod, 0);
    if (sample["refused"].exists()) {
      ASSERT_FALSE(admission);
      EXPECT_NE(admission.error().message.find(sample["refused"].Text()), std::string::npos)
          << admission.error().message;
      continue;
    }
    ASSERT_TRUE(admission) << admission.error().message;
    EXPECT_EQ(admission->has_devices, sample["has_devices"].Flag());
    EXPECT_EQ(admission->limits, ReadTexts(sample["sets"]["limits"]));
    EXPECT_EQ(admission->requests, ReadTexts(sample["sets"]["requests"]));
    EXPECT_EQ(Texts(admission->environment.begin(), admission->environment.end()),
              ReadTexts(sample["sets"]["environment"]));
    EXPECT_EQ(admission->pod_annotations, ReadTexts(sample["sets"]["annotations"]));
  }
}

// What admission makes of a pod is asked for without complaint, and admitted again as it is.
TEST_P(VendorTest, AdmissionIsStable) {
  for (const json::Value sample : root()["admissions"].Elements()) {
    SCOPED_TRACE(sample.Json());
    domain::Pod pod = PodOfSample(sample);
    const auto first = registry_.Admit(pod, 0);
    if (!first) continue;
    for (const auto& [name, value] : first->limits) pod.containers[0].limits[name] = value;
    for (const auto& [name, value] : first->requests) pod.containers[0].requests[name] = value;
    for (const auto& [name, value] : first->pod_annotations) pod.annotations[name] = value;

    EXPECT_TRUE(registry_.RequestsOf(pod));
    const auto second = registry_.Admit(pod, 0);
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_EQ(second->has_devices, first->has_devices);
    for (const auto& [name, value] : second->limits) {
      EXPECT_EQ(value, pod.containers[0].limits[name]) << name;
    }
    for (const auto& [name, value] : second->requests) {
      EXPECT_EQ(value, pod.containers[0].requests[name]) << name;
    }
  }
}

// The node of the file carries what its plugin and HAMi write there.
TEST_P(VendorTest, KnowsItsHandshake) {
  std::string found;
  for (const auto& [key, value] : Node().annotations) {
    if (key.starts_with("hami.io/node-handshake")) found = key;
  }
  EXPECT_EQ(spec_->handshake_key, found);
}

TEST_P(VendorTest, ReadsTheDevicesOfANode) {
  std::vector<std::string> problems;
  const std::vector<Device> devices = registry_.DevicesOf(Node(), &problems);

  std::vector<std::string> described;
  for (const Device& device : devices) {
    EXPECT_EQ(device.vendor, id_);
    described.push_back(Describe(device));
  }
  std::vector<std::string> expected;
  for (const json::Value line : root()["devices"].Elements()) expected.emplace_back(line.Text());
  EXPECT_EQ(described, expected);
  EXPECT_TRUE(problems.empty()) << problems[0];
}

TEST_P(VendorTest, CordonsDevices) {
  domain::Node node = Node();
  const std::vector<Device> before = registry_.DevicesOf(node, nullptr);
  ASSERT_GE(before.size(), 2U);
  node.annotations["hami.io/device-cordon"] = "other, " + before[1].id + ",";

  const std::vector<Device> after = registry_.DevicesOf(node, nullptr);

  ASSERT_EQ(after.size(), before.size());
  for (size_t i = 0; i < after.size(); ++i) EXPECT_EQ(after[i].cordoned, i == 1);
}

TEST_P(VendorTest, DevicesWhosePluginIsGoneAreNotHealthy) {
  const auto healthy = [&](const domain::Node& node, int64_t now_s) {
    int count = 0;
    for (const Device& device : registry_.DevicesOf(node, nullptr, now_s)) count += device.healthy;
    return count;
  };
  domain::Node node = Node();
  const int before = healthy(node, 0);
  ASSERT_GT(before, 0);
  node.allocatable[spec_->resources.count] = "0";
  EXPECT_EQ(healthy(node, 0), 0);
  node.allocatable[spec_->resources.count] = "1";
  EXPECT_EQ(healthy(node, 0), before);
  if (spec_->handshake_key.empty()) return;
  // What HAMi's scheduler asked and nobody answered; 2026-08-21 10:00:00 is 1787306400.
  node.annotations[spec_->handshake_key] = "Requesting_2026-08-21 10:00:00";
  EXPECT_EQ(healthy(node, 1'787'306'460), before);  // the node has some to allocate
  node.allocatable.erase(spec_->resources.count);
  EXPECT_EQ(healthy(node, 1'787'306'459), before);
  EXPECT_EQ(healthy(node, 1'787'306'460), 0);
  for (const char* answered : {"Reported_2026-08-21 10:00:00", "Deleted_2026.08.21 10:00:00", ""}) {
    node.annotations[spec_->handshake_key] = answered;
    EXPECT_EQ(healthy(node, 1'787'306'460), before) << answered;
  }
}

// Whatever stands in the annotations and numbers that devices come from: no crash, and something is
// said where devices are lost.
TEST_P(VendorTest, SurvivesBrokenNodes) {
  const domain::Node good = Node();
  for (const auto& [key, value] : good.annotations) {
    for (const std::string& broken :
         {std::string("["), std::string("{}"), std::string("[1]"), std::string("[{}]"),
          std::string("a,b"), value.substr(0, value.size() / 2), value + "x",
          std::string("\xff")}) {
      domain::Node node = good;
      node.annotations[key] = broken;
      std::vector<std::string> problems;
      const std::vector<Device> devices = registry_.DevicesOf(node, &problems);
      // Half of a text with colons may be a shorter list.
      const bool is_half = broken.size() < value.size() && broken.size() > 4;
      if (key == spec_->register_key && !is_half) {
        EXPECT_TRUE(devices.empty()) << key << ": " << broken;
        EXPECT_EQ(problems.size(), 1U) << key << ": " << broken;
      }
    }
  }
  for (const auto& [resource, value] : good.capacity) {
    for (const char* broken : {"-1", "x", "1e18", "9223372036854775807", "0.5"}) {
      domain::Node node = good;
      node.capacity[resource] = broken;
      std::vector<std::string> problems;
      EXPECT_LE(registry_.DevicesOf(node, &problems).size(), 4096U) << resource << "=" << broken;
    }
  }
}

TEST_P(VendorTest, WritesADecision) {
  const domain::Pod pod = DecidedPod();
  const std::vector<Device> devices = registry_.DevicesOf(Node(), nullptr);
  Texts expected = ReadTexts(root()["decision"]["annotations"]);
  expected["hami.io/vgpu-node"] = Node().name;
  expected["hami.io/vgpu-time"] = "1705054796";

  const Texts written = registry_.WriteAllocation(pod, Decision(), devices, kNowNs);

  EXPECT_EQ(written, expected);
  const std::vector<std::string> keys = registry_.DecisionKeys();
  for (const auto& [key, value] : written) {
    EXPECT_TRUE(std::binary_search(keys.begin(), keys.end(), key)) << key << " is not protected";
  }
}

TEST_P(VendorTest, ReadsADecisionBack) {
  domain::Pod pod = DecidedPod();
  pod.annotations.merge(
      registry_.WriteAllocation(pod, Decision(), registry_.DevicesOf(Node(), nullptr), kNowNs));

  const auto read = registry_.ReadAllocation(pod);

  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->node, Node().name);
  EXPECT_EQ(read->slices, Decision().slices);
}

// An older HAMi leaves out the entries of containers without devices that come first.
TEST_P(VendorTest, ReadsTheShortFormOfOlderHami) {
  domain::Pod pod = DecidedPod();
  Texts written =
      registry_.WriteAllocation(pod, Decision(), registry_.DevicesOf(Node(), nullptr), kNowNs);
  std::string& text = written[spec_->allocated_key];
  text.erase(0, text.find_first_not_of(';'));
  pod.annotations.merge(written);

  const auto read = registry_.ReadAllocation(pod);

  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->slices, Decision().slices);
}

TEST_P(VendorTest, HoldsNothingWithoutANode) {
  domain::Pod pod = DecidedPod();
  pod.annotations.merge(registry_.WriteAllocation(pod, Decision(), {}, kNowNs));
  pod.annotations.erase("hami.io/vgpu-node");

  const auto read = registry_.ReadAllocation(pod);

  ASSERT_TRUE(read);
  EXPECT_TRUE(read->node.empty());
  EXPECT_TRUE(read->slices.empty());
}

TEST_P(VendorTest, RefusesForgedAndMalformedDecisions) {
  domain::Pod pod = DecidedPod();
  pod.annotations.merge(registry_.WriteAllocation(pod, Decision(), {}, kNowNs));
  domain::Pod without = pod;
  for (domain::PodContainer& container : without.containers) container.limits.clear();
  EXPECT_FALSE(registry_.ReadAllocation(without)) << "of a pod that asks for nothing";
  for (const char* bad : {"id,word,1:;", "id,word,x,0:;", "id,word,-1,0:;", "id,word,1,-1:;",
                          "id,word,9999999999,0:;", ",word,1,0:;"}) {
    pod.annotations[spec_->allocated_key] = bad;
    EXPECT_FALSE(registry_.ReadAllocation(pod)) << bad;
  }
}

TEST_P(VendorTest, ChoosesDevicesByItsKeys) {
  Device device;
  device.id = "id-1";
  device.type = "Some Model-7";
  const auto select = [&](const std::string& key, const std::string& value) {
    return registry_.SelectorsOf(PodOf({}, {{key, value}}), id_);
  };
  const SelectorKeys& keys = spec_->selectors;
  EXPECT_FALSE(keys.use_ids.empty());
  EXPECT_EQ(keys.use_ids.size(), keys.avoid_ids.size());
  for (const std::string& key : keys.use_ids) {
    EXPECT_TRUE(MatchesId(select(key, "id-0 , id-1"), device)) << key;
    EXPECT_TRUE(MatchesId(select(key, " "), device)) << key;
    EXPECT_FALSE(MatchesId(select(key, "id-0"), device)) << key;
  }
  for (const std::string& key : keys.avoid_ids) {
    EXPECT_FALSE(MatchesId(select(key, "id-0,id-1"), device)) << key;
    EXPECT_TRUE(MatchesId(select(key, "id-10"), device)) << key;
  }
  for (const std::string& key : keys.use_types) {
    EXPECT_TRUE(MatchesType(select(key, "other,model"), device)) << key;
    EXPECT_FALSE(MatchesType(select(key, "other"), device)) << key;
  }
  for (const std::string& key : keys.avoid_types) {
    EXPECT_FALSE(MatchesType(select(key, "MODEL-7"), device)) << key;
    EXPECT_TRUE(MatchesType(select(key, ","), device)) << key;
  }
}

std::vector<std::string> CommonWords() {
  const Registry registry = Registry::Default();
  std::vector<std::string> words;
  for (size_t id = 0; id < registry.size(); ++id) {
    words.push_back(registry.at(static_cast<VendorId>(id)).common_word);
  }
  return words;
}

std::string TestName(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::erase(name, '-');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Table, VendorTest, testing::ValuesIn(CommonWords()), TestName);

TEST(VendorTable, NamesAreThoseOfOneEntryAlone) {
  const Registry registry = Registry::Default();
  std::map<std::string, std::string> owners;  // of resources and annotations
  const auto claim = [&owners](const std::string& name, const Spec& spec) {
    if (name.empty()) return;
    const auto [owner, is_new] = owners.emplace(name, spec.common_word);
    EXPECT_TRUE(is_new) << name << " of " << spec.common_word << " is of " << owner->second;
  };
  for (size_t id = 0; id < registry.size(); ++id) {
    const Spec& spec = registry.at(static_cast<VendorId>(id));
    claim("word " + spec.common_word, spec);
    for (const std::string& name : spec.ResourceNameList()) claim(name, spec);
    claim(spec.register_key, spec);
    claim(spec.handshake_key, spec);
    claim(spec.to_allocate_key, spec);
    claim(spec.allocated_key, spec);
    EXPECT_NE(spec.ask, nullptr);
    EXPECT_NE(spec.admit, nullptr);
    EXPECT_NE(spec.inventory, nullptr);
  }
  EXPECT_EQ(registry.size(), 25U);
}

// As contract 6.1 has them: a typing error here would make pods' wishes silently void.
TEST(VendorTable, KeysOfWishes) {
  struct Row {
    const char* word;
    SelectorKeys keys;
  };
  const auto common = [](const std::string& prefix) {
    return SelectorKeys{.use_ids = {prefix + "/use-gpuuuid"},
                        .avoid_ids = {prefix + "/nouse-gpuuuid"}};
  };
  const auto with_types = [&](const std::string& prefix, const std::string& type) {
    SelectorKeys keys = common(prefix);
    keys.use_types = {prefix + "/use-" + type};
    keys.avoid_types = {prefix + "/nouse-" + type};
    return keys;
  };
  const auto by_word = [](const std::string& word) {
    return SelectorKeys{.use_ids = {"hami.io/use-" + word + "-uuid"},
                        .avoid_ids = {"hami.io/no-use-" + word + "-uuid"}};
  };
  SelectorKeys nvidia = with_types("nvidia.com", "gputype");
  nvidia.mode = "nvidia.com/vgpu-mode";
  const SelectorKeys kunlun = {.use_ids = {"hami.io/use-xpu-uuid", "baidu.com/use-gpuuuid"},
                               .avoid_ids = {"hami.io/no-use-xpu-uuid", "baidu.com/nouse-gpuuuid"}};
  const SelectorKeys neuron = {.use_ids = {"aws.amazon.com/use-neuron-uuid"},
                               .avoid_ids = {"aws.amazon.com/nouse-neuron-uuid"}};
  const SelectorKeys amd = {.use_types = {"amd.com/use-gputype"},
                            .avoid_types = {"amd.com/nouse-gputype"},
                            .use_ids = {"amd.com/use-gpu-uuid"},
                            .avoid_ids = {"amd.com/nouse-gpu-uuid"}};
  const Registry registry = Registry::Default();
  size_t rows = 0;
  for (const auto& [word, keys] :
       std::initializer_list<Row>{{"NVIDIA", nvidia},
                                  {"MLU", common("cambricon.com")},
                                  {"DCU", with_types("hygon.com", "dcutype")},
                                  {"GCU", common("enflame.com")},
                                  {"Enflame", common("enflame.com")},
                                  {"Mthreads", common("mthreads.ai")},
                                  {"Metax-GPU", common("metax-tech.com")},
                                  {"Metax-SGPU", common("metax-tech.com")},
                                  {"kunlun", kunlun},
                                  {"XPU", kunlun},
                                  {"AWSNeuron", neuron},
                                  {"AMD", amd},
                                  {"Vastai", common("vastaitech.com")},
                                  {"Biren", with_types("birentech.com", "biren")},
                                  {"Ascend910A", by_word("Ascend910A")},
                                  {"Ascend910B2", by_word("Ascend910B2")},
                                  {"Ascend910B3", by_word("Ascend910B3")},
                                  {"Ascend910B4", by_word("Ascend910B4")},
                                  {"Ascend910B4-1", by_word("Ascend910B4-1")},
                                  {"Ascend910C", by_word("Ascend910C")},
                                  {"Ascend310P", by_word("Ascend310P")},
                                  {"MR-V100", by_word("MR-V100")},
                                  {"MR-V50", by_word("MR-V50")},
                                  {"BI-V150", by_word("BI-V150")},
                                  {"BI-V100", by_word("BI-V100")}}) {
    const Spec* spec = registry.Find(word);
    ASSERT_NE(spec, nullptr) << word;
    EXPECT_EQ(spec->selectors.use_types, keys.use_types) << word;
    EXPECT_EQ(spec->selectors.avoid_types, keys.avoid_types) << word;
    EXPECT_EQ(spec->selectors.use_ids, keys.use_ids) << word;
    EXPECT_EQ(spec->selectors.avoid_ids, keys.avoid_ids) << word;
    EXPECT_EQ(spec->selectors.mode, keys.mode) << word;
    ++rows;
  }
  EXPECT_EQ(rows, registry.size());
}

// Contract 1.9 and 6.1: most share one lock of a node, MLU has its own, the rest none.
TEST(VendorTable, LocksOfNodes) {
  const std::map<std::string, std::string, std::less<>> others = {
      {"MLU", "cambricon.com/dsmlu.lock"},
      {"GCU", ""},
      {"Enflame", ""},
      {"Mthreads", ""},
      {"Metax-GPU", ""},
      {"kunlun", ""},
      {"AWSNeuron", ""}};
  const Registry registry = Registry::Default();
  for (size_t id = 0; id < registry.size(); ++id) {
    const Spec& spec = registry.at(static_cast<VendorId>(id));
    const auto other = others.find(spec.common_word);
    EXPECT_EQ(spec.lock_key, other == others.end() ? "hami.io/mutex.lock" : other->second)
        << spec.common_word;
  }
}

// Devices by their indexes; cores, of several devices too, by their numbers on the node.
TEST(VendorTable, NeuronNamesDevicesOrCores) {
  const Registry registry = Registry::Default();
  domain::Node node;
  node.name = "n1";
  node.capacity = {{"aws.amazon.com/neuron", "4"}, {"aws.amazon.com/neuroncore", "8"}};
  const std::vector<Device> devices = registry.DevicesOf(node, nullptr);
  domain::Allocation allocation;
  allocation.node = node.name;
  for (const char* device : {"n1-AWSNeuron-2", "n1-AWSNeuron-3"}) {
    domain::Slice& slice = allocation.slices.emplace_back();
    slice.vendor = "AWSNeuron";
    slice.device = device;
    slice.cores = 3;
  }
  const auto written = [&](const char* resource, const char* count) {
    domain::Pod pod;
    pod.containers.emplace_back().name = "train";
    pod.containers[0].limits = {{resource, count}};
    return registry.WriteAllocation(pod, allocation, devices, kNowNs);
  };
  Texts by_device = written("aws.amazon.com/neuron", "2");
  EXPECT_EQ(by_device["AWS_NEURON_IDS"], "2,3");
  EXPECT_FALSE(by_device.contains("NEURON_RESOURCE_TYPE"));
  Texts by_core = written("aws.amazon.com/neuroncore", "4");
  EXPECT_EQ(by_core["AWS_NEURON_IDS"], "4,5,6,7");
  EXPECT_EQ(by_core["NEURON_RESOURCE_TYPE"], "aws.amazon.com/neuroncore");
}

// A soft share of Ascend has no template, also where its memory is that of one.
TEST(VendorTable, AscendNamesTemplatesOfHardSplitsAlone) {
  const Registry registry = Registry::Default();
  domain::Pod pod;
  pod.containers.emplace_back().name = "train";
  domain::Allocation allocation;
  allocation.node = "n1";
  domain::Slice& slice = allocation.slices.emplace_back();
  slice.vendor = "Ascend910B3";
  slice.device = "NPU-a";
  slice.memory_mib = 16384;
  const auto written = [&] {
    return registry.WriteAllocation(pod, allocation, {}, kNowNs)["huawei.com/Ascend910B3"];
  };
  EXPECT_EQ(written(), R"([{"UUID":"NPU-a","temp":"vir05_1c_16g","memory":16384,"core":0}])");
  pod.annotations["huawei.com/vnpu-mode"] = "hami-core";
  EXPECT_EQ(written(), R"([{"UUID":"NPU-a","memory":16384,"core":0}])");
}

// An online pod of MetaX reserves no cores; its reader expects that zeros are not there.
TEST(VendorTable, MetaxLeavesZerosOut) {
  const Registry registry = Registry::Default();
  domain::Pod pod;
  pod.containers.emplace_back().name = "serve";
  domain::Allocation allocation;
  allocation.node = "n1";
  const auto written = [&](int32_t memory_mib, int32_t cores) {
    domain::Slice slice;
    slice.vendor = "Metax-SGPU";
    slice.device = "GPU-a";
    slice.memory_mib = memory_mib;
    slice.cores = cores;
    allocation.slices = {slice};
    Texts texts = registry.WriteAllocation(pod, allocation, {}, kNowNs);
    return texts["metax-tech.com/gpu-devices-allocated"];
  };
  EXPECT_EQ(written(1024, 20), R"([[{"uuid":"GPU-a","compute":20,"vRam":1024}]])");
  EXPECT_EQ(written(1024, 0), R"([[{"uuid":"GPU-a","vRam":1024}]])");
  EXPECT_EQ(written(0, 20), R"([[{"uuid":"GPU-a","compute":20}]])");
}

// Contract 11.10: Inferentia has 4 cores a device, Inferentia2 and Trainium 2; each node says it.
TEST(VendorTable, NeuronCoresOfADeviceAreTheNodesOwn) {
  const Registry registry = Registry::Default();
  const auto devices_of = [&](const char* name, const char* cores) {
    domain::Node node;
    node.name = name;
    node.capacity = {{"aws.amazon.com/neuron", "4"}, {"aws.amazon.com/neuroncore", cores}};
    return registry.DevicesOf(node, nullptr);
  };
  const std::vector<Device> four = devices_of("inf1", "16");
  const std::vector<Device> two = devices_of("inf2", "8");
  EXPECT_EQ(Describe(four.at(1)),
            "inf1-AWSNeuron-1 index=1 slots=4 memory=0 cores=4 numa=0 type=AWSNeuron");
  EXPECT_EQ(two.at(1).cores, 2) << "another node before it changes nothing";

  const auto on = [&](int32_t cores, const Device& device) {
    return Describe(RequestOn({.count = 1, .cores = cores, .across_devices = cores > 2}, device));
  };
  EXPECT_EQ(on(2, four[0]), "count=1 memory=0 pct=0 cores=2");
  EXPECT_EQ(on(4, four[0]), "count=1 memory=0 pct=0 cores=4");
  EXPECT_EQ(on(4, two[0]), "count=2 memory=0 pct=0 cores=2");
  EXPECT_EQ(on(12, four[0]), "count=3 memory=0 pct=0 cores=4");
  EXPECT_EQ(on(6, four[0]), "count=1 memory=0 pct=0 cores=6 across") << "more than one has";
  EXPECT_EQ(on(8, Device()), "count=1 memory=0 pct=0 cores=8 across");

  domain::Pod pod;
  pod.containers.emplace_back().name = "train";
  pod.containers[0].limits = {{"aws.amazon.com/neuroncore", "3"}};
  domain::Allocation allocation;
  allocation.node = "inf1";
  allocation.slices = {
      {.container = 0, .vendor = "AWSNeuron", .device = "inf1-AWSNeuron-1", .cores = 0b1010},
      {.container = 0, .vendor = "AWSNeuron", .device = "inf1-AWSNeuron-2", .cores = 0b1111}};
  Texts written = registry.WriteAllocation(pod, allocation, four, kNowNs);
  EXPECT_EQ(written["AWS_NEURON_IDS"], "5,7,8,9,10,11");
}

TEST(VendorTable, LeavesOutDevicesThatCannotBeAndSaysSo) {
  const Registry registry = Registry::Default();
  domain::Node node;
  node.name = "n1";
  node.annotations["hami.io/node-nvidia-register"] =
      R"([{"id":"a","count":1},{"id":"a","count":2},{"id":"b,c"},{"id":""},{"id":"d","devmem":-1},)"
      R"({"id":"e","devcore":-1},{"id":"f","count":-1},{"id":"g"}])";
  std::vector<std::string> problems;

  const std::vector<Device> devices = registry.DevicesOf(node, &problems);

  ASSERT_EQ(devices.size(), 2U);
  EXPECT_EQ(devices[0].id, "a");
  EXPECT_EQ(devices[0].slots, 1);
  EXPECT_EQ(devices[1].id, "g");
  EXPECT_EQ(problems.size(), 6U);
}

TEST(VendorTable, TwoVendorsInOnePod) {
  const Registry registry = Registry::Default();
  domain::Pod pod;
  pod.containers.resize(2);
  pod.containers[0].name = "a";
  pod.containers[0].limits = {{"nvidia.com/gpu", "1"}, {"hygon.com/dcunum", "1"}};
  pod.containers[1].name = "b";
  pod.containers[1].limits = {{"hygon.com/dcunum", "1"}};
  const auto slice = [](uint16_t container, const char* vendor, const char* device) {
    domain::Slice made;
    made.container = container;
    made.vendor = vendor;
    made.device = device;
    made.memory_mib = 100;
    made.cores = 10;
    return made;
  };
  domain::Allocation allocation;
  allocation.node = "n1";
  allocation.slices = {slice(0, "NVIDIA", "GPU-a"), slice(0, "DCU", "DCU-1"),
                       slice(1, "DCU", "DCU-2")};

  pod.annotations = registry.WriteAllocation(pod, allocation, {}, kNowNs);

  EXPECT_EQ(pod.annotations["hami.io/vgpu-devices-allocated"], "GPU-a,NVIDIA,100,10:;;");
  EXPECT_EQ(pod.annotations["hami.io/dcu-devices-allocated"],
            "DCU-1,DCU,100,10:;DCU-2,DCU,100,10:;");
  const auto read = registry.ReadAllocation(pod);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->slices, allocation.slices);
}

TEST(VendorTable, NeedsOfDevices) {
  const Registry registry = Registry::Default();
  const auto need = [&registry](const char* word, const Request& request, int32_t memory_mib,
                                int32_t cores) {
    Device device;
    device.memory_mib = memory_mib;
    device.cores = cores;
    return NeedOn(*registry.Find(word), request, device);
  };
  EXPECT_EQ(need("NVIDIA", {.memory_pct = 50, .cores = 30}, 81559, 100),
            (Need{.memory_mib = 40779, .cores = 30}));
  EXPECT_EQ(need("AMD", {.memory_pct = 100, .cores = 50}, 65520, 64),
            (Need{.memory_mib = 65520, .cores = 32}));
  EXPECT_EQ(need("AMD", {.memory_mib = 1, .cores = 1}, 65520, 64),
            (Need{.memory_mib = 1, .cores = 1}));
  EXPECT_EQ(need("AMD", {.memory_mib = 1}, 65520, 64), (Need{.memory_mib = 1, .cores = 64}));
  EXPECT_EQ(need("AWSNeuron", {}, 0, 2), (Need{.cores = 2}));
  EXPECT_EQ(need("AWSNeuron", {.cores = 1}, 0, 2), (Need{.cores = 1}));
  // 2^31 * 100 does not fit into 32 bits.
  EXPECT_EQ(need("NVIDIA", {.memory_pct = 100}, 2147483647, 100), (Need{.memory_mib = 2147483647}));
}

}  // namespace
}  // namespace hami::vendor
