// SPDX-License-Identifier: Apache-2.0

#include "placement/rules/rules.h"

namespace hami::placement {

const Rule* RuleOf(const vendor::Spec& spec) {
  switch (spec.rule) {
    case vendor::ChoiceRule::kNone:
      return nullptr;
    case vendor::ChoiceRule::kAscend:
      return &AscendRule();
    case vendor::ChoiceRule::kSameDevices:
      return &SameDevicesRule();
    case vendor::ChoiceRule::kMetaxWhole:
      return &MetaxWholeRule();
    case vendor::ChoiceRule::kMetaxShared:
      return &MetaxSharedRule();
    case vendor::ChoiceRule::kEnflame:
      return &EnflameRule();
    case vendor::ChoiceRule::kKunlun:
      return &KunlunRule();
    case vendor::ChoiceRule::kKunlunShared:
      return &KunlunSharedRule();
    case vendor::ChoiceRule::kNeuron:
      return &NeuronRule();
    case vendor::ChoiceRule::kVastai:
      return &VastaiRule();
  }
  return nullptr;
}

}  // namespace hami::placement
