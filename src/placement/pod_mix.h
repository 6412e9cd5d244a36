// SPDX-License-Identifier: Apache-2.0
//
// Which pods a cluster usually runs, as far as fragments are concerned: their shapes and how often
// each comes, learned from the pods that come and go. Pure; one thread at a time.

#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "placement/request.h"

namespace hami::placement {

// What one container asks of one vendor, as far as fragments are concerned.
struct DeviceAsk {
  uint16_t vendor = 0;
  int32_t count = 1;
  int32_t memory_mib = 0;  // of each; 0: memory_pct counts
  int32_t memory_pct = 0;
  int32_t cores_pct = 0;  // 100: the device is wanted for itself alone

  auto operator<=>(const DeviceAsk&) const = default;
};

// Pods that are the same to us.
struct PodShape {
  int64_t cpu_milli = 0;
  std::vector<DeviceAsk> asks;  // empty: native resources only

  auto operator<=>(const PodShape&) const = default;
};

struct TypicalPod {
  PodShape shape;
  double weight = 0;  // how often, or after TypicalOf the probability
};

// The most frequent that together are 95 % of all, most frequent first.
std::vector<TypicalPod> TypicalOf(std::vector<TypicalPod> counts);

// The shapes that the cluster runs and how often. Old pods fade: what counts is the last few
// thousand.
class PodMix {
 public:
  // A pod was seen for the first time.
  void Observe(const PodShape& shape);
  // One that had room has gone.
  void ObserveDeparture() { departures_ += 1; }
  // Whether pods leave: more than one for every four that come.
  bool turns_over() const { return turns_over_; }

  // It follows the observations in steps, so that scores stay comparable: version() tells when.
  // Where pods leave, each counts as often as it asks for whole devices.
  const std::vector<TypicalPod>& typical() const { return typical_; }
  uint32_t version() const { return version_; }

 private:
  // Between these counts, by shape, and what typical() says; 0 to 1.
  double Drift(const std::vector<TypicalPod>& counts) const;

  std::vector<TypicalPod> counts_;  // by shape
  double total_ = 0;
  double departures_ = 0;  // fade as pods do
  bool turns_over_ = false;
  uint32_t observed_ = 0;
  uint32_t next_look_ = 1;
  std::vector<TypicalPod> typical_;
  uint32_t version_ = 0;
};

// What a pod asks for, as far as fragments are concerned. Plain init containers count only where
// there is nothing else.
PodShape ShapeOf(const Request& request);

}  // namespace hami::placement
