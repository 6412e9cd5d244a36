// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the text of a pod's devices, which anybody who may patch a pod writes. What must
// hold: what is accepted has numbers that are none below 0, reads the same again from what we write
// of it, and loses one container's devices with each consuming.

#include <stdint.h>
#include <stdlib.h>

#include <algorithm>
#include <string_view>

#include "domain/pod_devices.h"

using hami::domain::ContainerDevices;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  auto containers = hami::domain::ParsePodDevices(text);
  if (!containers) {
    if (containers.error().message.empty()) abort();
    return 0;
  }
  size_t filled = 0;
  std::vector<int32_t> counts;
  for (const ContainerDevices& devices : *containers) {
    filled += devices.empty() ? 0 : 1;
    counts.push_back(static_cast<int32_t>(devices.size()));
    for (const auto& device : devices) {
      if (device.memory_mib < 0 || device.cores < 0) abort();
    }
  }
  std::string rest = hami::domain::FormatPodDevices(*containers);
  if (hami::domain::ParsePodDevices(rest).value() != *containers) abort();
  if (hami::domain::AssignToContainers(*containers, counts) != *containers) abort();
  for (size_t i = 0; i < std::min<size_t>(filled, 8); ++i) {
    rest = hami::domain::ConsumeFirst(rest).value();
    const auto left = hami::domain::ParsePodDevices(rest).value();
    const auto has_devices = [](const ContainerDevices& devices) { return !devices.empty(); };
    if (std::ranges::count_if(left, has_devices) != static_cast<ptrdiff_t>(filled - i - 1)) abort();
  }
  return 0;
}
