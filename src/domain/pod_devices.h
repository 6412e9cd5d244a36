// SPDX-License-Identifier: Apache-2.0
//
// The text that says which devices a pod's containers have, the same for all vendors (contract
// hami-control-plane.md 2.1): every container, init containers first, in the order of the spec.
//
//   pod       := { container ";" }
//   container := { device ":" }                     empty: no devices of this vendor
//   device    := id "," common word "," memory MiB "," cores
//
//   ";GPU-a,NVIDIA,2000,30:GPU-b,NVIDIA,2000,30:;"  the first container has none, the second two
//
// Nothing is escaped: ids and words have none of , : ; in them. Pure.

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hami::domain {

struct PodDevice {
  std::string id;
  std::string common_word;
  int32_t memory_mib = 0;
  int32_t cores = 0;

  bool operator==(const PodDevice&) const = default;
};

using ContainerDevices = std::vector<PodDevice>;

// By container. As HAMi reads it: pieces without a comma are skipped, fields after the fourth are
// ignored, the text may end without ";" and have more ";" than the pod has containers (empty
// entries at the end are dropped here). kInvalidArgument: fewer than four fields; a number that is
// none, does not fit into 32 bits, or is negative, which nothing writes but who wants more room.
Result<std::vector<ContainerDevices>> ParsePodDevices(std::string_view text);

// With an entry for every container, also for those without devices.
std::string FormatPodDevices(std::span<const ContainerDevices> containers);

// Which entry belongs to which container. HAMi up to 2.10 leaves out the entries of containers
// without devices that come first, so that the place in the text is not enough: `counts` says how
// many devices each container asked for. The answer has as many entries as `counts`. In this order:
//   1. every entry with devices stands at a container that asks for some: that is its container,
//      also in a text of which some were consumed;
//   2. there are as many entries with devices as containers that ask for some: they belong together
//      in their order.
// nullopt: neither, the text is not about this pod. An entry may have another number of devices
// than was asked for: vendors round.
std::optional<std::vector<ContainerDevices>> AssignToContainers(
    std::vector<ContainerDevices> entries, std::span<const int32_t> counts);

// What is left of kVgpuDevicesToAllocate once the first container that has devices in it has got
// them. The text itself if there is none. Errors are those of ParsePodDevices.
Result<std::string> ConsumeFirst(std::string_view text);

// HAMi's test of kVgpuDevicesToAllocate: no common word of any vendor stands in it any more.
bool IsAllAllocated(std::string_view text, std::span<const std::string_view> common_words);

}  // namespace hami::domain
