// SPDX-License-Identifier: Apache-2.0

#include "protobuf/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

#include "protobuf/fake_writer.h"

namespace hami::protobuf {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ReaderTest, FieldsInTheirOrder) {
  const std::string bytes = FakeWriter()
                                .Text(1, "name")
                                .Number(2, 150)
                                .Number(3, static_cast<uint64_t>(int64_t{-5}))
                                .Text(536'870'911, "")
                                .Fixed32(4, 0xfeedbeef)
                                .Fixed64(5, 0x0123456789abcdef)
                                .Number(6, std::numeric_limits<uint64_t>::max())
                                .bytes();
  Reader fields(bytes);
  ASSERT_TRUE(fields.Next());
  EXPECT_EQ(fields.number(), 1U);
  EXPECT_EQ(fields.Text(), "name");
  ASSERT_TRUE(fields.Next());
  EXPECT_EQ(fields.number(), 2U);
  EXPECT_EQ(fields.Unsigned(), 150U);
  EXPECT_TRUE(fields.Flag());
  ASSERT_TRUE(fields.Next());
  EXPECT_EQ(fields.Signed(), -5);
  EXPECT_EQ(fields.Signed32(), -5);
  ASSERT_TRUE(fields.Next());
  EXPECT_EQ(fields.number(), 536'870'911U);
  EXPECT_EQ(fields.Text(), "");
  ASSERT_TRUE(fields.Next());
  EXPECT_EQ(fields.Unsigned(), 0xfeedbeefU);
  ASSERT_TRUE(fields.Next());
  EXPECT_EQ(fields.Unsigned(), 0x0123456789abcdefU);
  ASSERT_TRUE(fields.Next());
  EXPECT_EQ(fields.Unsigned(), std::numeric_limits<uint64_t>::max());
  EXPECT_FALSE(fields.Next());
  EXPECT_TRUE(fields.End());
}

// The encoding guide's own example: field 1 is 150.
TEST(ReaderTest, TheGuidesExample) {
  Reader fields("\x08\x96\x01");
  ASSERT_TRUE(fields.Next());
  EXPECT_EQ(fields.number(), 1U);
  EXPECT_EQ(fields.Unsigned(), 150U);
  EXPECT_FALSE(fields.Next());
}

TEST(ReaderTest, NothingIsAMessage) {
  Reader fields("");
  EXPECT_FALSE(fields.Next());
  EXPECT_TRUE(fields.End());
}

Status ReadAll(std::string_view bytes) {
  Reader fields(bytes);
  while (fields.Next()) {
  }
  return fields.End();
}

TEST(ReaderTest, WhatIsNoMessageSaysWhy) {
  const struct {
    std::string_view bytes;
    const char* why;
  } kBad[] = {{std::string_view("\0", 1), "without a number"},
              {std::string_view("\0\0", 2), "without a number"},
              {"\x80", "ends within a number"},
              {"\x08\xff", "ends within a number"},
              {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "more than"},
              {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "more than 64 bits"},
              {"\xff\xff\xff\xff\x7f\x01", "without a number"},
              {"\x0a\x05xxxx", "ends within a field"},
              {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "ends within a field"},
              {"\x0b", "wire type"},
              {"\x0e", "wire type"},
              {"\x09xxxxxxx", "ends within a number"},
              {"\x0dxxx", "ends within a number"}};
  for (const auto& bad : kBad) {
    const Status status = ReadAll(bad.bytes);
    ASSERT_FALSE(status) << bad.why;
    EXPECT_EQ(status.error().code, Code::kInvalidArgument);
    EXPECT_THAT(status.error().message, HasSubstr(bad.why));
  }
}

TEST(ReaderTest, AValueOfAnotherTypeIsAFault) {
  const std::string numbers = FakeWriter().Number(1, 7).Number(2, 8).bytes();
  Reader number(numbers);
  ASSERT_TRUE(number.Next());
  EXPECT_EQ(number.Text(), "");
  EXPECT_FALSE(number.Next());
  EXPECT_FALSE(number.End());
  const std::string texts = FakeWriter().Text(1, "7").Number(2, 8).bytes();
  Reader text(texts);
  ASSERT_TRUE(text.Next());
  EXPECT_EQ(text.Unsigned(), 0U);
  EXPECT_FALSE(text.Next());
  EXPECT_FALSE(text.End());
}

TEST(ReaderTest, EveryCutIsNoticedOrEndsBetweenFields) {
  const std::string bytes =
      FakeWriter().Text(1, "abc").Number(2, 1'000'000).Fixed64(3, 1).Fixed32(4, 1).bytes();
  std::vector<size_t> whole;
  for (size_t size = 0; size <= bytes.size(); ++size) {
    if (ReadAll(std::string_view(bytes).substr(0, size))) whole.push_back(size);
  }
  EXPECT_THAT(whole, ElementsAre(0, 5, 9, 18, 23));
}

TEST(ReaderTest, AnyBytesEnd) {
  std::mt19937 random(6);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(random() % 64, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    (void)ReadAll(bytes);  // the sanitizers see a read outside
  }
}

}  // namespace
}  // namespace hami::protobuf
