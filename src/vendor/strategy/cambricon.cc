// SPDX-License-Identifier: Apache-2.0
//
// Cambricon: what its plugin cuts, said for the first device of the first container with one, which
// is all that the plugin's protocol can say.

#include <fmt/format.h>

#include "vendor/strategies.h"

namespace hami::vendor {

void NoteCambricon(const Spec& spec, const Grant& grant,
                   std::map<std::string, std::string>* annotations) {
  for (const auto& slices : grant.containers) {
    if (slices.empty()) continue;
    const domain::Slice& slice = *slices.front();
    const Device* device = grant.Find(slice.device);
    (*annotations)["CAMBRICON_DSMLU_ASSIGNED"] = "false";
    // The spelling that the vendor's own plugins wait for; HAMi 2.10 writes the other.
    (*annotations)["CAMBRICON_DSMLU_ASSIGHED"] = "false";
    (*annotations)["CAMBRICON_DSMLU_PROFILE"] =
        fmt::format("{}_{}_{}", device == nullptr ? 0 : device->index, slice.cores,
                    slice.memory_mib / spec.units.memory_mib);
    return;
  }
}

}  // namespace hami::vendor
