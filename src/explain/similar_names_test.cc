// SPDX-License-Identifier: Apache-2.0

#include "explain/similar_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::explain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(SimilarNamesTest, TheNearestIsFirst) {
  EXPECT_THAT(SimilarNames("train-gpu", {"web", "trian-gpu", "train-gpu-7x2kq"}),
              ElementsAre("train-gpu-7x2kq", "trian-gpu", "web"));
}

TEST(SimilarNamesTest, OfManyOnlyThoseThatAreLikeIt) {
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) names.push_back("something-else-" + std::to_string(i));
  EXPECT_THAT(SimilarNames("train", names), IsEmpty());
  names.emplace_back("trainer");
  EXPECT_THAT(SimilarNames("train", names), ElementsAre("trainer"));
}

}  // namespace
}  // namespace hami::explain
