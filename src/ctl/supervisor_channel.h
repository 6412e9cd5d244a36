// SPDX-License-Identifier: Apache-2.0
//
// What hami and its supervisor tell each other: one record per packet (SOCK_SEQPACKET), so a record
// is either there or not. Both ends are the same build; there is no version.

#pragma once

#include <cstdint>

#include "ctl/forwarding.h"

namespace hami::ctl {

struct ChannelRecord {
  uint8_t kind;  // SupervisorEvent::Kind, or kForwardRecord
  uint8_t code;  // Code
  int32_t value;
  SignalEvent signal;
  char text[480];  // ends with 0
};

inline constexpr uint8_t kForwardRecord = 255;

// The supervisor's side; does not return. `channel` and `parent` are hami's.
struct SupervisorSpec;
[[noreturn]] void Supervise(const SupervisorSpec& spec, int channel, pid_t parent);

}  // namespace hami::ctl
