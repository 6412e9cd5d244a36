// SPDX-License-Identifier: Apache-2.0

#include "explain/advice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "dra/names.h"
#include "explain/read_objects.h"
#include "explain/wording.h"

namespace hami::explain {
namespace {

using Sentences = std::vector<std::string>;

constexpr char kPlugin[] = "hami-dra-driver-kubelet-plugin";
constexpr char kUnchangeable[] =
    "A claim cannot be changed: delete it and create it again, or change its template and "
    "recreate the pod.";
constexpr size_t kMostNames = 5;

std::string Names(std::vector<std::string> names) {
  const size_t more = names.size() > kMostNames ? names.size() - kMostNames : 0;
  names.resize(names.size() - more);
  return fmt::format("{}{}", fmt::join(names, ", "),
                     more == 0 ? "" : fmt::format(" and {} more", more));
}

// Whether the nearest device would do without these.
bool IsEnough(const std::vector<const Holder*>& gone, const Candidate& nearest) {
  return std::ranges::all_of(nearest.capacities, [&](const Comparison& capacity) {
    if (!capacity.lacks) return true;
    if (!nearest.shareable) return gone.size() == nearest.holders.size();
    int64_t free = capacity.free.value;
    for (const Holder* holder : gone) {
      for (const NamedAmount& held : holder->held) {
        if (held.capacity == capacity.capacity) free += held.amount.value;
      }
    }
    return free >= capacity.asked.value;
  });
}

std::string HolderText(const Holder& holder) {
  if (holder.pods.empty()) return holder.claim;
  Sentences pods;
  for (const HoldingPod& pod : holder.pods) pods.push_back(pod.name);
  return fmt::format("{} ({} {})", holder.claim, pods.size() == 1 ? "pod" : "pods", Names(pods));
}

// Which holders have to go: any one of some, or the largest ones together.
std::string WaitFor(const Candidate& nearest) {
  Sentences single;
  for (const Holder& holder : nearest.holders) {
    if (IsEnough({&holder}, nearest)) single.push_back(HolderText(holder));
  }
  if (single.size() == 1) return "Wait until " + single[0] + " ends, or end it";
  if (!single.empty()) return "Wait until one of these ends, or end it: " + Names(single);
  std::vector<const Holder*> gone;
  Sentences together;
  for (const Holder& holder : nearest.holders) {
    gone.push_back(&holder);
    together.push_back(HolderText(holder));
    if (IsEnough(gone, nearest)) {
      return "Wait until all of these end, or end them: " +
             fmt::format("{}", fmt::join(together, ", "));
    }
  }
  return {};
}

void AdviseRoom(const Explanation& explanation, Sentences* advice) {
  const bool several = explanation.requests.size() > 1;
  bool less = false;
  for (const Unserved& unserved : explanation.unserved) {
    const std::string request = several ? " in request " + unserved.request : "";
    const DeviceName& device = unserved.nearest.device;
    if (!unserved.at_most.empty()) {
      less = true;
      advice->push_back(fmt::format("Ask for at most {}{}: {} has that{}.",
                                    AmountsText(unserved.at_most), request, DeviceText(device),
                                    explanation.verdict == Verdict::kNoRoom ? " now" : ""));
    }
    if (explanation.verdict == Verdict::kNeverFits) continue;
    if (std::string wait = WaitFor(unserved.nearest); !wait.empty()) {
      advice->push_back(std::move(wait) + ".");
    }
  }
  if (less) advice->emplace_back(kUnchangeable);
  if (explanation.verdict == Verdict::kNeverFits) {
    advice->emplace_back(explanation.unserved.empty() || explanation.unserved[0].nearest.taken
                             ? "Ask for fewer devices, or add a node that has as many."
                             : "Or add a node with larger devices.");
  } else {
    advice->emplace_back("Or add a node with a free device.");
  }
}

void AdviseNotPublished(const Explanation& explanation, Sentences* advice) {
  if (explanation.missing_driver != dra::kDriverName) {
    advice->push_back(explanation.missing_driver.empty()
                          ? "Install the DRA driver of the devices that are wanted."
                          : fmt::format("Install the DRA driver {}, or see why it publishes "
                                        "nothing (kubectl get resourceslices).",
                                        explanation.missing_driver));
    return;
  }
  Sentences without;
  size_t labelled = 0;
  for (const NodeFacts& node : explanation.nodes) {
    if (node.labelled) {
      ++labelled;
    } else {
      without.push_back(node.name);
    }
  }
  const PluginFacts& plugin = explanation.plugin;
  if (explanation.plugin_known && !plugin.found) {
    advice->push_back(fmt::format(
        "The driver is not installed: there is no DaemonSet {}. kubectl apply -f deploy/dra",
        kPlugin));
  }
  if (explanation.nodes_known && labelled == 0) {
    advice->push_back(fmt::format(
        "No node has the label {0}={1}, so the driver starts nowhere. Label the nodes with GPUs: "
        "kubectl label node NAME {0}={1} (nodes: {2})",
        dra::kNodeLabel, dra::kNodeLabelValue, Names(without)));
    return;
  }
  if (explanation.nodes_known && !without.empty()) {
    advice->push_back(fmt::format("These nodes lack the label {}={}: {}.", dra::kNodeLabel,
                                  dra::kNodeLabelValue, Names(without)));
  }
  if (!explanation.plugin_known || !plugin.found) return;
  if (plugin.ready < plugin.wanted) {
    advice->push_back(
        fmt::format("{} of {} pods of the driver are ready: kubectl -n {} describe pods -l "
                    "app.kubernetes.io/name=hami-dra-driver",
                    plugin.ready, plugin.wanted, plugin.namespace_name));
  }
  advice->push_back(
      fmt::format("{} See why: kubectl -n {} logs daemonset/{}",
                  explanation.slices_without_devices
                      ? "The driver runs and finds no GPU: is the NVIDIA driver loaded on the node?"
                      : "The driver has published nothing yet.",
                  plugin.namespace_name, kPlugin));
}

void AdviseNotFound(const Explanation& explanation, Sentences* advice) {
  if (!explanation.template_name.empty()) {
    advice->emplace_back(
        "Each pod that names the template gets a claim of its own, called POD-ENTRY-xxxxx. "
        "Explain one of those, or the pod: hami explain pod NAME");
    return;
  }
  if (explanation.similar.empty()) {
    advice->push_back(
        fmt::format("Namespace {} has no claims. Name another one with -n, or create "
                    "the claim.",
                    explanation.namespace_name));
  }
}

void AdviseClass(const Explanation& explanation, Sentences* advice) {
  if (explanation.missing_class == dra::kDriverName) {
    advice->emplace_back("Create the class: kubectl apply -f deploy/dra");
  } else if (explanation.known_classes.empty()) {
    advice->emplace_back("There is no DeviceClass at all: install a DRA driver.");
  } else {
    advice->push_back(fmt::format("Name a class that exists: {}. {}",
                                  Names(explanation.known_classes), kUnchangeable));
  }
}

void AdvisePods(const Explanation& explanation, Sentences* advice) {
  for (const PodFacts& pod : explanation.pods) {
    if (IsWell(pod) || pod.deleted || pod.phase == "Failed") continue;
    if (pod.node.empty()) {
      const auto scheduled = std::ranges::find(pod.conditions, "PodScheduled", &PodCondition::type);
      if (scheduled != pod.conditions.end()) continue;
      advice->push_back(
          fmt::format("No scheduler has looked at pod {} yet; it wants \"{}\": does that one run?",
                      pod.name, pod.scheduler));
    }
  }
}

}  // namespace

std::vector<std::string> Advice(const Explanation& explanation) {
  Sentences advice;
  switch (explanation.verdict) {
    case Verdict::kNotServed:
      advice.emplace_back("Upgrade to Kubernetes 1.34 or newer.");
      break;
    case Verdict::kNotFound:
      AdviseNotFound(explanation, &advice);
      break;
    case Verdict::kNotMade:
      advice.emplace_back(
          "kube-controller-manager makes it: the template has to exist in the pod's namespace, and "
          "no policy may refuse the claim. The pod's events say what went wrong.");
      break;
    case Verdict::kClassMissing:
      AdviseClass(explanation, &advice);
      break;
    case Verdict::kUnreadable:
      advice.emplace_back(
          "Ask an administrator for the right to list resourceslices and deviceclasses of "
          "resource.k8s.io, or read the scheduler's message above.");
      break;
    case Verdict::kNotPublished:
      AdviseNotPublished(explanation, &advice);
      break;
    case Verdict::kIncomplete:
      advice.emplace_back("Wait some seconds; if it stays so, restart the driver of that node.");
      break;
    case Verdict::kSharingOff:
      advice.emplace_back(
          "Turn on the feature gate DRAConsumableCapacity on kube-apiserver, kube-scheduler and "
          "kube-controller-manager: it is off by default before Kubernetes 1.36.");
      AdviseRoom(explanation, &advice);
      break;
    case Verdict::kNeverFits:
    case Verdict::kNoRoom:
      AdviseRoom(explanation, &advice);
      break;
    case Verdict::kFits:
      if (!explanation.pods.empty()) {
        advice.emplace_back(
            "Read the scheduler's message: another resource, a taint, an affinity, a second claim "
            "or a selector may be in the way.");
      }
      break;
    case Verdict::kDeviceGone:
      advice.emplace_back(
          "Is the node up, and its driver running? Pods that run keep what they have; to get "
          "another device, delete the pods that use the claim.");
      break;
    case Verdict::kAllocated:
      break;
  }
  AdvisePods(explanation, &advice);
  return advice;
}

}  // namespace hami::explain
