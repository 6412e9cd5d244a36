// SPDX-License-Identifier: Apache-2.0

#include "top/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::top {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(TopKeysTest, Letters) {
  EXPECT_THAT(KeysOf("q/"), ElementsAre(Key{KeyName::kText, 'q'}, Key{KeyName::kText, '/'}));
  EXPECT_THAT(KeysOf("\r\x7f\b\n"), ElementsAre(Key{KeyName::kEnter}, Key{KeyName::kBackspace},
                                                Key{KeyName::kBackspace}, Key{KeyName::kEnter}));
  EXPECT_THAT(KeysOf("\x01\xc3\xa4"), IsEmpty());
}

TEST(TopKeysTest, Sequences) {
  EXPECT_THAT(KeysOf("\x1b[A\x1b[B\x1bOA"),
              ElementsAre(Key{KeyName::kUp}, Key{KeyName::kDown}, Key{KeyName::kUp}));
  EXPECT_THAT(KeysOf("\x1b[5~\x1b[6~\x1b[H\x1b[F\x1b[1~\x1b[4~"),
              ElementsAre(Key{KeyName::kPageUp}, Key{KeyName::kPageDown}, Key{KeyName::kHome},
                          Key{KeyName::kEnd}, Key{KeyName::kHome}, Key{KeyName::kEnd}));
}

TEST(TopKeysTest, UnknownSequencesAreNoLetters) {
  EXPECT_THAT(KeysOf("\x1b[1;5Cq"), ElementsAre(Key{KeyName::kText, 'q'}));
  EXPECT_THAT(KeysOf("\x1b[200~"), IsEmpty());
  EXPECT_THAT(KeysOf("\x1b[12"), IsEmpty());
  EXPECT_THAT(KeysOf("\x1b"), ElementsAre(Key{KeyName::kEscape}));
  EXPECT_THAT(KeysOf("\x1bq"), ElementsAre(Key{KeyName::kEscape}, Key{KeyName::kText, 'q'}));
}

}  // namespace
}  // namespace hami::top
