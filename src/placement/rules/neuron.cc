// SPDX-License-Identifier: Apache-2.0
//
// AWS Neuron: several devices are a run of idle neighbours; a slice's cores are a mask of the
// device's.

#include <bit>
#include <string>

#include "domain/names.h"
#include "placement/rules/rules.h"

namespace hami::placement {
namespace {

constexpr int32_t kMostBits = 31;

// Inferentia's devices are a ring of which any run will do.
bool IsInferentia(const NodeView& node) {
  const auto& labels = node.facts().labels;
  const auto found = labels.find(std::string(domain::kInstanceTypeLabel));
  return found != labels.end() && (found->second.find("inf") != std::string::npos ||
                                   found->second.find("Inf") != std::string::npos);
}

int32_t CoresOf(int32_t mask) { return std::popcount(static_cast<uint32_t>(mask)); }

class Neuron final : public Rule {
 public:
  Reason RefuseNode(const RuleAsk& ask, const NodeView& node) const override {
    const int32_t count = ask.request.count;
    const bool can_be = count == 1 || count == 4 || count == 8 || count == 16;
    return can_be || IsInferentia(node) ? Reason::kNone : Reason::kNumaNotFit;
  }

  Reason RefuseDevice(const RuleAsk& ask, const NodeView& node, size_t device) const override {
    const bool idle = ask.request.count == 1 || node.use(device).slots == 0;
    return idle ? Reason::kNone : Reason::kExclusiveDeviceAllocateConflict;
  }

  bool ChoosesSets(const RuleAsk& ask) const override {
    return ask.request.count > 1 || ask.request.across_devices;
  }

  std::vector<uint16_t> ChooseSet(const RuleAsk& ask, const NodeView& node,
                                  std::span<const uint16_t> fitting) const override {
    const auto count = static_cast<size_t>(ask.request.count);
    if (count == 1) return Rule::ChooseSet(ask, node, fitting);
    std::vector<bool> fits(node.size(), false);
    for (const uint16_t number : fitting) fits[number] = true;
    const size_t step = IsInferentia(node) ? 1 : count;
    for (size_t start = 0; start + count <= node.size(); start += step) {
      std::vector<uint16_t> run;
      for (size_t i = start; i < start + count && fits[i]; ++i) {
        const bool next = run.empty() || node.device(i).index == node.device(run.back()).index + 1;
        if (!next) break;
        run.push_back(static_cast<uint16_t>(i));
      }
      if (run.size() == count) return run;
    }
    return {};
  }

  // The lowest cores that are free.
  void Shape(const RuleAsk& /*ask*/, const NodeView& node, size_t number,
             domain::Slice* slice) const override {
    int32_t taken = 0;
    for (const Tenant& tenant : node.Tenants(number)) taken |= tenant.cores;
    int32_t mask = 0;
    const int32_t cores = node.device(number).cores;
    for (int32_t bit = 0; bit < cores && bit < kMostBits && CoresOf(mask) < slice->cores; ++bit) {
      if ((taken >> bit & 1) == 0) mask |= 1 << bit;
    }
    slice->cores = mask;
  }

  DeviceUse UseOf(const vendor::Device& /*device*/, const domain::Slice& slice) const override {
    return {.slots = 1, .memory_mib = slice.memory_mib, .cores = CoresOf(slice.cores)};
  }
};

}  // namespace

const Rule& NeuronRule() {
  static const Neuron rule;
  return rule;
}

}  // namespace hami::placement
