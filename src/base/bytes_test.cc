// SPDX-License-Identifier: Apache-2.0

#include "base/bytes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::base {
namespace {

using ::testing::HasSubstr;

uint64_t MustParse(std::string_view text) {
  const Result<uint64_t> bytes = ParseBytes(text);
  EXPECT_TRUE(bytes) << text << ": " << (bytes ? "" : bytes.error().message);
  return bytes.value_or(~uint64_t{0});
}

std::string Refusal(std::string_view text) {
  const Result<MemoryAmount> amount = ParseMemoryAmount(text);
  if (amount) return "accepted";
  EXPECT_EQ(amount.error().code, Code::kInvalidArgument);
  return amount.error().message;
}

TEST(ParseBytesTest, ReadsUnits) {
  EXPECT_EQ(MustParse("10Gi"), 10 * kGib);
  EXPECT_EQ(MustParse("10GiB"), 10 * kGib);
  EXPECT_EQ(MustParse("10240Mi"), 10 * kGib);
  EXPECT_EQ(MustParse("1Ti"), 1024 * kGib);
  EXPECT_EQ(MustParse("512Ki"), kMib / 2);
  EXPECT_EQ(MustParse("10G"), 10'000'000'000U);
  EXPECT_EQ(MustParse("10GB"), 10'000'000'000U);
  EXPECT_EQ(MustParse("7k"), 7000U);
  EXPECT_EQ(MustParse("4096B"), 4096U);
  EXPECT_EQ(MustParse("0Gi"), 0U);
}

TEST(ParseBytesTest, NumberAloneIsMib) { EXPECT_EQ(MustParse("10240"), 10 * kGib); }

TEST(ParseBytesTest, ReadsFractionsExactly) {
  EXPECT_EQ(MustParse("1.5Gi"), kGib + kGib / 2);
  EXPECT_EQ(MustParse("0.25Mi"), kMib / 4);
  EXPECT_EQ(MustParse("2.50"), 2 * kMib + kMib / 2);
  EXPECT_THAT(Refusal("0.3Ki"), HasSubstr("whole number of bytes"));
}

TEST(ParseBytesTest, SaysWhichUnitWasMeant) {
  EXPECT_THAT(Refusal("10Gib"), HasSubstr("use Gi or GiB"));
  EXPECT_THAT(Refusal("10gi"), HasSubstr("use Gi or GiB"));
  EXPECT_THAT(Refusal("10mib"), HasSubstr("use Mi or MiB"));
  EXPECT_THAT(Refusal("10g"), HasSubstr("use Gi (1024) or G (1000)"));
  EXPECT_THAT(Refusal("10K"), HasSubstr("use Ki (1024) or k (1000)"));
  EXPECT_THAT(Refusal("10X"), HasSubstr("unknown unit \"X\""));
}

TEST(ParseBytesTest, RefusesWhatIsNoAmount) {
  EXPECT_THAT(Refusal(""), HasSubstr("empty"));
  EXPECT_THAT(Refusal("-1Gi"), HasSubstr("negative"));
  EXPECT_THAT(Refusal("10 Gi"), HasSubstr("no spaces"));
  EXPECT_THAT(Refusal("Gi"), HasSubstr("not an amount"));
  EXPECT_THAT(Refusal("1."), HasSubstr("not an amount"));
  EXPECT_THAT(Refusal(".5Gi"), HasSubstr("not an amount"));
  EXPECT_THAT(Refusal("1.2.3Gi"), HasSubstr("unknown unit"));
  EXPECT_THAT(Refusal("0x10"), HasSubstr("unknown unit"));
  EXPECT_THAT(Refusal("1e3"), HasSubstr("unknown unit"));
  EXPECT_THAT(Refusal("+5Gi"), HasSubstr("not an amount"));
}

TEST(ParseBytesTest, IsBounded) {
  EXPECT_EQ(MustParse("256Ti"), kMaxParsedBytes);
  EXPECT_THAT(Refusal("257Ti"), HasSubstr("more than 256Ti"));
  EXPECT_THAT(Refusal("99999999999999999999999Gi"), HasSubstr("too long"));
  EXPECT_THAT(Refusal("999999999999999999Ti"), HasSubstr("more than 256Ti"));
}

TEST(MemoryAmountTest, ReadsPercentages) {
  const Result<MemoryAmount> amount = ParseMemoryAmount("40%");
  ASSERT_TRUE(amount);
  EXPECT_TRUE(amount->is_percent);
  EXPECT_EQ(amount->Of(1000 * kMib), 400 * kMib);
  EXPECT_EQ(ParseMemoryAmount("12.5%")->Of(1000 * kMib), 125 * kMib);
  EXPECT_EQ(ParseMemoryAmount("100%")->Of(23028 * kMib), 23028 * kMib);
}

TEST(MemoryAmountTest, RoundsPercentagesDownToMib) {
  EXPECT_EQ(ParseMemoryAmount("40%")->Of(23028 * kMib), 9211 * kMib);
}

TEST(MemoryAmountTest, BytesDoNotDependOnTheDevice) {
  EXPECT_EQ(ParseMemoryAmount("10Gi")->Of(kGib), 10 * kGib);
}

TEST(MemoryAmountTest, RefusesPercentagesOutOfRange) {
  EXPECT_THAT(Refusal("101%"), HasSubstr("more than 100%"));
  EXPECT_THAT(Refusal("100.0001%"), HasSubstr("more than 100%"));
  EXPECT_THAT(Refusal("0%"), HasSubstr("0.001 to 100"));
  EXPECT_THAT(Refusal("-5%"), HasSubstr("negative"));
  EXPECT_THAT(Refusal("%"), HasSubstr("not an amount"));
  EXPECT_THAT(Refusal("5Gi%"), HasSubstr("not a percentage"));
}

TEST(FormatBytesTest, LosesNothing) {
  EXPECT_EQ(FormatBytes(10 * kGib), "10Gi");
  EXPECT_EQ(FormatBytes(23028 * kMib), "23028Mi");
  EXPECT_EQ(FormatBytes(0), "0B");
  EXPECT_EQ(FormatBytes(1000), "1000B");
  for (const uint64_t bytes : {uint64_t{1}, uint64_t{4096}, 3 * kMib + 1, 40 * kGib}) {
    EXPECT_EQ(MustParse(FormatBytes(bytes)), bytes);
  }
}

TEST(FormatBytesTest, RoundsForPeople) {
  EXPECT_EQ(FormatBytesRounded(10 * kGib + kGib / 2), "10.5 GiB");
  EXPECT_EQ(FormatBytesRounded(12), "12 B");
}

}  // namespace
}  // namespace hami::base
