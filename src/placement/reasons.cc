// SPDX-License-Identifier: Apache-2.0

#include "placement/reasons.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace hami::placement {
namespace {

constexpr std::array<std::string_view, static_cast<size_t>(Reason::kCount)> kWords = {
    "",
    "CardTypeMismatch",
    "CardUuidMismatch",
    "CardTimeSlicingExhausted",
    "CardComputeUnitsExhausted",
    "CardInsufficientMemory",
    "CardInsufficientCore",
    "CardNotHealth",
    "CardCordoned",
    "NumaNotFit",
    "ExclusiveDeviceAllocateConflict",
    "CardNotFoundCustomFilterRule",
    "CardMigTopologyInfeasible",
    "NodeInsufficientDevice",
    "AllocatedCardsInsufficientRequest",
    "NodeUnfitPod",
    "ResourceQuotaNotFit",
    "ModeNotFit",
    "CardUnhealthy",
    "CardQosPolicyMismatch",
    "CardAppClassMismatch",
    "Insufficient cpu",
    "Insufficient memory",
};

}  // namespace

std::string_view ReasonWord(Reason reason) { return kWords[static_cast<size_t>(reason)]; }

void ReasonCounts::Clear() { *this = {}; }

void ReasonCounts::Start(size_t total) {
  *this = {};
  total_ = total;
}

std::string ReasonCounts::Text() const {
  if (whole_ != Reason::kNone) return std::string(ReasonWord(whole_));
  std::vector<std::string> parts;
  for (size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] > 0) parts.push_back(fmt::format("{}/{} {}", counts_[i], total_, kWords[i]));
  }
  if (parts.empty()) return std::string(ReasonWord(Reason::kNodeUnfitPod));
  std::sort(parts.begin(), parts.end());
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace hami::placement
