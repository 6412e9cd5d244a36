// SPDX-License-Identifier: Apache-2.0
//
// deploy/classic says in CEL which pods concern us and which annotations are protected; the code
// says it in C++. Both must mean the same, or a pod passes by the webhook. CEL itself is tried in
// tests/cluster/test_webhook.py.

#include <gtest/gtest.h>
#include <re2/re2.h>

#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "vendor/registry.h"
#include "webhook/forged.h"

namespace hami::webhook {
namespace {

std::string Manifest(const std::string& name) {
  Result<std::string> text =
      base::ReadFile(std::string(HAMI_SOURCE_FOLDER) + "/deploy/classic/" + name, 1 << 20);
  EXPECT_TRUE(text) << text.error().message;
  return text ? *text : "";
}

// What stands in the quotes of CALL("...") in the text.
std::vector<std::string> Arguments(const std::string& text, const std::string& call) {
  std::vector<std::string> arguments;
  const std::string begin = call + "(\"";
  for (size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1)) {
    const size_t from = at + begin.size();
    arguments.push_back(text.substr(from, text.find('"', from) - from));
  }
  return arguments;
}

// With RE2, as CEL does.
bool Matches(const std::string& name, const std::vector<std::string>& expressions) {
  for (const std::string& expression : expressions) {
    if (re2::RE2::PartialMatch(name, expression)) return true;
  }
  return false;
}

bool Begins(const std::string& name, const std::vector<std::string>& prefixes) {
  for (const std::string& prefix : prefixes) {
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

TEST(ManifestsTest, EveryResourceOfOursConcernsTheWebhook) {
  const std::string text = Manifest("40-webhook.yaml");
  const std::vector<std::string> expressions = Arguments(text, "r.matches");
  const std::vector<std::string> prefixes = Arguments(text, "r.startsWith");
  ASSERT_FALSE(expressions.empty());
  for (const std::string& name : vendor::Registry::Default().ResourceNames()) {
    EXPECT_TRUE(Matches(name, expressions) || Begins(name, prefixes)) << name;
  }
  for (const std::string name : {"cpu", "example.com/nic", "volcano.sh/vgpu-number",
                                 "hugepages-2Mi", "nvidia.community/gpu", "xnvidia.com/gpu"}) {
    EXPECT_FALSE(Matches(name, expressions) || Begins(name, prefixes)) << name;
  }
}

// Contract 11.28: HAMi's webhook is passed by when it does not answer, and only the leader does.
TEST(ManifestsTest, WhoConcernsUsWaitsForAnyReplica) {
  const std::string text = Manifest("40-webhook.yaml");
  EXPECT_NE(text.find("failurePolicy: Fail\n"), std::string::npos);
  EXPECT_EQ(text.find("failurePolicy: Ignore"), std::string::npos);
  EXPECT_EQ(text.find("hami.io/scheduler-role"), std::string::npos) << "the Service has all";
}

std::set<std::string> AllProtected() {
  const std::vector<std::string> keys = vendor::Registry::Default().DecisionKeys();
  std::set<std::string> all(keys.begin(), keys.end());
  for (const char* key :
       {"hami.io/bind-phase", "hami.io/bind-time", "hami.io/allocation", "NEURON_ALLOCATED",
        "enflame.com/gcu-assigned", "enflame.com/assigned-containers", "hami.io/kunlun-allocated",
        "huawei.com/Ascend910B3", "predicate-time", "hami.io/other-devices-allocated"}) {
    all.insert(key);
  }
  return all;
}

TEST(ManifestsTest, EveryProtectedAnnotationConcernsTheWebhook) {
  const std::string text = Manifest("40-webhook.yaml");
  const std::vector<std::string> expressions = Arguments(text, "k.matches");
  const std::vector<std::string> prefixes = Arguments(text, "k.startsWith");
  for (const std::string& key : AllProtected()) {
    const bool is_named = text.find("k == \"" + key + "\"") != std::string::npos;
    EXPECT_TRUE(is_named || Matches(key, expressions) || Begins(key, prefixes)) << key;
  }
}

TEST(ManifestsTest, ThePolicyProtectsWhatTheWebhookStrips) {
  const std::string text = Manifest("50-allocations-policy.yaml");
  std::vector<std::string> prefixes = Arguments(text, "k.startsWith");
  std::erase(prefixes, "hami.io/");  // narrowed by what follows it
  const std::vector<std::string> suffixes = Arguments(text, "k.endsWith");
  const ProtectedKeys keys(vendor::Registry::Default());
  for (const std::string& key : AllProtected()) {
    EXPECT_TRUE(keys.Has(key)) << key;
    bool is_covered = text.find('"' + key + '"') != std::string::npos || Begins(key, prefixes);
    for (const std::string& suffix : suffixes) {
      is_covered = is_covered || (key.starts_with("hami.io/") && key.ends_with(suffix));
    }
    EXPECT_TRUE(is_covered) << key;
  }
  for (const std::string& prefix : prefixes) EXPECT_TRUE(keys.Has(prefix)) << prefix;
}

}  // namespace
}  // namespace hami::webhook
