// SPDX-License-Identifier: Apache-2.0
//
// Rules that are short: Moore Threads, Vastai.

#include "placement/rules/rules.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "placement/rules/fake_rules.h"

namespace hami::placement {
namespace {

TEST_F(RulesTest, MooreThreadsContainersShareTheirDevice) {
  domain::Node node;
  node.name = "mt";
  node.capacity = {{"mthreads.com/sgpu-core", "32"}, {"mthreads.com/sgpu-memory", "192"}};
  AddNode(node);
  const auto half = [](const char* cores) {
    return Texts{{"mthreads.com/vgpu", "1"},
                 {"mthreads.com/sgpu-memory", "32"},
                 {"mthreads.com/sgpu-core", cores}};
  };

  const Names names = Put(PodOf({half("8"), half("8")}));
  ASSERT_EQ(names.size(), 2U) << why_;
  EXPECT_EQ(names[0], names[1]);

  EXPECT_TRUE(Put(PodOf({half("12"), half("12")})).empty()) << "two cards have room, one has not";
}

TEST_F(RulesTest, VastaiKeepsDiesOfOneCardTogether) {
  AddNode(Announced("va", "hami.io/node-va-register", 5, [](size_t i) {
    return fmt::format(R"({{"id":"v{}","index":{},"count":1,"devmem":100,"health":true,)"
                       R"("custominfo":{{"DeviceStrategy":"die","AIC":"card-{}"}}}})",
                       i, i, i < 2 ? 0 : 1);
  }));

  const Names names = Put(PodOf({{{"vastaitech.com/va", "3"}}}));

  EXPECT_EQ(Sorted(names), (Names{"v2", "v3", "v4"})) << why_;
}

}  // namespace
}  // namespace hami::placement
