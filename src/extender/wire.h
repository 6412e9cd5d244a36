// SPDX-License-Identifier: Apache-2.0
//
// What kube-scheduler and an extender say to each other: bodies of /filter, /prioritize, /preempt
// and /bind.
// Source: k8s.io/kube-scheduler/extender/v1, whose types have no JSON tags; so keys are Go names,
// and readers take them in any case. What is read here is hostile until it has been read. Pure.

#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace hami::extender {

// ExtenderArgs. Refers to the document and ends with it.
struct FilterArgs {
  json::Value pod;
  bool has_nodes = false;               // Nodes: whole objects (nodeCacheCapable: false)
  bool has_names = false;               // NodeNames
  std::vector<std::string_view> names;  // of NodeNames, else of Nodes, without repetition
  std::vector<json::Value> nodes;       // of Nodes, beside `names`; else empty
};

// kInvalidArgument with a sentence for `Error`: no JSON object, no pod, neither Nodes nor
// NodeNames, a node without a name.
Result<FilterArgs> ReadFilterArgs(std::string_view body, json::Document* document);

// ExtenderBindingArgs.
struct BindArgs {
  std::string pod_name;
  std::string pod_namespace;
  std::string pod_uid;
  std::string node;
};

// kInvalidArgument if one of them is missing.
Result<BindArgs> ReadBindArgs(std::string_view body);

// ExtenderPreemptionArgs: what kube-scheduler's own preemption would do, node by node. Refers to
// the document and ends with it.
struct PreemptArgs {
  json::Value pod;
  struct Node {
    std::string_view name;
    std::vector<std::string_view> victims;  // uids
    int64_t budget_violations = 0;
  };
  std::vector<Node> nodes;
};

// Of either form: NodeNameToMetaVictims (uids), NodeNameToVictims (whole pods). kInvalidArgument:
// no JSON object, no pod, neither form, a victim without uid.
Result<PreemptArgs> ReadPreemptArgs(std::string_view body, json::Document* document);

// ExtenderPreemptionResult: the nodes that are left, with their victims.
std::string WritePreemptResult(std::span<const PreemptArgs::Node> nodes);

// ExtenderFilterResult, in the form in which the nodes came.
struct FilterResult {
  std::vector<std::string_view> chosen;
  // Failed nodes and why; what no other try can mend goes into the second.
  std::vector<std::pair<std::string_view, std::string_view>> failed;
  std::vector<std::pair<std::string_view, std::string_view>> unresolvable;
  std::string error;
};
std::string WriteFilterResult(const FilterArgs& args, const FilterResult& result);
// Where there are no args to answer to.
std::string WriteFilterError(std::string_view error);

// ExtenderBindingResult; "": bound.
std::string WriteBindResult(std::string_view error);

// HostPriorityList. Scores from 0 to 10.
std::string WritePriorities(std::span<const std::pair<std::string_view, int64_t>> scores);

}  // namespace hami::extender
