// SPDX-License-Identifier: Apache-2.0
//
// Moore Threads: a pod's annotation names one list of devices, so that all of its containers have
// to be on the same.

#include "placement/rules/rules.h"

namespace hami::placement {
namespace {

bool HasOtherContainer(const RuleAsk& ask, const NodeView& node, size_t device) {
  for (const Tenant& tenant : node.Tenants(device)) {
    if (tenant.same_pod && tenant.container != ask.container) return true;
  }
  return false;
}

class SameDevices final : public Rule {
 public:
  Reason RefuseDevice(const RuleAsk& ask, const NodeView& node, size_t device) const override {
    if (HasOtherContainer(ask, node, device)) return Reason::kNone;
    for (size_t other = 0; other < node.size(); ++other) {
      if (HasOtherContainer(ask, node, other)) return Reason::kCardNotFoundCustomFilterRule;
    }
    return Reason::kNone;
  }
};

}  // namespace

const Rule& SameDevicesRule() {
  static const SameDevices rule;
  return rule;
}

}  // namespace hami::placement
