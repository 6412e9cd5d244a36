// SPDX-License-Identifier: Apache-2.0

#include "explain/read_objects.h"

#include <gtest/gtest.h>

#include "json/value.h"

namespace hami::explain {
namespace {

json::Value Parse(json::Document* document, std::string_view text) {
  const Status parsed = document->Parse(text);
  EXPECT_TRUE(parsed);
  return document->root();
}

constexpr char kPod[] = R"({
  "metadata": {"namespace": "team-a", "name": "train-0", "uid": "u"},
  "spec": {"nodeName": "n1", "schedulerName": "default-scheduler", "resourceClaims": [
    {"name": "own", "resourceClaimName": "shared"},
    {"name": "made", "resourceClaimTemplateName": "half"},
    {"name": "late", "resourceClaimTemplateName": "other"}]},
  "status": {"phase": "Running",
    "conditions": [{"type": "ContainersReady", "status": "False", "message": "no"}],
    "containerStatuses": [
      {"name": "a", "state": {"running": {}}},
      {"name": "b", "state": {"waiting": {"reason": "ContainerCreating"}}},
      {"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
       "lastState": {"terminated": {"exitCode": 139, "reason": "Error"}}},
      {"name": "d", "state": {"terminated": {"reason": "Completed", "exitCode": 0}}}],
    "resourceClaimStatuses": [{"name": "made", "resourceClaimName": "train-0-made-x7"}]}})";

TEST(ReadObjectsTest, APodWithItsClaimsAndStuckContainers) {
  json::Document document;
  const PodFacts pod = ReadPod(Parse(&document, kPod));
  EXPECT_EQ(pod.name, "train-0");
  EXPECT_EQ(pod.node, "n1");
  ASSERT_EQ(pod.claims.size(), 3U);
  EXPECT_EQ(pod.claims[0].claim, "shared");
  EXPECT_EQ(pod.claims[1].claim, "train-0-made-x7");
  EXPECT_EQ(pod.claims[2].claim, "");
  EXPECT_TRUE(Names(pod, "shared"));
  EXPECT_FALSE(Names(pod, "half"));
  ASSERT_EQ(pod.stuck.size(), 1U);
  EXPECT_EQ(pod.stuck[0].name, "c");
  EXPECT_EQ(pod.stuck[0].exit_code, 139);
  EXPECT_FALSE(IsWell(pod));
}

TEST(ReadObjectsTest, AnEventOfEitherApi) {
  json::Document document;
  const PodEvent old = ReadEvent(Parse(
      &document, R"({"reason": "R", "message": "m", "count": 3, "lastTimestamp": "2026-01-01"})"));
  EXPECT_EQ(old.count, 3);
  EXPECT_EQ(old.last_seen, "2026-01-01");
  const PodEvent series =
      ReadEvent(Parse(&document, R"({"eventTime": "2026-01-01", "lastTimestamp": null,
                     "series": {"count": 7, "lastObservedTime": "2026-01-02"}})"));
  EXPECT_EQ(series.count, 7);
  EXPECT_EQ(series.last_seen, "2026-01-02");
}

TEST(ReadObjectsTest, ANodeAndItsLabel) {
  json::Document document;
  const NodeFacts node = ReadNode(Parse(&document, R"({
    "metadata": {"name": "n1", "labels": {"gpu": "on"}}, "spec": {"unschedulable": true},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]}})"));
  EXPECT_TRUE(node.labelled);
  EXPECT_TRUE(node.ready);
  EXPECT_TRUE(node.cordoned);
  EXPECT_FALSE(ReadNode(Parse(&document, R"({"metadata": {"labels": {"gpu": "off"}}})")).labelled);
}

}  // namespace
}  // namespace hami::explain
