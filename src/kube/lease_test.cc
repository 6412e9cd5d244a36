// SPDX-License-Identifier: Apache-2.0

#include "kube/lease.h"

#include <gtest/gtest.h>

#include <string>

namespace hami::kube {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kWallNs = 1'787'306'400 * kSecond;  // 2026-08-21T10:00:00Z

Result<Lease> Read(const std::string& text) {
  json::Document document;
  RETURN_IF_ERROR(document.Parse(text));
  return ReadLease(document.root());
}

// As kube-scheduler's looks.
constexpr char kText[] = R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease",
  "metadata":{"namespace":"kube-system","name":"hami-scheduler","resourceVersion":"77"},
  "spec":{"holderIdentity":"node-1_0f3c","leaseDurationSeconds":15,
          "acquireTime":"2026-08-21T09:00:00.000000Z","renewTime":"2026-08-21T10:00:00.250000Z",
          "leaseTransitions":3}})";

TEST(LeaseTest, ReadsWhatClientGoWrites) {
  const Lease lease = Read(kText).value();
  EXPECT_EQ(lease.key, (ObjectKey{"kube-system", "hami-scheduler"}));
  EXPECT_EQ(lease.resource_version, "77");
  EXPECT_EQ(lease.holder, "node-1_0f3c");
  EXPECT_EQ(lease.duration_s, 15);
  EXPECT_EQ(lease.acquired_ns, kWallNs - 3600 * kSecond);
  EXPECT_EQ(lease.renewed_ns, kWallNs + kSecond / 4);
  EXPECT_EQ(lease.transitions, 3);
}

TEST(LeaseTest, WhatIsAbsentIsNobodys) {
  const Lease lease = Read(R"({"metadata":{"name":"x"},"spec":{"holderIdentity":null}})").value();
  EXPECT_EQ(lease.holder, "");
  EXPECT_EQ(lease.duration_s, 0);
  EXPECT_EQ(lease.renewed_ns, 0);
  EXPECT_FALSE(Read(R"({"spec":{}})"));
  EXPECT_EQ(Read(R"({"metadata":{"name":"x"},"spec":{"leaseDurationSeconds":-5}})")->duration_s, 0);
}

TEST(LeaseTest, WritesWhatItReads) {
  const Lease lease = Read(kText).value();
  const Lease again = Read(WriteLease(lease)).value();
  EXPECT_EQ(again.key, lease.key);
  EXPECT_EQ(again.resource_version, "");  // for create
  EXPECT_EQ(again.holder, lease.holder);
  EXPECT_EQ(again.renewed_ns, lease.renewed_ns);
  EXPECT_EQ(WriteLeasePatch(lease),
            R"({"metadata":{"resourceVersion":"77"},"spec":{"holderIdentity":"node-1_0f3c",)"
            R"("leaseDurationSeconds":15,"acquireTime":"2026-08-21T09:00:00.000000Z",)"
            R"("renewTime":"2026-08-21T10:00:00.250000Z","leaseTransitions":3}})");
}

}  // namespace
}  // namespace hami::kube
