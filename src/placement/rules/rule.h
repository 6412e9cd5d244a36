// SPDX-License-Identifier: Apache-2.0
//
// What one vendor's devices need beyond the checks that all vendors share (fit.h): devices that
// must be taken together, neighbours that must be alike, whole nodes that are unfit. A rule is
// pure, has no state, and is shared by threads. All of it is optional: a vendor without a rule is
// placed by the shared checks alone.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "domain/allocation.h"
#include "placement/cluster.h"
#include "placement/reasons.h"
#include "placement/request.h"
#include "vendor/device.h"
#include "vendor/registry.h"

namespace hami::placement {

// One container's request of one vendor, within its pod.
struct RuleAsk {
  const vendor::Spec& spec;
  const vendor::Request& request;
  const Request& pod;
  uint16_t container = 0;
};

// A slice that a pod holds on a device.
struct Tenant {
  int32_t memory_mib = 0;
  int32_t cores = 0;
  std::string_view shape;  // of the slice
  bool same_pod = false;   // given to this pod just now
  uint16_t container = 0;  // of its pod
};

// The devices of one vendor on one node while a pod is fitted: numbers go from 0 to size() - 1, in
// the order of the index. Valid during one call.
class NodeView {
 public:
  virtual ~NodeView() = default;
  virtual const NodeFacts& facts() const = 0;
  virtual size_t size() const = 0;
  virtual const vendor::Device& device(size_t number) const = 0;
  // With what this pod was given so far.
  virtual DeviceUse use(size_t number) const = 0;
  // What is held on it, by pods there and by this pod so far.
  virtual std::vector<Tenant> Tenants(size_t number) const = 0;
};

class Rule {
 public:
  virtual ~Rule() = default;

  // Whether the node can serve the request at all; kNone: it may. The word alone is told.
  virtual Reason RefuseNode(const RuleAsk& ask, const NodeView& node) const;

  // What the reason for a device that is not healthy is called.
  virtual Reason UnhealthyWord() const { return Reason::kCardNotHealth; }

  // A check of one device after the shared ones have passed.
  virtual Reason RefuseDevice(const RuleAsk& ask, const NodeView& node, size_t device) const;

  // Shared checks of cores (11 to 13 of contract 1.8) do not hold for this request.
  virtual bool SkipsCores(const RuleAsk& ask) const;

  // Which of the fitting devices to take, exactly ask.request.count of them, for a rule that
  // chooses sets (ChoosesSets). `fitting` is in the order of the policy, best first. Empty: no set
  // serves, which counts as kCardNotFoundCustomFilterRule.
  virtual bool ChoosesSets(const RuleAsk& ask) const;
  virtual std::vector<uint16_t> ChooseSet(const RuleAsk& ask, const NodeView& node,
                                          std::span<const uint16_t> fitting) const;

  // The slice that is given on a device: may set shape and change cores (AWS Neuron writes the mask
  // of cores there). Memory and cores stand in it as asked.
  virtual void Shape(const RuleAsk& ask, const NodeView& node, size_t device,
                     domain::Slice* slice) const;

  // What a slice takes of its device, also of those read back from pods. Default: one slot (or the
  // slots of the request's shape), its memory and its cores.
  virtual DeviceUse UseOf(const vendor::Device& device, const domain::Slice& slice) const;

  // Added to the score of the node once devices were chosen; higher is better, under every policy.
  // Only called where ScoresNodes, which makes every node that may fit be fitted.
  virtual bool ScoresNodes(const RuleAsk& ask) const;
  virtual double ScoreNode(const RuleAsk& ask, const NodeView& node,
                           std::span<const uint16_t> chosen) const;
};

// The rule of a vendor, which lives as long as the program; null: it has none.
const Rule* RuleOf(const vendor::Spec& spec);  // in rules.cc

}  // namespace hami::placement
