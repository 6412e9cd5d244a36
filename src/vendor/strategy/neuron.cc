// SPDX-License-Identifier: Apache-2.0
//
// AWS Neuron: whole devices, or cores of them. In the shared text the field of cores is a mask of
// the device's cores.

#include <fmt/format.h>

#include <bit>
#include <optional>

#include "vendor/asked.h"
#include "vendor/strategies.h"

namespace hami::vendor {
namespace {

bool AsksForDevices(const Spec& spec, const domain::PodContainer& container) {
  return AskedText(container, spec.resources.count) != nullptr;
}

// Numbers of the cores on the node: those of one device stand together.
void AppendCores(const Device& device, int32_t mask, std::string* text) {
  for (int32_t bit = 0; bit < device.cores && bit < 31; ++bit) {
    if ((mask >> bit & 1) == 0) continue;
    if (!text->empty()) *text += ',';
    *text += std::to_string(int64_t{device.index} * device.cores + bit);
  }
}

}  // namespace

Result<Request> AskNeuron(const Spec& spec, const domain::Pod& /*pod*/,
                          const domain::PodContainer& container) {
  Request request;
  const ResourceNames& names = spec.resources;
  ASSIGN_OR_RETURN(const std::optional<int64_t> count, Asked(container, names.count, kMostDevices));
  if (count) {
    request.count = static_cast<int32_t>(*count);
    return request;  // cores 0: all of each
  }
  const int64_t fewest = spec.units.card_cores;
  ASSIGN_OR_RETURN(const std::optional<int64_t> cores,
                   Asked(container, names.cores, kMostDevices * fewest));
  if (!cores || *cores == 0) return request;
  if (*cores > 1 && *cores % fewest != 0) {
    return Refuse(
        container, names.cores,
        fmt::format("{} is neither 1 nor a multiple of {}, the cores of a device", *cores, fewest));
  }
  request.count = 1;
  request.cores = static_cast<int32_t>(*cores);
  request.across_devices = *cores > fewest;
  return request;
}

void NoteNeuron(const Spec& spec, const Grant& grant,
                std::map<std::string, std::string>* annotations) {
  std::string ids;
  bool any = false;
  for (size_t i = 0; i < grant.containers.size(); ++i) {
    for (const domain::Slice* slice : grant.containers[i]) {
      any = true;
      const Device* device = grant.Find(slice->device);
      if (device == nullptr) continue;
      if (AsksForDevices(spec, grant.pod->containers[i])) {
        if (!ids.empty()) ids += ',';
        ids += std::to_string(device->index);
      } else {
        AppendCores(*device, slice->cores, &ids);
        (*annotations)["NEURON_RESOURCE_TYPE"] = spec.resources.cores;
      }
    }
  }
  if (!any) return;
  (*annotations)["AWS_NEURON_IDS"] = ids;
  (*annotations)["NEURON_ALLOC_TIME"] = std::to_string(grant.now_ns);
  (*annotations)["NEURON_ALLOCATED"] = "false";
  (*annotations)["aws.amazon.com/predicate-node"] = grant.node;
}

}  // namespace hami::vendor
