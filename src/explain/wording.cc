// SPDX-License-Identifier: Apache-2.0

#include "explain/wording.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "domain/device_pool.h"
#include "explain/read_objects.h"

namespace hami::explain {
namespace {

// The requests are in each other's way; each alone would find a device.
bool OnlyTogether(const Explanation& explanation) {
  return !explanation.unserved.empty() &&
         std::ranges::all_of(explanation.unserved,
                             [](const Unserved& unserved) { return unserved.nearest.taken; });
}

bool HasWaitingPod(const Explanation& explanation) {
  return std::ranges::any_of(explanation.pods, [](const PodFacts& pod) {
    return !pod.deleted && pod.phase != "Succeeded" && pod.phase != "Failed";
  });
}

std::string OnNode(const std::string& node) { return node.empty() ? "" : " on node " + node; }

std::string AllocatedHeadline(const Explanation& explanation) {
  const size_t devices = explanation.served.size();
  std::string text =
      fmt::format("Claim {}/{} has its {}{}.", explanation.namespace_name, explanation.name,
                  devices == 1 ? "device" : "devices", OnNode(explanation.node));
  // Pods with trouble are the first; of some nothing is known but the name.
  if (explanation.pods.empty()) return text + " No pod uses it.";
  const PodFacts& pod = explanation.pods.front();
  if (pod.phase.empty() || IsWell(pod)) return text;
  const std::string_view state = pod.deleted              ? "is being deleted"
                                 : pod.phase == "Failed"  ? "has failed"
                                 : pod.phase == "Running" ? "runs, but is not ready"
                                 : pod.node.empty()       ? "is not scheduled"
                                                          : "does not run yet";
  return text + fmt::format(" Its pod {} {}.", pod.name, state);
}

std::string WaitingReason(const Explanation& explanation) {
  switch (explanation.verdict) {
    case Verdict::kClassMissing:
      return fmt::format("there is no DeviceClass \"{}\"", explanation.missing_class);
    case Verdict::kUnreadable:
      return "what is free cannot be said, because the devices could not be read";
    case Verdict::kNotPublished:
      if (explanation.missing_driver.empty()) return "no node publishes any device";
      return fmt::format("no node publishes a device of driver {}", explanation.missing_driver);
    case Verdict::kIncomplete:
      return "its devices are in pools that are not published whole yet";
    case Verdict::kSharingOff:
      return "this cluster gives whole devices only, and all of them are held";
    case Verdict::kNeverFits:
      return OnlyTogether(explanation)
                 ? "no node has the devices that it asks for together, however empty it is"
                 : "it asks for more than any device ever has";
    default:
      return OnlyTogether(explanation) ? "no node has room for all its requests together now"
                                       : "no device has enough room now";
  }
}

}  // namespace

std::string AmountText(const Amount& amount) {
  return domain::FormatCapacity({.binary = amount.binary}, amount.value);
}

std::string AmountsText(const std::vector<NamedAmount>& amounts) {
  std::vector<std::string> parts;
  parts.reserve(amounts.size());
  for (const NamedAmount& amount : amounts) {
    parts.push_back(amount.capacity + " " + AmountText(amount.amount));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string DeviceText(const DeviceName& device) {
  std::string text = device.device;
  if (!device.product.empty()) text += " (" + device.product + ")";
  if (!device.node.empty()) return text + OnNode(device.node);
  return text + " of pool " + device.pool;
}

std::string Headline(const Explanation& explanation) {
  const std::string key = explanation.namespace_name + "/" + explanation.name;
  switch (explanation.verdict) {
    case Verdict::kNotServed:
      return fmt::format(
          "The API server{}{} does not serve resource.k8s.io/v1: there are no claims.",
          explanation.server_version.empty() ? "" : ", ", explanation.server_version);
    case Verdict::kNotFound:
      return explanation.template_name.empty()
                 ? fmt::format("There is no ResourceClaim {}.", key)
                 : fmt::format("There is no ResourceClaim {}; it is a ResourceClaimTemplate.", key);
    case Verdict::kNotMade:
      return fmt::format(
          "The claim of entry \"{}\" has not been made yet from the "
          "ResourceClaimTemplate {}/{}.",
          explanation.name, explanation.namespace_name, explanation.template_name);
    case Verdict::kAllocated:
      return AllocatedHeadline(explanation);
    case Verdict::kDeviceGone:
      return fmt::format("Claim {} has a device that is no longer published.", key);
    case Verdict::kFits:
      return HasWaitingPod(explanation)
                 ? fmt::format("Claim {} waits, though there is room for it{}.", key,
                               OnNode(explanation.node))
                 : fmt::format("Claim {} waits for a pod. It would fit now{}.", key,
                               OnNode(explanation.node));
    default:
      return fmt::format("Claim {} waits: {}.", key, WaitingReason(explanation));
  }
}

std::vector<std::string> Notes(const Explanation& explanation) {
  std::vector<std::string> notes;
  const bool has_claim = !explanation.requests.empty();
  const bool allocated =
      explanation.verdict == Verdict::kAllocated || explanation.verdict == Verdict::kDeviceGone;
  if (explanation.deleted) {
    notes.emplace_back("The claim is being deleted; it goes when no pod uses it any more.");
  }
  if (has_claim && !allocated && !HasWaitingPod(explanation)) {
    notes.push_back(fmt::format(
        "{} A claim is allocated when a pod that names it is scheduled.",
        explanation.pods.empty() ? "No pod uses this claim yet." : "Its pods have ended."));
  }
  if (has_claim && !allocated && !explanation.incomplete_pools.empty()) {
    notes.push_back(
        fmt::format("Not all slices of these pools are published, so the scheduler "
                    "passes them over: {}.",
                    fmt::join(explanation.incomplete_pools, ", ")));
  }
  if (explanation.sharing_off && explanation.verdict != Verdict::kSharingOff) {
    notes.emplace_back(
        "GPUs are published as not shareable: the feature gate "
        "DRAConsumableCapacity is off on the API server, so a claim takes a whole "
        "GPU.");
  }
  for (const Gap& gap : explanation.gaps) {
    notes.push_back(fmt::format("{} could not be read: {}", gap.what, gap.why));
  }
  if (explanation.upper_bounds && explanation.verdict != Verdict::kUnreadable) {
    notes.emplace_back(
        "Claims of other namespaces could not be read: what is called free here may be less.");
  }
  return notes;
}

}  // namespace hami::explain
