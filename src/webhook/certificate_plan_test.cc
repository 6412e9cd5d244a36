// SPDX-License-Identifier: Apache-2.0
//
// The life of a serving certificate on a virtual clock. The property behind all of it: whenever
// something can be served, it is served by a certificate whose authority callers have had for the
// overlap.

#include "webhook/certificate_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hami::webhook {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr int64_t kDay = 86'400;
constexpr int64_t kStart = 1'790'000'000;

class CertificatePlanTest : public ::testing::Test {
 protected:
  CertificateStep Next() const {
    return NextStep(stored_, hosts_, times_, now_s_, trusted_since_s_);
  }

  // Does what is to be done now.
  CertificateStep Do() {
    const CertificateStep step = Next();
    Identity made;
    if (step == CertificateStep::kMake || step == CertificateStep::kPrepare) {
      made = *MakeIdentity(hosts_, now_s_, times_.valid_s);
    }
    stored_ = After(step, stored_, made, now_s_);
    return step;
  }

  int64_t ActiveUntil() const { return ReadCertificate(stored_.certificate)->not_after_s; }

  const CertificateTimes times_;
  std::vector<std::string> hosts_ = {"hami-scheduler.hami-system.svc"};
  int64_t now_s_ = kStart;
  std::optional<int64_t> trusted_since_s_;
  StoredCertificates stored_;
};

TEST_F(CertificatePlanTest, TheFirstIsServedAtOnce) {
  EXPECT_EQ(Do(), CertificateStep::kMake);
  EXPECT_EQ(Next(), CertificateStep::kNone);
  EXPECT_EQ(ActiveUntil(), kStart + 90 * kDay);
  EXPECT_EQ(stored_.next_certificate, "");
  EXPECT_TRUE(BelongTogether(stored_.certificate, stored_.key, stored_.authorities));
}

TEST_F(CertificatePlanTest, TheNextIsTrustedBeforeItIsServed) {
  Do();
  const StoredCertificates first = stored_;
  now_s_ = kStart + 60 * kDay - 1;
  EXPECT_EQ(Next(), CertificateStep::kNone);
  now_s_ = kStart + 60 * kDay;
  EXPECT_EQ(Do(), CertificateStep::kPrepare);
  EXPECT_EQ(stored_.certificate, first.certificate) << "the old one is served on";
  EXPECT_THAT(SplitBundle(stored_.authorities), SizeIs(2));
  EXPECT_THAT(stored_.authorities, HasSubstr(first.authorities));

  now_s_ += kDay;
  EXPECT_EQ(Next(), CertificateStep::kNone) << "callers do not trust it yet, however late it is";
  trusted_since_s_ = now_s_;
  now_s_ += times_.overlap_s - 1;
  EXPECT_EQ(Next(), CertificateStep::kNone);
  now_s_ += 1;
  EXPECT_EQ(Do(), CertificateStep::kPromote);
  EXPECT_NE(stored_.certificate, first.certificate);
  EXPECT_EQ(stored_.next_certificate, "");
  EXPECT_EQ(stored_.next_key, "");
  EXPECT_THAT(stored_.authorities, HasSubstr(first.authorities))
      << "other replicas serve the old one a little longer";
  EXPECT_EQ(Next(), CertificateStep::kNone);
}

TEST_F(CertificatePlanTest, WithoutTrustTheNextIsServedOnlyWhenTheOldOneEnds) {
  Do();
  now_s_ = kStart + 60 * kDay;
  Do();
  now_s_ = kStart + 90 * kDay - times_.overlap_s - 1;
  EXPECT_EQ(Next(), CertificateStep::kNone);
  now_s_ += 1;
  EXPECT_EQ(Do(), CertificateStep::kPromote);
}

TEST_F(CertificatePlanTest, WhatHasEndedIsReplacedAtOnce) {
  Do();
  now_s_ = kStart + 90 * kDay;
  EXPECT_EQ(Do(), CertificateStep::kMake);
  EXPECT_EQ(ActiveUntil(), now_s_ + 90 * kDay);
  EXPECT_THAT(SplitBundle(stored_.authorities), SizeIs(1)) << "the old authority has ended too";
}

TEST_F(CertificatePlanTest, WhatCannotBeServedIsReplaced) {
  Do();
  const StoredCertificates good = stored_;
  const Identity other = *MakeIdentity(hosts_, now_s_, 90 * kDay);
  for (const StoredCertificates& bad :
       std::vector<StoredCertificates>{{},
                                       {good.certificate, "", good.authorities, "", ""},
                                       {good.certificate, other.key, good.authorities, "", ""},
                                       {good.certificate, good.key, "", "", ""},
                                       {good.certificate, good.key, other.authority, "", ""},
                                       {"garbage", good.key, good.authorities, "", ""},
                                       {good.certificate, good.key, "\x01\x02", "", ""}}) {
    stored_ = bad;
    EXPECT_EQ(Do(), CertificateStep::kMake);
    EXPECT_EQ(Next(), CertificateStep::kNone);
  }
  stored_ = good;
  hosts_.push_back("another.example");
  EXPECT_EQ(Do(), CertificateStep::kMake) << "callers use a name that it is not good for";
  stored_ = good;
  hosts_.pop_back();
  now_s_ = kStart - 7200;
  EXPECT_EQ(Next(), CertificateStep::kMake) << "from the future: clocks differ by hours";
}

TEST_F(CertificatePlanTest, ABrokenNextOneIsMadeAgain) {
  Do();
  now_s_ = kStart + 60 * kDay;
  Do();
  stored_.next_key = stored_.key;
  EXPECT_EQ(Do(), CertificateStep::kPrepare);
  stored_.certificate = "garbage";
  EXPECT_EQ(Do(), CertificateStep::kPromote) << "better than a third one that nobody trusts";
}

TEST_F(CertificatePlanTest, MonthsPassWithoutAGap) {
  Do();
  trusted_since_s_ = now_s_;
  std::string bundle = stored_.authorities;
  int promotions = 0;
  // When the bundle that is trusted now became so: authorities since when.
  while (now_s_ < kStart + 540 * kDay) {
    now_s_ += stored_.next_certificate.empty() ? kDay : 200;
    const CertificateStep step = Do();
    if (step == CertificateStep::kPromote) {
      ++promotions;
      ASSERT_TRUE(BelongTogether(stored_.certificate, stored_.key, bundle)) << "not trusted yet";
    }
    ASSERT_NE(step, CertificateStep::kMake) << now_s_;
    if (stored_.authorities != bundle) {
      bundle = stored_.authorities;
      trusted_since_s_ = now_s_;
    }
    ASSERT_LE(SplitBundle(bundle).size(), size_t{3});
  }
  EXPECT_NEAR(promotions, 540 / 60, 1);
}

TEST_F(CertificatePlanTest, ABundleThatSomebodyFillsDoesNotGrow) {
  for (int i = 0; i < 20; ++i) stored_.authorities += MakeIdentity(hosts_, now_s_, kDay)->authority;
  Do();
  EXPECT_THAT(SplitBundle(stored_.authorities), SizeIs(8));
  EXPECT_EQ(Next(), CertificateStep::kNone);
}

TEST_F(CertificatePlanTest, TheSecretsDataIsReadAsItIsWritten) {
  Do();
  now_s_ += 60 * kDay;
  Do();
  EXPECT_EQ(FromSecretData(ToSecretData(stored_)), stored_);
  EXPECT_TRUE(ToSecretData(stored_).contains("tls.crt"));
  EXPECT_EQ(FromSecretData({{"other", "x"}}), StoredCertificates());
}

}  // namespace
}  // namespace hami::webhook
