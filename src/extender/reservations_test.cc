// SPDX-License-Identifier: Apache-2.0

#include "extender/reservations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::extender {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

Reservation For(const std::string& name, const std::string& uid, Hold hold, int64_t until_ns) {
  Reservation reservation;
  reservation.pod = {"default", name};
  reservation.uid = uid;
  reservation.hold = hold;
  reservation.until_ns = until_ns;
  return reservation;
}

TEST(ReservationsTest, OnePerPodFoundByUidAndName) {
  Reservations all;
  all.Put(For("a", "ua", Hold::kReserved, 10));
  all.Put(For("a", "ua", Hold::kNominated, 20));
  ASSERT_NE(all.Find("ua"), nullptr);
  EXPECT_EQ(all.Find("ua")->hold, Hold::kNominated);
  ASSERT_NE(all.FindUid({"default", "a"}), nullptr);
  EXPECT_EQ(*all.FindUid({"default", "a"}), "ua");
  EXPECT_TRUE(all.Erase("ua"));
  EXPECT_FALSE(all.Erase("ua"));
  EXPECT_EQ(all.FindUid({"default", "a"}), nullptr);
}

TEST(ReservationsTest, ANewPodOfTheNameKeepsItWhenTheOldOneGoes) {
  Reservations all;
  all.Put(For("a", "old", Hold::kReserved, 10));
  all.Put(For("a", "new", Hold::kReserved, 10));
  all.Erase("old");
  ASSERT_NE(all.FindUid({"default", "a"}), nullptr);
  EXPECT_EQ(*all.FindUid({"default", "a"}), "new");
}

TEST(ReservationsTest, OnlyWhatIsNotWrittenRunsOut) {
  Reservations all;
  all.Put(For("a", "ua", Hold::kReserved, 10));
  all.Put(For("b", "ub", Hold::kBinding, 10));
  all.Put(For("c", "uc", Hold::kBound, 10));
  all.Put(For("d", "ud", Hold::kNominated, 10));
  EXPECT_THAT(all.TakeExpired(9), IsEmpty());
  EXPECT_THAT(all.TakeExpired(10), SizeIs(2));
  EXPECT_EQ(all.Find("ua"), nullptr);
  EXPECT_EQ(all.Find("ud"), nullptr);
  EXPECT_EQ(all.FindUid({"default", "a"}), nullptr);
  ASSERT_THAT(all.Overdue(10), SizeIs(1));
  EXPECT_EQ(all.Overdue(10)[0].uid, "uc");
  EXPECT_NE(all.Find("ub"), nullptr) << "a bind that is under way ends by itself";
}

TEST(ReservationsTest, ALateOneStandsBesideTheNext) {
  Reservations all;
  all.Put(For("a", "ua", Hold::kBinding, 10));
  ASSERT_NE(all.MakeLate("ua", 30), nullptr);
  EXPECT_EQ(all.Find("ua"), nullptr);
  EXPECT_EQ(all.MakeLate("ua", 30), nullptr);
  all.Put(For("a", "ua", Hold::kReserved, 20));
  EXPECT_EQ(all.Count().at(Hold::kUncertain), 1U);
  EXPECT_EQ(all.Count().at(Hold::kReserved), 1U);
  EXPECT_THAT(all.TakeExpired(40), SizeIs(1));
  ASSERT_THAT(all.Overdue(30), SizeIs(1));
  EXPECT_TRUE(all.EraseLate("ua"));
  EXPECT_THAT(all.Count(), IsEmpty());
}

}  // namespace
}  // namespace hami::extender
