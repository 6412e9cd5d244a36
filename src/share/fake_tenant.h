// SPDX-License-Identifier: Apache-2.0
//
// For tests: a process of a share.

#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "api/region/region.h"
#include "region/ledger.h"
#include "region/mapping.h"
#include "region/slots.h"

namespace hami::share {

// Takes a slot of the region, charges 3 of 4 GiB to device 0, if they are there, and waits to be
// killed. Its PID.
inline pid_t StartFakeTenant(const std::string& path) {
  constexpr uint64_t kGib = uint64_t{1} << 30;
  int ready[2];
  if (pipe(ready) != 0) return -1;
  const pid_t child = fork();
  if (child == 0) {
    region::Mapping mapping;
    const region::Identity identity = region::ReadIdentity();
    if (region::Attach(path.c_str(), false, &identity, &mapping) != region::AttachError::kNone) {
      _exit(1);
    }
    region::Reserve(mapping.region->ext, mapping.slot, 0, region::ChargeUnits(3 * kGib),
                    region::LimitUnits(4 * kGib));
    (void)!write(ready[1], "x", 1);
    for (;;) pause();
  }
  close(ready[1]);
  char byte = 0;
  EXPECT_EQ(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  return child;
}

}  // namespace hami::share
