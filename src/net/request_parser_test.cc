// SPDX-License-Identifier: Apache-2.0

#include "net/request_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace hami::net {
namespace {

using ::testing::HasSubstr;
using Step = RequestParser::Step;

constexpr RequestLimits kLimits = {.header_bytes = 200, .body_bytes = 50};

// As a connection feeds it: `piece` bytes more each time, after `first` if given; what is not taken
// comes again.
class Feeder {
 public:
  Feeder(std::string_view text, size_t piece, size_t first = 0)
      : text_(text), piece_(piece), end_(first) {}

  Step Run(RequestParser* parser) {
    for (;;) {
      size_t used = 0;
      const Step step = parser->Put(text_.substr(begin_, end_ - begin_), &used);
      begin_ += used;
      if (step == Step::kWhole || step == Step::kRefused) return step;
      if (step == Step::kHeaderRead) continue;
      if (end_ == text_.size()) return step;
      end_ = std::min(end_ + piece_, text_.size());
    }
  }
  std::string_view rest() const { return text_.substr(begin_); }

 private:
  const std::string_view text_;
  const size_t piece_;
  size_t begin_ = 0;
  size_t end_;
};

TEST(RequestParserTest, ReadsTheSameInWhateverPiecesItComes) {
  const std::string one =
      "POST /a?b HTTP/1.1\r\nHost: x\r\nX-Name: first\r\nx-name: second\r\nContent-Length: "
      "4\r\n\r\nbody";
  const std::string other =
      "PUT /c HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"
      "GET /next";
  const std::string chunks =
      "POST /d HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n"
      "X-Name: trailer\r\n\r\n";
  for (size_t piece = 1; piece <= one.size() + other.size() + chunks.size(); ++piece) {
    RequestParser parser(kLimits);
    const std::string text = one + chunks + other;
    Feeder feeder(text, piece);
    ASSERT_EQ(feeder.Run(&parser), Step::kWhole) << piece;
    EXPECT_EQ(parser.method(), "POST");
    EXPECT_EQ(parser.target(), "/a?b");
    EXPECT_EQ(parser.version(), 11);
    EXPECT_EQ(parser.Header("X-NAME"), "first");
    EXPECT_EQ(parser.Header("absent"), "");
    EXPECT_EQ(parser.body(), "body");
    EXPECT_TRUE(parser.keep_alive());
    EXPECT_FALSE(parser.expects_continue());
    parser.Reset();
    ASSERT_EQ(feeder.Run(&parser), Step::kWhole) << piece;
    EXPECT_EQ(parser.body(), "abcde");
    EXPECT_EQ(parser.Header("x-name"), "") << "a trailer is no header";
    parser.Reset();
    ASSERT_EQ(feeder.Run(&parser), Step::kWhole) << piece;
    EXPECT_EQ(parser.version(), 10);
    EXPECT_EQ(parser.body(), "");
    EXPECT_FALSE(parser.keep_alive());
    EXPECT_TRUE(parser.expects_continue());
    EXPECT_EQ(feeder.rest(), "GET /next");
  }
}

TEST(RequestParserTest, SaysHowMuchIsMissing) {
  RequestParser parser(kLimits);
  Feeder feeder("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n12", 1000);
  EXPECT_EQ(feeder.Run(&parser), Step::kMore);
  EXPECT_EQ(parser.missing_bytes(), 8U);
}

TEST(RequestParserTest, EndlessHeadersAreRefusedHoweverTheyCome) {
  const std::string start = "GET / HTTP/1.1\r\n";
  const std::string field = "X: y\r\n";
  std::string endless = start;
  for (int i = 0; i < 1000; ++i) endless += field;
  for (const size_t piece : {size_t{1}, field.size(), endless.size()}) {
    RequestParser parser(kLimits);
    // A line and the first letter of the next: Beast takes the line, and waits for no end.
    Feeder feeder(endless, piece, start.size() + 1);
    EXPECT_EQ(feeder.Run(&parser), Step::kRefused) << piece;
    EXPECT_EQ(parser.refusal().status, 431);
    EXPECT_GT(feeder.rest().size(), endless.size() / 2) << "early";
  }
}

TEST(RequestParserTest, EndlessChunkExtensionsAreRefused) {
  const std::string text =
      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(10'000, 'x');
  for (const size_t piece : {1, 100, 20'000}) {
    RequestParser parser(kLimits);
    Feeder feeder(text, piece);
    EXPECT_EQ(feeder.Run(&parser), Step::kRefused) << piece;
    EXPECT_EQ(parser.refusal().status, 400);
  }
}

TEST(RequestParserTest, BodiesBeyondTheLimitAreRefusedBeforeTheyCome) {
  for (const char* text : {"POST / HTTP/1.1\r\nContent-Length: 51\r\n\r\n",
                           "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n33\r\n"}) {
    RequestParser parser(kLimits);
    Feeder feeder(text, 1000);
    EXPECT_EQ(feeder.Run(&parser), Step::kRefused) << text;
    EXPECT_EQ(parser.refusal().status, 413);
  }
}

TEST(RequestParserTest, TwoWaysToTellALengthAreRefused) {
  RequestParser parser(kLimits);
  Feeder feeder(
      "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1000);
  EXPECT_EQ(feeder.Run(&parser), Step::kRefused);
  EXPECT_EQ(parser.refusal().status, 400);
  EXPECT_THAT(parser.refusal().text, HasSubstr("not HTTP: "));
}

}  // namespace
}  // namespace hami::net
