// SPDX-License-Identifier: Apache-2.0

#include "extender/wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::extender {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(WireTest, GoKeysAndLowerCamelCaseReadTheSame) {
  for (const char* body :
       {R"({"Pod":{"metadata":{"name":"p"}},"Nodes":null,"NodeNames":["n1","n2"]})",
        R"({"pod":{"metadata":{"name":"p"}},"nodes":null,"nodeNames":["n1","n2"]})",
        R"({"POD":{"metadata":{"name":"p"}},"NODENAMES":["n1","n2"]})"}) {
    json::Document document;
    const auto args = ReadFilterArgs(body, &document);
    ASSERT_TRUE(args) << body;
    EXPECT_EQ(args->pod["metadata"]["name"].Text(), "p");
    EXPECT_THAT(args->names, ElementsAre("n1", "n2"));
    EXPECT_TRUE(args->has_names);
    EXPECT_FALSE(args->has_nodes);
  }
}

TEST(WireTest, WholeNodesGiveTheirNames) {
  json::Document document;
  const auto args = ReadFilterArgs(
      R"({"Pod":{},"Nodes":{"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}})",
      &document);
  ASSERT_TRUE(args);
  EXPECT_TRUE(args->has_nodes);
  EXPECT_FALSE(args->has_names);
  EXPECT_THAT(args->names, ElementsAre("a", "b"));
  EXPECT_THAT(args->nodes, SizeIs(2));
}

TEST(WireTest, WhatCannotBeAnsweredSaysWhy) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "extender args"},
      {"[]", "no JSON object"},
      {"{\"Pod\":", "extender args"},
      {R"({"NodeNames":["a"]})", "extender args missing pod"},
      {R"({"Pod":null,"NodeNames":["a"]})", "extender args missing pod"},
      {R"({"Pod":{}})", "neither NodeNames nor Nodes"},
      {R"({"Pod":{},"Nodes":null,"NodeNames":null})", "neither NodeNames nor Nodes"},
      {R"({"Pod":{},"NodeNames":["a",7]})", "no text"},
      {R"({"Pod":{},"NodeNames":["a",""]})", "no text"},
      {R"({"Pod":{},"Nodes":{"items":[{"metadata":{}}]}})", "without name"},
  };
  for (const auto& [body, why] : cases) {
    json::Document document;
    const auto args = ReadFilterArgs(body, &document);
    ASSERT_FALSE(args) << body;
    EXPECT_THAT(args.error().message, HasSubstr(why)) << body;
  }
}

TEST(WireTest, AnEmptyListOfNamesIsNoError) {
  json::Document document;
  const auto args = ReadFilterArgs(R"({"Pod":{},"NodeNames":[]})", &document);
  ASSERT_TRUE(args);
  EXPECT_THAT(args->names, SizeIs(0));
}

TEST(WireTest, BindingArgsAreReadInAnyCase) {
  const auto args = ReadBindArgs(R"({"podName":"p","PodNamespace":"ns","PodUID":"u","node":"n"})");
  ASSERT_TRUE(args);
  EXPECT_EQ(args->pod_name, "p");
  EXPECT_EQ(args->pod_namespace, "ns");
  EXPECT_EQ(args->pod_uid, "u");
  EXPECT_EQ(args->node, "n");
  const auto missing = ReadBindArgs(R"({"PodName":"p","PodNamespace":"ns","PodUID":"u"})");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("no node"));
  EXPECT_FALSE(ReadBindArgs("nonsense"));
}

TEST(WireTest, ResultsHaveTheKeysOfGo) {
  json::Document document;
  const auto args = ReadFilterArgs(R"({"Pod":{},"NodeNames":["a","b"]})", &document);
  EXPECT_EQ(WriteFilterResult(*args, {.chosen = {"a"}}),
            R"({"NodeNames":["a"],"FailedNodes":null,"FailedAndUnresolvableNodes":null,)"
            R"("Error":"","Nodes":null})");
  EXPECT_EQ(WriteFilterResult(*args, {.failed = {{"a", "1/2 CardInsufficientMemory"}}}),
            R"({"NodeNames":[],"FailedNodes":{"a":"1/2 CardInsufficientMemory"},)"
            R"("FailedAndUnresolvableNodes":null,"Error":"","Nodes":null})");
  EXPECT_EQ(WriteFilterError("it \"broke\""),
            R"({"NodeNames":null,"FailedNodes":null,"FailedAndUnresolvableNodes":null,)"
            R"("Error":"it \"broke\"","Nodes":null})");
  EXPECT_EQ(WriteBindResult(""), R"({"Error":""})");
  const std::pair<std::string_view, int64_t> scores[] = {{"a", 10}, {"b", 0}};
  EXPECT_EQ(WritePriorities(scores), R"([{"Host":"a","Score":10},{"Host":"b","Score":0}])");
}

TEST(WireTest, WholeNodesAreAnsweredWhole) {
  json::Document document;
  const auto args = ReadFilterArgs(
      R"({"Pod":{},"Nodes":{"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"},"x":1}]}})",
      &document);
  ASSERT_TRUE(args);
  EXPECT_THAT(WriteFilterResult(*args, {.chosen = {"b"}}),
              HasSubstr(R"("Nodes":{"metadata":{},"items":[{"metadata":{"name":"b"},"x":1}]}})"));
}

TEST(WireTest, PreemptionOfEitherForm) {
  json::Document document;
  const auto uids = ReadPreemptArgs(R"({"pod":{"a":1},"nodeNameToMetaVictims":{
    "n1":{"pods":[{"uid":"u1"},{"UID":"u2"}],"numPDBViolations":2},"n2":{"Pods":null}}})",
                                    &document);
  ASSERT_TRUE(uids);
  ASSERT_EQ(uids->nodes.size(), 2U);
  EXPECT_EQ(uids->nodes[0].name, "n1");
  EXPECT_THAT(uids->nodes[0].victims, ElementsAre("u1", "u2"));
  EXPECT_EQ(uids->nodes[0].budget_violations, 2);
  EXPECT_THAT(uids->nodes[1].victims, IsEmpty());
  EXPECT_EQ(WritePreemptResult(uids->nodes),
            R"({"NodeNameToMetaVictims":{"n1":{"Pods":[{"UID":"u1"},{"UID":"u2"}],)"
            R"("NumPDBViolations":2},"n2":{"Pods":[],"NumPDBViolations":0}}})");
  const auto pods = ReadPreemptArgs(
      R"({"Pod":{},"NodeNameToVictims":{"n1":{"Pods":[{"metadata":{"uid":"u1"}}]}},
          "NodeNameToMetaVictims":null})",
      &document);
  ASSERT_TRUE(pods);
  EXPECT_THAT(pods->nodes[0].victims, ElementsAre("u1"));
  for (const char* body :
       {"[]", "{}", R"({"Pod":{}})", R"({"NodeNameToMetaVictims":{}})",
        R"({"Pod":{},"NodeNameToMetaVictims":{"n1":{"Pods":[{"Name":"x"}]}}})"}) {
    EXPECT_FALSE(ReadPreemptArgs(body, &document)) << body;
  }
}

TEST(WireTest, EveryLetterOfAKeyMayBeOfEitherCase) {
  json::Document document;
  for (const char* body :
       {R"({"pOD":{},"nODENAMES":["n1"]})", R"({"PoD":{},"NodenameS":["n1"]})"}) {
    const auto args = ReadFilterArgs(body, &document);
    ASSERT_TRUE(args) << body;
    EXPECT_THAT(args->names, ElementsAre("n1"));
  }
  // All letters that the keys have: those of "podname", "podnamespace", "poduid", "node".
  const auto bind = ReadBindArgs(R"({"PODNAME":"p","PODNAMESPACE":"s","PODUID":"u","NODE":"n"})");
  ASSERT_TRUE(bind);
  EXPECT_EQ(bind->pod_uid, "u");
}

// As Go's decoder does.
TEST(WireTest, OfAKeyThatStandsTwiceTheLastCounts) {
  json::Document document;
  const auto args =
      ReadFilterArgs(R"({"Pod":{},"NodeNames":["old"],"nodenames":["new"]})", &document);
  ASSERT_TRUE(args);
  EXPECT_THAT(args->names, ElementsAre("new"));
}

TEST(WireTest, ANodeThatStandsTwiceIsOne) {
  json::Document document;
  const auto args = ReadFilterArgs(
      R"({"Pod":{},"Nodes":{"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"a"}}]}})",
      &document);
  ASSERT_TRUE(args);
  EXPECT_THAT(args->names, ElementsAre("a"));
  EXPECT_THAT(args->nodes, SizeIs(1));
}

TEST(WireTest, NamesGoBeforeWholeNodes) {
  json::Document document;
  const auto args = ReadFilterArgs(
      R"({"Pod":{},"NodeNames":["b"],"Nodes":{"items":[{"metadata":{"name":"a"}}]}})", &document);
  ASSERT_TRUE(args);
  EXPECT_THAT(args->names, ElementsAre("b"));
  EXPECT_THAT(args->nodes, IsEmpty());
  // And are answered as names; an error has no nodes in any form.
  EXPECT_THAT(WriteFilterResult(*args, {.chosen = {"b"}}), HasSubstr(R"("Nodes":null)"));
  const auto whole =
      ReadFilterArgs(R"({"Pod":{},"Nodes":{"items":[{"metadata":{"name":"a"}}]}})", &document);
  EXPECT_THAT(WriteFilterResult(*whole, {.error = "why"}),
              HasSubstr(R"("Error":"why","Nodes":null)"));
}

TEST(WireTest, EachFieldOfABindingIsNeeded) {
  for (const char* missing : {"PodName", "PodNamespace", "PodUID", "Node"}) {
    std::string body;
    for (const char* key : {"PodName", "PodNamespace", "PodUID", "Node"}) {
      if (key == std::string_view(missing)) continue;
      body += (body.empty() ? "{\"" : ",\"") + std::string(key) + "\":\"x\"";
    }
    EXPECT_FALSE(ReadBindArgs(body + "}")) << missing;
  }
}

}  // namespace
}  // namespace hami::extender
