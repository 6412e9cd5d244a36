// SPDX-License-Identifier: Apache-2.0

#include "simulate/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::simulate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string FaultOf(std::string_view text) {
  const Result<CsvTable> table = CsvTable::Parse("t.csv", text);
  return table ? "" : table.error().message;
}

TEST(CsvTest, FindsColumnsByNameWhateverTheOrder) {
  const Result<CsvTable> table = CsvTable::Parse("t.csv", "b,a\n1,2\n\n3,4\n");
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->Column("a"), 1U);
  EXPECT_EQ(table->Column("c"), std::nullopt);
  ASSERT_EQ(table->rows().size(), 2U);
  EXPECT_THAT(table->rows()[1].cells, ElementsAre("3", "4"));
  EXPECT_EQ(table->rows()[1].line, 4U);
}

TEST(CsvTest, ReadsQuotesMarksAndReturns) {
  const Result<CsvTable> table = CsvTable::Parse("t.csv",
                                                 "\xEF\xBB\xBF"
                                                 "a,b\r\n\"x,\"\"y\"\"\nz\", 7 \r\n5,6");
  ASSERT_TRUE(table) << table.error().message;
  ASSERT_EQ(table->rows().size(), 2U);
  EXPECT_THAT(table->rows()[0].cells, ElementsAre("x,\"y\"\nz", "7"));
  EXPECT_EQ(table->rows()[1].line, 4U);  // the quote went over a line
}

TEST(CsvTest, FaultsNameFileAndLine) {
  EXPECT_EQ(FaultOf(""), "t.csv: is empty");
  EXPECT_EQ(FaultOf("a,b\n1,2\n3\n"), "t.csv:3: 1 cells, where the first row names 2 columns");
  EXPECT_EQ(FaultOf("a,b\n\"1,2\n"), "t.csv:2: a quote is opened here and never closed");
}

TEST(CsvTest, NumbersAreWholeAndBounded) {
  const Result<CsvTable> table = CsvTable::Parse("t.csv", "a\n12\n12.0\n12.5\n-1\n101\nx\n");
  ASSERT_TRUE(table);
  const auto number = [&](size_t row) { return table->Number(table->rows()[row], 0, 100); };
  EXPECT_EQ(number(0).value_or(-1), 12);
  EXPECT_EQ(number(1).value_or(-1), 12);
  for (const size_t row : {2U, 3U, 4U, 5U}) {
    ASSERT_FALSE(number(row)) << row;
    EXPECT_THAT(number(row).error().message, HasSubstr("is no whole number from 0 to 100"));
  }
}

TEST(CsvTest, SecondsMayBeMissing) {
  const Result<CsvTable> table = CsvTable::Parse("t.csv", "a,b\n,1.5\nnan,x\n");
  ASSERT_TRUE(table);
  EXPECT_EQ(*table->Seconds(table->rows()[0], 0), std::nullopt);
  EXPECT_EQ(*table->Seconds(table->rows()[0], 1), 1.5);
  EXPECT_FALSE(table->Seconds(table->rows()[1], 0));
  EXPECT_FALSE(table->Seconds(table->rows()[1], 1));
}

}  // namespace
}  // namespace hami::simulate
