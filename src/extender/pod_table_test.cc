// SPDX-License-Identifier: Apache-2.0

#include "extender/pod_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::extender {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

PodPointer Pod(const std::string& name, const std::string& uid, const std::string& problem = "") {
  PodEntry entry;
  entry.key = {"default", name};
  entry.facts.uid = uid;
  entry.problem = problem;
  return std::make_shared<const PodRecord>(entry);
}

TEST(PodTableTest, FindsByUidAndByName) {
  PodTable pods;
  pods.Put(Pod("a", "ua"));
  pods.Put(Pod("b", "ub"));
  ASSERT_NE(pods.Find("ua"), nullptr);
  EXPECT_EQ(pods.Find("ua")->name(), "a");
  ASSERT_NE(pods.FindByKey({"default", "b"}), nullptr);
  EXPECT_EQ(pods.FindByKey({"default", "b"})->uid(), "ub");
  EXPECT_EQ(pods.FindByKey({"other", "b"}), nullptr);
  EXPECT_EQ(pods.Find("uc"), nullptr);
  EXPECT_EQ(pods.size(), 2U);
}

TEST(PodTableTest, APodIsReplacedAndErasedInBothIndexes) {
  PodTable pods;
  pods.Put(Pod("a", "ua", "forged"));
  EXPECT_EQ(pods.unreadable(), 1U);
  const PodPointer second = Pod("a", "ua");
  pods.Put(second);
  EXPECT_EQ(pods.unreadable(), 0U);
  EXPECT_EQ(pods.size(), 1U);
  EXPECT_EQ(pods.FindByKey({"default", "a"}), second.get());
  pods.Erase("ua");
  pods.Erase("ua");
  EXPECT_EQ(pods.size(), 0U);
  EXPECT_EQ(pods.FindByKey({"default", "a"}), nullptr);
}

TEST(PodTableTest, OthersAreThoseThatAListDoesNotHave) {
  PodTable pods;
  for (const char* name : {"a", "b", "c"}) pods.Put(Pod(name, std::string("u") + name));
  EXPECT_THAT(pods.Others({Pod("b", "ub"), Pod("d", "ud")}), UnorderedElementsAre("ua", "uc"));
  EXPECT_THAT(pods.Others({Pod("a", "ua"), Pod("b", "other"), Pod("c", "uc")}), ElementsAre("ub"));
}

}  // namespace
}  // namespace hami::extender
