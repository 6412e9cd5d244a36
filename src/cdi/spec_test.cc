// SPDX-License-Identifier: Apache-2.0
//
// Documents of the Container Device Interface: the golden files of tests/golden/cdi, and every rule
// that a runtime would refuse a document for. Whether a runtime takes them is the subject of the
// cluster tests.

#include "cdi/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace hami::cdi {
namespace {

using ::testing::HasSubstr;

Spec SmallSpec() {
  return {.vendor = "hami.io",
          .device_class = "share",
          .devices = {{.name = "a", .edits = {.env = {"A=1"}}}}};
}

// Everything that a document can hold.
Spec FullSpec() {
  Spec spec = SmallSpec();
  spec.device_class = "share.gpu";
  spec.annotations = {{"hami.io/claim", "team-a/train"}};
  spec.devices = {{.name = "4d7c-gpu-0",
                   .annotations = {{"hami.io/uuid", "GPU-0"}},
                   .edits = {.env = {"NVIDIA_VISIBLE_DEVICES=void", "QUOTED=\"a\\b\"\n"},
                             .device_nodes = {{.path = "/dev/nvidia0"},
                                              {.path = "/dev/nvidiactl",
                                               .host_path = "/run/nvidia/driver/dev/nvidiactl",
                                               .type = "c",
                                               .major = 195,
                                               .minor = 255,
                                               .permissions = "rw"}},
                             .mounts = {{.host_path = "/var/lib/hami/shares/4d7c",
                                         .container_path = "/etc/hami/shares/4d7c",
                                         .options = {"ro", "nosuid", "nodev", "bind"}}},
                             .hooks = {{.name = "createContainer",
                                        .path = "/var/lib/hami/bin/hami-cdi-hook",
                                        .args = {"hami-cdi-hook", "preload"},
                                        .env = {"LC_ALL=C"},
                                        .timeout_s = 10}}}},
                  {.name = "second", .edits = {.additional_gids = {44, 109}}}};
  spec.edits.mounts = {{.host_path = "/tmpfs", .container_path = "/scratch", .type = "tmpfs"}};
  return spec;
}

std::string Golden(const std::string& name) {
  const std::ifstream file(std::string(HAMI_GOLDEN_FOLDER) + "/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Refusal(const Spec& spec) {
  const Status status = Validate(spec);
  if (status) return "";
  EXPECT_EQ(status.error().code, Code::kInvalidArgument);
  return status.error().message;
}

TEST(SpecTest, WritesTheGoldenDocuments) {
  ASSERT_TRUE(Validate(SmallSpec()));
  ASSERT_TRUE(Validate(FullSpec())) << Refusal(FullSpec());
  EXPECT_EQ(WriteSpec(SmallSpec()), Golden("small.json"));
  EXPECT_EQ(WriteSpec(FullSpec()), Golden("full.json"));
}

TEST(SpecTest, WritesJson) {
  const nlohmann::json json = nlohmann::json::parse(WriteSpec(FullSpec()));
  EXPECT_EQ(json["kind"], "hami.io/share.gpu");
  EXPECT_EQ(json["devices"][0]["containerEdits"]["env"][1], "QUOTED=\"a\\b\"\n");
  EXPECT_EQ(json["devices"][0]["containerEdits"]["deviceNodes"][0].size(), 1U);
  EXPECT_EQ(json["devices"][1]["containerEdits"]["additionalGids"][1], 109);
}

TEST(SpecTest, NamesADevice) { EXPECT_EQ(QualifiedName(SmallSpec(), "a"), "hami.io/share=a"); }

// The lowest version that has what the document uses.
TEST(SpecTest, TheVersionIsTheLowestThatFits) {
  Spec spec = SmallSpec();
  EXPECT_EQ(RequiredVersion(spec), "0.3.0");
  spec.edits.mounts = {{.host_path = "/a", .container_path = "/b", .type = "tmpfs"}};
  EXPECT_EQ(RequiredVersion(spec), "0.4.0");
  spec.devices[0].edits.device_nodes = {{.path = "/dev/a", .host_path = "/dev/a"}};
  EXPECT_EQ(RequiredVersion(spec), "0.4.0");  // not written, because it says nothing
  spec.devices[0].edits.device_nodes[0].host_path = "/run/dev/a";
  EXPECT_EQ(RequiredVersion(spec), "0.5.0");
  spec.device_class = "share.gpu";
  EXPECT_EQ(RequiredVersion(spec), "0.6.0");
  spec.devices[0].edits.additional_gids = {1};
  EXPECT_EQ(RequiredVersion(spec), "0.7.0");

  spec = SmallSpec();
  spec.devices[0].name = "0a";
  EXPECT_EQ(RequiredVersion(spec), "0.5.0");
  spec.devices[0].annotations = {{"a", "b"}};
  EXPECT_EQ(RequiredVersion(spec), "0.6.0");
  spec = SmallSpec();
  spec.annotations = {{"a", "b"}};
  EXPECT_EQ(RequiredVersion(spec), "0.6.0");
}

TEST(SpecTest, RefusesWhatCrashesContainerd) {
  Spec spec = SmallSpec();
  spec.vendor = "h";
  EXPECT_THAT(Refusal(spec), HasSubstr("vendor \"h\" needs at least two characters"));
  spec = SmallSpec();
  spec.device_class = "";
  EXPECT_THAT(Refusal(spec), HasSubstr("class \"\" needs at least two characters"));
  spec.device_class = "g";
  EXPECT_THAT(Refusal(spec), HasSubstr("class \"g\" needs"));
}

TEST(SpecTest, RefusesWrongNames) {
  for (const char* name : {"1ab", ".ab", "ab-", "ab.", "a b", "a/b", "a=b", "a:b"}) {
    EXPECT_FALSE(ValidateQualifier(name, "vendor")) << name;
  }
  for (const char* name : {"ab", "a1", "k8s.hami.io", "a_b-c.d"}) {
    EXPECT_TRUE(ValidateQualifier(name, "vendor")) << name;
  }
  for (const char* name : {"", "-a", "a-", ":", "a b", "a/b", "a=b", "a\n"}) {
    EXPECT_FALSE(ValidateDeviceName(name)) << name;
  }
  for (const char* name : {"a", "0", "GPU-0:1.2_3"}) {
    EXPECT_TRUE(ValidateDeviceName(name)) << name;
  }
}

TEST(SpecTest, RefusesWrongDevices) {
  Spec spec = SmallSpec();
  spec.devices.push_back(spec.devices[0]);
  EXPECT_THAT(Refusal(spec), HasSubstr("two devices are called a"));
  spec.devices.clear();
  EXPECT_THAT(Refusal(spec), HasSubstr("without a device"));
  spec = SmallSpec();
  spec.devices[0].edits = {};
  spec.edits.env = {"A=1"};  // what all devices share does not help
  EXPECT_THAT(Refusal(spec), HasSubstr("device a changes nothing"));
  spec = SmallSpec();
  spec.annotations = {{"a", ""}, {"a", "b"}};
  EXPECT_THAT(Refusal(spec), HasSubstr("annotation a stands there twice"));
}

std::string RefusalOfEdits(const ContainerEdits& edits) {
  Spec spec = SmallSpec();
  spec.edits = edits;
  return Refusal(spec);
}

TEST(SpecTest, RefusesWrongEdits) {
  EXPECT_THAT(RefusalOfEdits({.env = {"=1"}}), HasSubstr("not NAME=VALUE"));
  EXPECT_THAT(RefusalOfEdits({.env = {"A"}}), HasSubstr("not NAME=VALUE"));
  EXPECT_THAT(RefusalOfEdits({.additional_gids = {0}}), HasSubstr("group 0"));
  EXPECT_THAT(RefusalOfEdits({.mounts = {{.host_path = "a", .container_path = "/a"}}}),
              HasSubstr("not an absolute path"));
  EXPECT_THAT(RefusalOfEdits({.mounts = {{.host_path = "/a", .container_path = "/c"},
                                         {.host_path = "/b", .container_path = "/c"}}}),
              HasSubstr("/c is filled twice"));
  EXPECT_THAT(RefusalOfEdits({.mounts = {{"/a", "/b", {"ro,suid"}, ""}}}),
              HasSubstr("option \"ro,suid\""));
}

TEST(SpecTest, RefusesWrongNodesAndHooks) {
  EXPECT_THAT(RefusalOfEdits({.device_nodes = {{.path = "/dev/a", .type = "x"}}}),
              HasSubstr("type \"x\""));
  EXPECT_THAT(RefusalOfEdits({.device_nodes = {{.path = "/dev/a", .type = "c", .major = -1}}}),
              HasSubstr("-1:0"));
  EXPECT_THAT(RefusalOfEdits({.device_nodes = {{.path = "/dev/a", .major = 1}}}), HasSubstr("1:0"));
  EXPECT_THAT(RefusalOfEdits({.device_nodes = {{.path = "/dev/a", .permissions = "rx"}}}),
              HasSubstr("\"rx\""));
  const Hook good = {.name = "createContainer", .path = "/hook", .args = {"hook"}, .env = {"A=1"}};
  EXPECT_EQ(RefusalOfEdits({.hooks = {good}}), "");
  Hook hook = good;
  hook.name = "createcontainer";
  EXPECT_THAT(RefusalOfEdits({.hooks = {hook}}), HasSubstr("not the name of a hook"));
  hook = good;
  hook.args = {};
  EXPECT_THAT(RefusalOfEdits({.hooks = {hook}}), HasSubstr("args[0]"));
  hook = good;
  hook.env = {};
  EXPECT_THAT(RefusalOfEdits({.hooks = {hook}}), HasSubstr("gets the container's"));
  hook = good;
  hook.timeout_s = 0;
  EXPECT_THAT(RefusalOfEdits({.hooks = {hook}}), HasSubstr("timeout"));
  hook = good;
  hook.path = "hook";
  EXPECT_THAT(RefusalOfEdits({.hooks = {hook}}), HasSubstr("absolute"));
}

TEST(SpecTest, SaysWhichDeviceIsWrong) {
  Spec spec = SmallSpec();
  spec.devices[0].edits.env = {"A"};
  EXPECT_EQ(Refusal(spec), "device a: environment \"A\" is not NAME=VALUE");
}

TEST(SpecTest, AppendsEdits) {
  ContainerEdits edits;
  EXPECT_TRUE(edits.empty());
  edits.Append(FullSpec().devices[0].edits);
  edits.Append(FullSpec().devices[1].edits);
  EXPECT_EQ(edits.device_nodes.size(), 2U);
  EXPECT_EQ(edits.additional_gids.size(), 2U);
  EXPECT_FALSE(edits.empty());
}

}  // namespace
}  // namespace hami::cdi
