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
    "(A claim cannot be changed: delete and create it, or change its template and delete the pod.)";
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
  if (single.size() == 1) return "Wait until " + single[0] + " ends, or end it.";
  if (!single.empty()) return "Wait until one of these ends, or end it: " + Names(single) + ".";
  std::vector<const Holder*> gone;
  Sentences together;
  for (const Holder& holder : nearest.holders) {
    gone.push_back(&holder);
    together.push_back(HolderText(holder));
    if (IsEnough(gone, nearest)) {
      return fmt::format("Wait until all of these end, or end them: {}.",
                         fmt::join(together, ", "));
    }
  }
  return {};
}

// "ask for less", of one request.
std::string AskForLess(const Explanation& explanation, const Unserved& unserved) {
  const Candidate& nearest = unserved.nearest;
  const std::string request =
      explanation.requests.size() > 1 ? " in request " + unserved.request : "";
  Sentences unknown;
  Sentences known;
  for (const Comparison& capacity : nearest.capacities) {
    (capacity.unknown ? unknown : known).push_back(capacity.capacity);
  }
  if (!unknown.empty()) {
    return fmt::format("Do not ask for {}{}: devices like {} have {}. {}", Names(unknown), request,
                       nearest.device.device,
                       known.empty() ? "no capacities" : "only " + Names(known), kUnchangeable);
  }
  if (unserved.at_most.empty()) return {};
  return fmt::format("Ask for at most {}{}: {} has that{}. {}", AmountsText(unserved.at_most),
                     request, DeviceText(nearest.device),
                     explanation.verdict == Verdict::kNeverFits ? "" : " now", kUnchangeable);
}

void AdviseRoom(const Explanation& explanation, Sentences* advice) {
  const bool never = explanation.verdict == Verdict::kNeverFits;
  bool together = true;
  for (const Unserved& unserved : explanation.unserved) {
    together = together && unserved.nearest.taken;
    Sentences ways = {AskForLess(explanation, unserved)};
    if (!never) ways.push_back(WaitFor(unserved.nearest));
    for (std::string& way : ways) {
      if (!way.empty()) advice->push_back(std::move(way));
    }
  }
  if (never && together) {
    advice->emplace_back("Ask for fewer devices, or add a node that has as many.");
  } else {
    advice->emplace_back(never ? "Add a node with larger devices."
                               : "Add a node with a free device.");
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
  if (plugin.wanted > 0 && plugin.ready == 0) {
    advice->push_back(
        fmt::format("None of the driver's {} pods is ready: kubectl -n {} describe pods -l "
                    "app.kubernetes.io/name=hami-dra-driver",
                    plugin.wanted, plugin.namespace_name));
    return;
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
  advice->push_back(fmt::format(
      "Create the claim, or name the right one; -n chooses another namespace than {}.{}",
      explanation.namespace_name,
      explanation.pods.empty() ? "" : " The pods above wait until it is there."));
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

void AdviseUnprepared(const Explanation& explanation, Sentences* advice) {
  for (const PodFacts& pod : explanation.pods) {
    // The newest is what holds it up; containers exist only after that.
    const bool unprepared = !IsWell(pod) && pod.stuck.empty() && !pod.warnings.empty() &&
                            pod.warnings.front().reason == "FailedPrepareDynamicResources";
    if (!unprepared) continue;
    advice->push_back(fmt::format(
        "The driver on node {} could not hand the device to pod {}; the kubelet tries again by "
        "itself. The log of the driver's pod on that node says more.",
        pod.node, pod.name));
    return;
  }
}

// The scheduler passes over pods whose claims do not exist, without a word.
void AdvisePods(const Explanation& explanation, Sentences* advice) {
  const Verdict verdict = explanation.verdict;
  if (verdict == Verdict::kNotFound || verdict == Verdict::kNotMade) return;
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
          "kube-controller-manager: it is off by default before Kubernetes 1.36. Claims that were "
          "created without it have lost their amounts: delete and create them again.");
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
      AdviseUnprepared(explanation, &advice);
      break;
  }
  AdvisePods(explanation, &advice);
  return advice;
}

}  // namespace hami::explain
