// SPDX-License-Identifier: Apache-2.0
//
// The handshake between HAMi's scheduler and a node's plugin (contract hami-control-plane.md 1.4):
// the scheduler writes "Requesting_<time>", an older plugin answers with anything else. Pure.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hami::domain {

// A request that got no answer for so long means that no plugin is there, unless the node still
// offers devices.
inline constexpr int64_t kHandshakeTimeoutS = 60;

struct HandshakeVerdict {
  bool is_healthy = true;
  bool read_again = true;  // the node's devices may have changed
  bool ask = false;        // write FormatHandshake(now)

  bool operator==(const HandshakeVerdict&) const = default;
};

// `annotation` of the node, none if absent; `allocatable` of the vendor's counted resource. A node
// that never had the vendor's devices need not be asked: that is the caller's to know.
HandshakeVerdict JudgeHandshake(std::optional<std::string_view> annotation, int64_t now_s,
                                int64_t allocatable);

// "Requesting_2026-08-21 10:00:00". The protocol's time has no zone: UTC here, which is also what
// containers without a zone write.
std::string FormatHandshake(int64_t now_s);

// "Reported_2026-08-21 10:00:00", which an older plugin answers.
std::string FormatHandshakeAnswer(int64_t now_s);

}  // namespace hami::domain
