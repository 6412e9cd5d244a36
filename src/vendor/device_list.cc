// SPDX-License-Identifier: Apache-2.0

#include "vendor/device_list.h"

namespace hami::vendor {

std::string DeviceIndexes(const Grant& grant, const std::vector<const domain::Slice*>& slices) {
  std::string text;
  for (const domain::Slice* slice : slices) {
    const Device* device = grant.Find(slice->device);
    if (device == nullptr) continue;
    if (!text.empty()) text += ',';
    text += std::to_string(device->index);
  }
  return text;
}

}  // namespace hami::vendor
