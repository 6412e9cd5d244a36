// SPDX-License-Identifier: Apache-2.0

#include "explain/explanation.h"

#include <algorithm>

namespace hami::explain {

bool Candidate::never() const {
  return std::ranges::any_of(capacities, [](const Comparison& capacity) { return capacity.never; });
}

std::string VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kNotServed:
      return "not-served";
    case Verdict::kNotFound:
      return "not-found";
    case Verdict::kNotMade:
      return "not-made";
    case Verdict::kAllocated:
      return "allocated";
    case Verdict::kDeviceGone:
      return "device-gone";
    case Verdict::kClassMissing:
      return "class-missing";
    case Verdict::kUnreadable:
      return "unreadable";
    case Verdict::kNotPublished:
      return "not-published";
    case Verdict::kIncomplete:
      return "incomplete";
    case Verdict::kSharingOff:
      return "sharing-off";
    case Verdict::kNeverFits:
      return "never-fits";
    case Verdict::kNoRoom:
      return "no-room";
    case Verdict::kFits:
      return "fits";
  }
  return "";
}

}  // namespace hami::explain
