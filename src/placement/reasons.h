// SPDX-License-Identifier: Apache-2.0
//
// Why devices and nodes do not fit, in the words that HAMi's events have (contract 1.8).

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hami::placement {

enum class Reason : uint8_t {
  kNone,
  kCardTypeMismatch,
  kCardUuidMismatch,
  kCardTimeSlicingExhausted,
  kCardComputeUnitsExhausted,
  kCardInsufficientMemory,
  kCardInsufficientCore,
  kCardNotHealth,
  kCardCordoned,
  kNumaNotFit,
  kExclusiveDeviceAllocateConflict,
  kCardNotFoundCustomFilterRule,
  kCardMigTopologyInfeasible,
  kNodeInsufficientDevice,
  kAllocatedCardsInsufficientRequest,
  kNodeUnfitPod,
  kResourceQuotaNotFit,
  kModeNotFit,
  kCardUnhealthy,
  kCardQosPolicyMismatch,
  kCardAppClassMismatch,
  // Kubernetes' own words, for callers that have no kube-scheduler before them.
  kInsufficientCpu,
  kInsufficientMemory,
  kCount
};

// "CardTypeMismatch"; kNone is "".
std::string_view ReasonWord(Reason reason);

// How many devices of a vendor on one node were refused for which reason.
class ReasonCounts {
 public:
  void Clear();
  void Start(size_t total);  // of a new walk over so many devices; forgets what was counted
  void Add(Reason reason, size_t count = 1) { counts_[static_cast<size_t>(reason)] += count; }
  // The node as a whole is refused: its text is the word alone.
  void SetWhole(Reason reason) { whole_ = reason; }

  size_t Of(Reason reason) const { return counts_[static_cast<size_t>(reason)]; }
  Reason whole() const { return whole_; }
  size_t total() const { return total_; }
  bool operator==(const ReasonCounts&) const = default;

  // "6/8 CardInsufficientMemory, 2/8 CardNotHealth", sorted as text.
  std::string Text() const;

 private:
  std::array<uint16_t, static_cast<size_t>(Reason::kCount)> counts_{};
  size_t total_ = 0;
  Reason whole_ = Reason::kNone;
};

}  // namespace hami::placement
