// SPDX-License-Identifier: Apache-2.0
//
// The texts. What the enclosure does is the subject of tests/component/run/test_enclosure.py.

#include "ctl/enclosure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::ctl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(PreloadTextTest, OursComesFirstAndTheHostsLinesAreKept) {
  EXPECT_EQ(PreloadText("/ours.so", ""), "/ours.so\n");
  EXPECT_EQ(PreloadText("/ours.so", "/a.so\n/b.so\n"), "/ours.so\n/a.so\n/b.so\n");
  EXPECT_EQ(PreloadText("/ours.so", "/a.so"), "/ours.so\n/a.so\n");
}

TEST(MountsBelowEtcTest, TheOutermostOnesInOrder) {
  EXPECT_THAT(MountsBelowEtc("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
                             "2 1 8:1 /x /etc/resolv.conf rw - ext4 /dev/sda1 rw\n"
                             "3 1 0:5 / /etc/secrets ro - tmpfs tmpfs rw\n"
                             "4 3 0:6 / /etc/secrets/inner ro - tmpfs tmpfs rw\n"
                             "5 1 0:7 / /etcetera rw - tmpfs tmpfs rw\n"),
              ElementsAre("/etc/resolv.conf", "/etc/secrets"));
}

TEST(MountsBelowEtcTest, EtcItselfAndBrokenLinesAreNotBelow) {
  EXPECT_THAT(MountsBelowEtc(""), IsEmpty());
  EXPECT_THAT(MountsBelowEtc("1 0 8:1 / /etc rw - ext4 x rw\nnonsense\n"), IsEmpty());
}

}  // namespace
}  // namespace hami::ctl
