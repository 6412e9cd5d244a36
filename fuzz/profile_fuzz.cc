// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a simulation profile. Good seeds: src/simgpu/profiles. What must hold: no read
// outside, no hang, no exception; what is accepted is the same when it is written out and read
// again, and its devices have names of their own.

#include <stdint.h>
#include <stdlib.h>

#include <cstddef>
#include <set>
#include <string>
#include <string_view>

#include "simgpu/profile/expand.h"
#include "simgpu/profile/profile.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  using hami::simgpu::Profile;
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  const hami::Result<Profile> profile = hami::simgpu::ParseProfile(text, "profile.yaml");
  if (!profile) {
    if (profile.error().message.empty()) abort();
    return 0;
  }
  const std::string written = hami::simgpu::WriteProfile(*profile);
  const hami::Result<Profile> again = hami::simgpu::ParseProfile(written, "profile.yaml");
  if (!again || hami::simgpu::WriteProfile(*again) != written) abort();
  if (again->kernels != profile->kernels) abort();

  const auto devices = hami::simgpu::ExpandDevices(*profile, "fuzz");
  if (!devices) return 0;
  if (devices->size() != profile->DeviceCount()) abort();
  std::set<std::string> names;
  for (const hami::simgpu::ExpandedDevice& device : *devices) {
    if (!names.insert(device.uuid).second || !names.insert(device.PciAddress()).second) abort();
  }
  return 0;
}
