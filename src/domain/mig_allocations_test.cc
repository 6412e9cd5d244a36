// SPDX-License-Identifier: Apache-2.0

#include "domain/mig_allocations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The contract's example (2.3).
constexpr char kMade[] =
    R"([{"containerIndex":0,"deviceIndex":0,"gpuUUID":"GPU-a","profile":"2g.10gb",)"
    R"("placement":{"start":2,"size":2},"migUUID":"MIG-5f3c","gpuInstanceID":5,)"
    R"("computeInstanceID":0}])";
constexpr char kReserved[] =
    R"([{"containerIndex":1,"deviceIndex":0,"gpuUUID":"GPU-a","profile":"1g.5gb",)"
    R"("placement":{"start":0,"size":1}},{"containerIndex":1,"deviceIndex":1,"gpuUUID":"GPU-a",)"
    R"("profile":"1g.5gb","placement":{"start":1,"size":1}}])";

TEST(MigAllocationsTest, AnInstanceThatTheNodeHasMade) {
  const auto allocations = ParseMigAllocations(kMade);
  ASSERT_TRUE(allocations) << allocations.error().message;
  EXPECT_THAT(*allocations,
              ElementsAre(MigAllocation{0, 0, "GPU-a", {"2g.10gb", 2, 2, "MIG-5f3c", 5, 0}}));
  EXPECT_EQ(FormatMigAllocations(*allocations), kMade);
}

TEST(MigAllocationsTest, TwoThatAreOnlyReserved) {
  const auto allocations = ParseMigAllocations(kReserved);
  ASSERT_TRUE(allocations) << allocations.error().message;
  EXPECT_THAT(*allocations,
              ElementsAre(MigAllocation{1, 0, "GPU-a", {.profile = "1g.5gb", .size = 1}},
                          MigAllocation{1, 1, "GPU-a", {"1g.5gb", 1, 1}}));
  EXPECT_EQ(FormatMigAllocations(*allocations), kReserved);
  EXPECT_THAT(*ParseMigAllocations("[]"), IsEmpty());
}

std::string With(const std::string& members) {
  return R"([{"gpuUUID":"GPU-a","profile":"1g.5gb","placement":{"start":0,"size":1},)" + members +
         "}]";
}

TEST(MigAllocationsTest, TheMembersOfTheNodeComeTogether) {
  EXPECT_TRUE(
      ParseMigAllocations(With(R"("migUUID":"MIG-1","gpuInstanceID":0,"computeInstanceID":0)")));
  EXPECT_TRUE(ParseMigAllocations(With(R"("migUUID":null)")));
  for (const char* part :
       {R"("migUUID":"MIG-1")", R"("gpuInstanceID":1)", R"("computeInstanceID":0)",
        R"("migUUID":"MIG-1","gpuInstanceID":1)", R"("gpuInstanceID":1,"computeInstanceID":0)",
        R"("migUUID":"","gpuInstanceID":1,"computeInstanceID":0)",
        R"("migUUID":"MIG-1","gpuInstanceID":-1,"computeInstanceID":0)",
        R"("migUUID":"MIG-1","gpuInstanceID":"1","computeInstanceID":0)"}) {
    EXPECT_FALSE(ParseMigAllocations(With(part))) << part;
  }
}

TEST(MigAllocationsTest, RefusesTheWholeListForOneBadEntry) {
  const struct {
    const char* text;
    const char* why;
  } kBad[] = {
      {R"({"gpuUUID":"g","profile":"p","placement":{"size":1},"containerIndex":-1})", "index"},
      {R"({"gpuUUID":"g","profile":"p","placement":{"size":1},"deviceIndex":-1})", "index"},
      {R"({"profile":"p","placement":{"size":1}})", "gpuUUID"},
      {R"({"gpuUUID":"","profile":"p","placement":{"size":1}})", "gpuUUID"},
      {R"({"gpuUUID":"g","placement":{"size":1}})", "profile"},
      {R"({"gpuUUID":"g","profile":"p"})", "placement"},
      {R"({"gpuUUID":"g","profile":"p","placement":{"start":1}})", "placement"},
      {R"({"gpuUUID":"g","profile":"p","placement":{"start":1,"size":0}})", "placement"},
      {R"({"gpuUUID":"g","profile":"p","placement":{"start":-1,"size":1}})", "placement"},
      {R"({"gpuUUID":"g","profile":"p","placement":[]})", "placement"},
      {R"({"gpuUUID":"g","profile":"p","placement":{"size":4294967297}})", "size"},
      {R"({"gpuUUID":7,"profile":"p","placement":{"size":1}})", "gpuUUID"},
      {"null", "object"},
      // The first entry is of the same container and device.
      {R"({"gpuUUID":"h","profile":"p","placement":{"size":1},"containerIndex":3})", "twice"}};
  for (const auto& bad : kBad) {
    const auto allocations = ParseMigAllocations(
        std::string(
            R"([{"gpuUUID":"g","profile":"p","placement":{"size":1},"containerIndex":3},)") +
        bad.text + "]");
    ASSERT_FALSE(allocations) << bad.text;
    EXPECT_EQ(allocations.error().code, Code::kInvalidArgument);
    EXPECT_THAT(allocations.error().message, HasSubstr(bad.why));
    EXPECT_THAT(allocations.error().message, HasSubstr("allocation 2"));
  }
  for (const char* text : {"", "{}", "null", "[", "\"\""}) {
    EXPECT_FALSE(ParseMigAllocations(text)) << text;
  }
}

}  // namespace
}  // namespace hami::domain
