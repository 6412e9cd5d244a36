// SPDX-License-Identifier: Apache-2.0
//
// Enflame: what was asked becomes one of the node's profiles, which takes slices of a card. The
// older plugin's cards are shared in percent.

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "placement/rules/rules.h"
#include "vendor/enflame_profile.h"

namespace hami::placement {
namespace {

constexpr const char* kShared = "shared";

// 0: the node's cards are not shared in percent.
int32_t SharedSlices(const vendor::Device& device) {
  const auto found = device.extra.find(vendor::kEnflameSharedSlices);
  if (found == device.extra.end()) return 0;
  int32_t slices = 0;
  const std::string& text = found->second;
  std::from_chars(text.data(), text.data() + text.size(), slices);
  return std::max(slices, 0);
}

bool IsShared(const vendor::Device& device) {
  return device.extra.contains(vendor::kEnflameSharedSlices);
}

// What serves the request on that device; none: nothing does.
std::optional<vendor::EnflameProfile> ProfileFor(const RuleAsk& ask, const vendor::Device& device) {
  const std::optional<vendor::EnflameAsk> asked = vendor::ReadEnflameShape(ask.request.shape.name);
  if (!asked) return std::nullopt;
  if (asked->shared_pct > 0) {
    if (!IsShared(device)) return std::nullopt;
    vendor::EnflameProfile shared;
    shared.name = kShared;
    shared.slices = 1;
    shared.memory_mib = vendor::RoundEnflamePct(asked->shared_pct, SharedSlices(device));
    return shared;
  }
  const std::vector<vendor::EnflameProfile> profiles = vendor::EnflameProfilesOf(device);
  const vendor::EnflameProfile* profile = vendor::ChooseEnflameProfile(*asked, profiles);
  if (profile == nullptr) return std::nullopt;
  return *profile;
}

class Enflame final : public Rule {
 public:
  Reason RefuseNode(const RuleAsk& ask, const NodeView& node) const override {
    for (size_t i = 0; i < node.size(); ++i) {
      if (ProfileFor(ask, node.device(i))) return Reason::kNone;
    }
    return Reason::kModeNotFit;
  }

  Reason RefuseDevice(const RuleAsk& ask, const NodeView& node, size_t number) const override {
    const vendor::Device& device = node.device(number);
    const std::optional<vendor::EnflameProfile> profile = ProfileFor(ask, device);
    if (!profile) return Reason::kModeNotFit;
    const DeviceUse use = node.use(number);
    if (device.slots - use.slots < profile->slices) return Reason::kCardTimeSlicingExhausted;
    if (device.memory_mib - use.memory_mib < profile->memory_mib) {
      return Reason::kCardInsufficientMemory;
    }
    return Reason::kNone;
  }

  // Slices bound them: percentages of slices are rounded up and may add up to more than 100.
  bool SkipsCores(const RuleAsk& /*ask*/) const override { return true; }

  void Shape(const RuleAsk& ask, const NodeView& node, size_t number,
             domain::Slice* slice) const override {
    const std::optional<vendor::EnflameProfile> profile = ProfileFor(ask, node.device(number));
    if (!profile) return;  // refused before
    slice->shape = profile->name;
    slice->memory_mib = profile->memory_mib;
    slice->cores = profile->cores_pct;
  }

  DeviceUse UseOf(const vendor::Device& /*device*/, const domain::Slice& slice) const override {
    return {.slots = std::max(1, vendor::EnflameSlicesOf(slice.shape)),
            .memory_mib = slice.memory_mib,
            .cores = slice.cores};
  }
};

}  // namespace

const Rule& EnflameRule() {
  static const Enflame rule;
  return rule;
}

}  // namespace hami::placement
