// SPDX-License-Identifier: Apache-2.0

#include "kube/base64.h"

#include <gtest/gtest.h>

namespace hami::kube {
namespace {

TEST(Base64Test, DecodesEveryLength) {
  EXPECT_EQ(DecodeBase64(""), "");
  EXPECT_EQ(DecodeBase64("Zg=="), "f");
  EXPECT_EQ(DecodeBase64("Zm8="), "fo");
  EXPECT_EQ(DecodeBase64("Zm9v"), "foo");
  EXPECT_EQ(DecodeBase64("Zm9v\nYm\r\n Fy\t"), "foobar");
  EXPECT_EQ(DecodeBase64("+/+/"), "\xfb\xff\xbf");
  EXPECT_EQ(DecodeBase64("AAAA"), std::string(3, '\0'));
}

TEST(Base64Test, RefusesWhatIsNot) {
  for (const char* text :
       {"Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==x", "Zm9v-", "Z=9v", "=AAA"}) {
    EXPECT_FALSE(DecodeBase64(text)) << text;
  }
}

TEST(Base64Test, EncodesEveryLength) {
  EXPECT_EQ(EncodeBase64(""), "");
  EXPECT_EQ(EncodeBase64("f"), "Zg==");
  EXPECT_EQ(EncodeBase64("fo"), "Zm8=");
  EXPECT_EQ(EncodeBase64("foo"), "Zm9v");
  EXPECT_EQ(EncodeBase64("\xfb\xff\xbf"), "+/+/");
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(DecodeBase64(EncodeBase64(all)), all);
}

}  // namespace
}  // namespace hami::kube
