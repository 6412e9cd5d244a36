// SPDX-License-Identifier: Apache-2.0
//
// Writes a decision into the API: one POST of a Binding whose annotations are the decision, which
// the API server copies onto the pod in the same write (contract binding-and-identity.md, part A).
// Waits for the answer. Any thread but the client's.

#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"
#include "extender/reservation.h"
#include "kube/client.h"
#include "vendor/registry.h"

namespace hami::extender {

// Annotations of a pod beyond which the API server takes no update of it any more are 256 KiB; a
// Binding is not held to that, so we are. Keys and values, all of the pod's together.
inline constexpr size_t kMaxAnnotationBytes = 200 << 10;

enum class BindOutcome : uint8_t {
  kBound,
  kRefused,    // nothing was written
  kGone,       // there is no such pod any more
  kUncertain,  // nobody knows
};

struct BindAnswer {
  BindOutcome outcome = BindOutcome::kBound;
  std::string error;  // unless bound
};

std::string BindingBody(const Reservation& reservation);

class Binder {
 public:
  explicit Binder(kube::Client& client) : client_(client) {}

  BindAnswer Bind(const Reservation& reservation, int64_t timeout_ms);

 private:
  BindAnswer AskWhatBecame(const Reservation& reservation, const Error& error);

  kube::Client& client_;
};

}  // namespace hami::extender
