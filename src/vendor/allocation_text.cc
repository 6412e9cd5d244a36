// SPDX-License-Identifier: Apache-2.0

#include "vendor/allocation_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "base/stable_sort.h"
#include "domain/names.h"
#include "domain/pod_devices.h"
#include "vendor/asked.h"

namespace hami::vendor {
namespace {

constexpr int64_t kNsPerS = 1'000'000'000;

// How many devices each container asks of this vendor. A request that we would refuse today may
// have been granted by an older scheduler: it counts as one device.
std::vector<int32_t> AskedCounts(const Spec& spec, const domain::Pod& pod) {
  std::vector<int32_t> counts;
  for (const domain::PodContainer& container : pod.containers) {
    const Result<Request> request = spec.ask(spec, pod, container);
    counts.push_back(request ? request->count : 1);
  }
  return counts;
}

Status ReadVendor(const Spec& spec, const domain::Pod& pod, domain::Allocation* allocation) {
  const auto found = pod.annotations.find(spec.allocated_key);
  if (spec.allocated_key.empty() || found == pod.annotations.end()) return {};
  Result<std::vector<domain::ContainerDevices>> entries = domain::ParsePodDevices(found->second);
  if (!entries) return Fail(std::move(entries.error()).Wrap(spec.allocated_key));
  if (entries->empty()) return {};
  const std::optional<std::vector<domain::ContainerDevices>> containers =
      domain::AssignToContainers(*std::move(entries), AskedCounts(spec, pod));
  if (!containers) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{}: \"{:.80}\" is not what this pod's containers ask for",
                            spec.allocated_key, found->second));
  }
  std::vector<domain::Slice> slices;
  for (size_t i = 0; i < containers->size(); ++i) {
    for (const domain::PodDevice& device : (*containers)[i]) {
      if (device.id.empty()) {
        return Fail(Code::kInvalidArgument,
                    fmt::format("{}: a device without id", spec.allocated_key));
      }
      domain::Slice& slice = slices.emplace_back();
      slice.container = static_cast<uint16_t>(i);
      slice.vendor = spec.common_word;
      slice.device = device.id;
      slice.memory_mib = device.memory_mib;
      slice.cores = device.cores;
    }
  }
  if (spec.read_note != nullptr) RETURN_IF_ERROR(spec.read_note(spec, pod, &slices));
  std::move(slices.begin(), slices.end(), std::back_inserter(allocation->slices));
  return {};
}

Grant MakeGrant(const Spec& spec, const domain::Pod& pod, const domain::Allocation& allocation,
                std::span<const Device> node_devices, int64_t now_ns) {
  Grant grant;
  const bool any = std::any_of(allocation.slices.begin(), allocation.slices.end(),
                               [&](const auto& slice) { return slice.vendor == spec.common_word; });
  if (!any) return grant;  // no containers
  grant.pod = &pod;
  grant.node = allocation.node;
  grant.now_ns = now_ns;
  grant.containers.resize(pod.containers.size());
  for (const domain::Slice& slice : allocation.slices) {
    if (slice.vendor != spec.common_word || slice.container >= grant.containers.size()) continue;
    grant.containers[slice.container].push_back(&slice);
  }
  for (const Device& device : node_devices) grant.devices.emplace(device.id, &device);
  return grant;
}

std::string Word(const Spec& spec, const Grant& grant, const domain::Slice& slice) {
  const Device* device = spec.writes_type ? grant.Find(slice.device) : nullptr;
  // The word must not break the text.
  if (device == nullptr || device->type.empty() ||
      device->type.find_first_of(",:;") != std::string::npos) {
    return spec.common_word;
  }
  return device->type;
}

}  // namespace

Result<domain::Allocation> ReadAllocation(std::span<const Spec> specs, const domain::Pod& pod) {
  domain::Allocation allocation;
  const auto node = pod.annotations.find(std::string(domain::kVgpuNode));
  if (node == pod.annotations.end() || node->second.empty()) return allocation;
  for (const Spec& spec : specs) RETURN_IF_ERROR(ReadVendor(spec, pod, &allocation));
  base::StableSortBy(&allocation.slices,
                     [](const domain::Slice& slice) { return slice.container; });
  allocation.node = node->second;
  return allocation;
}

std::map<std::string, std::string> WriteAllocation(std::span<const Spec> specs,
                                                   const domain::Pod& pod,
                                                   const domain::Allocation& allocation,
                                                   std::span<const Device> node_devices,
                                                   int64_t now_ns) {
  std::map<std::string, std::string> annotations;
  annotations[std::string(domain::kVgpuNode)] = allocation.node;
  annotations[std::string(domain::kVgpuTime)] = std::to_string(now_ns / kNsPerS);
  for (const Spec& spec : specs) {
    const Grant grant = MakeGrant(spec, pod, allocation, node_devices, now_ns);
    if (grant.containers.empty()) continue;
    std::vector<domain::ContainerDevices> entries(grant.containers.size());
    for (size_t i = 0; i < entries.size(); ++i) {
      for (const domain::Slice* slice : grant.containers[i]) {
        entries[i].push_back(
            {slice->device, Word(spec, grant, *slice), slice->memory_mib, slice->cores});
      }
    }
    const std::string text = domain::FormatPodDevices(entries);
    if (!spec.to_allocate_key.empty()) annotations[spec.to_allocate_key] = text;
    annotations[spec.allocated_key] = text;
    if (spec.note != nullptr) spec.note(spec, grant, &annotations);
  }
  return annotations;
}

}  // namespace hami::vendor
