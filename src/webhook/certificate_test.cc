// SPDX-License-Identifier: Apache-2.0

#include "webhook/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hami::webhook {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int64_t kNow = 1'790'000'000;
constexpr int64_t kDay = 86'400;

Identity Make(const std::vector<std::string>& hosts = {"hami-scheduler.hami-system.svc"}) {
  Result<Identity> made = MakeIdentity(hosts, kNow, 90 * kDay);
  EXPECT_TRUE(made) << made.error().message;
  return std::move(*made);
}

TEST(CertificateTest, IsGoodForItsHostsAndItsTime) {
  const Identity made = Make({"b.example", "10.0.0.7", "fd00::1", "a.example", "*.svc"});
  const Result<CertificateFacts> facts = ReadCertificate(made.certificate);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->not_before_s, kNow - 3600) << "clocks differ";
  EXPECT_EQ(facts->not_after_s, kNow + 90 * kDay);
  EXPECT_THAT(facts->hosts, ElementsAre("*.svc", "10.0.0.7", "a.example", "b.example", "fd00::1"));
  const Result<CertificateFacts> authority = ReadCertificate(made.authority);
  ASSERT_TRUE(authority);
  EXPECT_EQ(authority->not_after_s, facts->not_after_s) << "an authority for this one alone";
  EXPECT_THAT(authority->hosts, IsEmpty());
  EXPECT_THAT(made.key, HasSubstr("BEGIN PRIVATE KEY"));
}

TEST(CertificateTest, RefusesHostsThatAreNone) {
  for (const std::vector<std::string>& hosts :
       std::vector<std::vector<std::string>>{{}, {""}, {"a b"}, {"a,DNS:b"}, {"a\nb"}, {"a/b"}}) {
    const Result<Identity> made = MakeIdentity(hosts, kNow, kDay);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Code::kInvalidArgument);
  }
}

TEST(CertificateTest, KnowsWhatBelongsTogether) {
  const Identity one = Make();
  const Identity two = Make();
  EXPECT_NE(one.certificate, two.certificate);
  EXPECT_TRUE(BelongTogether(one.certificate, one.key, one.authority));
  EXPECT_TRUE(BelongTogether(two.certificate, two.key, one.authority + two.authority));
  EXPECT_FALSE(BelongTogether(one.certificate, two.key, one.authority));
  EXPECT_FALSE(BelongTogether(one.certificate, one.key, two.authority))
      << "the authorities have one name, their keys differ";
  EXPECT_FALSE(BelongTogether(one.certificate, one.key, ""));
  EXPECT_FALSE(BelongTogether("", one.key, one.authority));
  EXPECT_FALSE(BelongTogether(one.certificate, "", one.authority));
  EXPECT_FALSE(BelongTogether(one.certificate.substr(0, 100), one.key, one.authority));
}

TEST(CertificateTest, ReadsNothingFromWhatIsNone) {
  EXPECT_FALSE(ReadCertificate(""));
  EXPECT_FALSE(ReadCertificate("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
  EXPECT_FALSE(ReadCertificate(Make().key));
}

TEST(CertificateTest, SplitsBundles) {
  const Identity one = Make();
  const Identity two = Make();
  EXPECT_THAT(SplitBundle("# first\n" + one.authority + "\n\n" + two.authority),
              ElementsAre(one.authority, two.authority));
  EXPECT_THAT(SplitBundle(""), IsEmpty());
  EXPECT_THAT(SplitBundle("garbage"), IsEmpty());
  std::string many;
  for (int i = 0; i < 100; ++i) many += one.authority;
  EXPECT_THAT(SplitBundle(many), SizeIs(64));
}

}  // namespace
}  // namespace hami::webhook
