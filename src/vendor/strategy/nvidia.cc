// SPDX-License-Identifier: Apache-2.0
//
// NVIDIA: admission, links between GPUs, MIG instances.

#include <fmt/format.h>

#include <limits>
#include <optional>
#include <utility>

#include "domain/mig_allocations.h"
#include "domain/names.h"
#include "domain/pair_scores.h"
#include "vendor/asked.h"
#include "vendor/strategies.h"

namespace hami::vendor {
namespace {

constexpr int64_t kMost = std::numeric_limits<int32_t>::max();

bool HasLimit(const domain::PodContainer& container, const std::string& resource) {
  return !resource.empty() && container.limits.contains(resource);
}

}  // namespace

Status AdmitNvidia(const Spec& spec, const domain::Pod& pod, const domain::PodContainer& container,
                   Admission* admission) {
  const ResourceNames& names = spec.resources;
  ASSIGN_OR_RETURN(const std::optional<int64_t> percent, Asked(container, names.memory_pct, 100));
  ASSIGN_OR_RETURN(const std::optional<int64_t> priority,
                   Limited(container, names.priority, kMost));
  if (priority) {
    admission->environment.emplace_back("CUDA_TASK_PRIORITY", std::to_string(*priority));
  }
  bool counted = AskedText(container, names.count) != nullptr;
  if (!counted && !names.count.empty() && spec.units.default_count > 0 &&
      (HasLimit(container, names.cores) || HasLimit(container, names.memory) ||
       HasLimit(container, names.memory_pct))) {
    admission->limits[names.count] = std::to_string(spec.units.default_count);
    counted = true;
  }
  ASSIGN_OR_RETURN(const Request request, spec.ask(spec, pod, Admitted(container, *admission)));
  if (request.count == 0) return {};
  admission->has_devices = true;
  // Who asks for all the memory wants the card alone.
  const bool has_memory = AskedText(container, names.memory) != nullptr;
  if (!names.cores.empty() && AskedText(container, names.cores) == nullptr &&
      (percent ? *percent == 100 : !has_memory)) {
    admission->limits[names.cores] = std::to_string(spec.units.card_cores);
  }
  if (!spec.core_policy.empty()) {
    admission->environment.emplace_back("GPU_CORE_UTILIZATION_POLICY", spec.core_policy);
  }
  return {};
}

std::vector<Device> ReadLinkedRegister(const Spec& spec, const domain::Node& node,
                                       std::vector<std::string>* problems) {
  std::vector<Device> devices = ReadRegister(spec, node, problems);
  const auto text = node.annotations.find(std::string(domain::kNodeNvidiaScore));
  if (text == node.annotations.end()) return devices;
  Result<domain::PairScores> scores = domain::ParsePairScores(text->second);
  if (!scores) {
    problems->push_back(fmt::format("{}: {}", domain::kNodeNvidiaScore, scores.error().message));
    return devices;
  }
  for (Device& device : devices) {
    const auto found = scores->find(device.id);
    if (found != scores->end()) device.pair_scores = std::move(found->second);
  }
  return devices;
}

void NoteMig(const Spec& /*spec*/, const Grant& grant,
             std::map<std::string, std::string>* annotations) {
  std::vector<domain::MigAllocation> allocations;
  for (size_t container = 0; container < grant.containers.size(); ++container) {
    for (size_t index = 0; index < grant.containers[container].size(); ++index) {
      const domain::Slice& slice = *grant.containers[container][index];
      if (!slice.mig) continue;
      allocations.push_back({.container = static_cast<int32_t>(container),
                             .device = static_cast<int32_t>(index),
                             .gpu = slice.device,
                             .placement = *slice.mig});
    }
  }
  if (allocations.empty()) return;
  (*annotations)[std::string(domain::kMigAllocations)] = domain::FormatMigAllocations(allocations);
}

Status ReadMigNote(const Spec& /*spec*/, const domain::Pod& pod,
                   std::vector<domain::Slice>* slices) {
  const auto text = pod.annotations.find(std::string(domain::kMigAllocations));
  if (text == pod.annotations.end() || text->second.empty()) return {};
  Result<std::vector<domain::MigAllocation>> allocations =
      domain::ParseMigAllocations(text->second);
  if (!allocations) {
    return Fail(std::move(allocations.error()).Wrap(std::string(domain::kMigAllocations)));
  }
  for (domain::MigAllocation& allocation : *allocations) {
    domain::Slice* target = nullptr;
    int32_t index = -1;
    for (domain::Slice& slice : *slices) {
      if (slice.container == allocation.container && ++index == allocation.device) target = &slice;
    }
    if (target == nullptr || target->device != allocation.gpu) {
      return Fail(
          Code::kInvalidArgument,
          fmt::format("{}: container {}, device {} is no slice of {}", domain::kMigAllocations,
                      allocation.container, allocation.device, allocation.gpu));
    }
    target->mig = std::move(allocation.placement);
  }
  return {};
}

}  // namespace hami::vendor
