// SPDX-License-Identifier: Apache-2.0

#include "preload/environment.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace hami::preload {
namespace {

struct SizeCase {
  const char* text;
  uint64_t bytes;  // 0: refused
};

class MemorySize : public testing::TestWithParam<SizeCase> {};

TEST_P(MemorySize, IsReadAsHamiMeansIt) {
  uint64_t bytes = 0;
  EXPECT_EQ(ParseMemorySize(GetParam().text, &bytes), GetParam().bytes != 0);
  if (GetParam().bytes != 0) {
    EXPECT_EQ(bytes, GetParam().bytes);
  }
}

constexpr uint64_t kGi = uint64_t{1} << 30;
constexpr uint64_t kMi = uint64_t{1} << 20;

INSTANTIATE_TEST_SUITE_P(
    Cases, MemorySize,
    testing::Values(SizeCase{"10240m", 10 * kGi}, SizeCase{"10g", 10 * kGi},
                    SizeCase{"10G", 10 * kGi}, SizeCase{"10Gi", 10 * kGi},
                    SizeCase{"10GB", 10 * kGi}, SizeCase{"10GiB", 10 * kGi},
                    SizeCase{"512M", 512 * kMi}, SizeCase{"4k", 4096}, SizeCase{"4096", 4096},
                    SizeCase{"4096b", 4096}, SizeCase{"0x10m", 16 * kMi}, SizeCase{"010m", 8 * kMi},
                    SizeCase{"1t", 1024 * kGi}, SizeCase{"0", 0}, SizeCase{"0m", 0},
                    SizeCase{"", 0}, SizeCase{"m", 0}, SizeCase{"-1g", 0}, SizeCase{"10x", 0},
                    SizeCase{"10gg", 0}, SizeCase{"10 g", 0}, SizeCase{"999999999t", 0},
                    SizeCase{"99999999999999999999", 0}));

TEST(Environment, IndexedNamesWinOverPlainOnes) {
  setenv("HAMI_TEST_LIMIT", "plain", 1);
  setenv("HAMI_TEST_LIMIT_1", "one", 1);
  setenv("HAMI_TEST_LIMIT_12", "twelve", 1);
  setenv("HAMI_TEST_LIMITS", "other", 1);
  EXPECT_STREQ(FindEnvironment("HAMI_TEST_LIMIT"), "plain");
  EXPECT_STREQ(FindIndexedEnvironment("HAMI_TEST_LIMIT", 1), "one");
  EXPECT_STREQ(FindIndexedEnvironment("HAMI_TEST_LIMIT", 12), "twelve");
  EXPECT_STREQ(FindIndexedEnvironment("HAMI_TEST_LIMIT", 2), "plain");
  EXPECT_EQ(FindEnvironment("HAMI_TEST_LIM"), nullptr);
  EXPECT_EQ(FindIndexedEnvironment("HAMI_TEST_NOTHING", 0), nullptr);
}

TEST(Environment, WholeNumbers) {
  uint64_t number = 0;
  EXPECT_TRUE(ParseWholeNumber("50", &number));
  EXPECT_EQ(number, 50U);
  EXPECT_FALSE(ParseWholeNumber("50%", &number));
  EXPECT_FALSE(ParseWholeNumber("", &number));
}

std::vector<std::string> PathsOf(const char* list) {
  std::vector<std::string> paths;
  char path[8];
  for (;;) {
    const ListedPath taken = TakeListedPath(&list, path, sizeof(path));
    if (taken == ListedPath::kEnd) return paths;
    paths.emplace_back(taken == ListedPath::kTaken ? path : "too long");
  }
}

TEST(Environment, ListsOfPaths) {
  using Paths = std::vector<std::string>;
  EXPECT_EQ(PathsOf(""), Paths());
  EXPECT_EQ(PathsOf(":::"), Paths());
  EXPECT_EQ(PathsOf("/a"), Paths({"/a"}));
  EXPECT_EQ(PathsOf(":/a::/b:"), Paths({"/a", "/b"}));
  EXPECT_EQ(PathsOf("/345678:/b"), Paths({"/345678", "/b"}));
  EXPECT_EQ(PathsOf("/a:/3456789:/b"), Paths({"/a", "too long", "/b"})) << "never cut to another";
}

}  // namespace
}  // namespace hami::preload
