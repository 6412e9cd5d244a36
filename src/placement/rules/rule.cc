// SPDX-License-Identifier: Apache-2.0

#include "placement/rules/rule.h"

namespace hami::placement {

Reason Rule::RefuseNode(const RuleAsk& /*ask*/, const NodeView& /*node*/) const {
  return Reason::kNone;
}

Reason Rule::RefuseDevice(const RuleAsk& /*ask*/, const NodeView& /*node*/,
                          size_t /*device*/) const {
  return Reason::kNone;
}

bool Rule::SkipsCores(const RuleAsk& /*ask*/) const { return false; }

bool Rule::ChoosesSets(const RuleAsk& /*ask*/) const { return false; }

std::vector<uint16_t> Rule::ChooseSet(const RuleAsk& ask, const NodeView& /*node*/,
                                      std::span<const uint16_t> fitting) const {
  const auto count = static_cast<size_t>(ask.request.count);
  if (fitting.size() < count) return {};
  return {fitting.begin(), fitting.begin() + static_cast<ptrdiff_t>(count)};
}

void Rule::Shape(const RuleAsk& /*ask*/, const NodeView& /*node*/, size_t /*device*/,
                 domain::Slice* /*slice*/) const {}

DeviceUse Rule::UseOf(const vendor::Device& /*device*/, const domain::Slice& slice) const {
  return {.slots = 1, .memory_mib = slice.memory_mib, .cores = slice.cores};
}

bool Rule::ScoresNodes(const RuleAsk& /*ask*/) const { return false; }

double Rule::ScoreNode(const RuleAsk& /*ask*/, const NodeView& /*node*/,
                       std::span<const uint16_t> /*chosen*/) const {
  return 0;
}

}  // namespace hami::placement
