// SPDX-License-Identifier: Apache-2.0
//
// The profiles of src/simgpu/profiles, compiled in: `hami` needs no data file.

#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "simgpu/profile/profile.h"

namespace hami::simctl {

struct BuiltinProfile {
  std::string_view name;
  std::string_view text;
};

std::span<const BuiltinProfile> BuiltinProfiles();

// kNotFound with the names that there are.
Result<simgpu::Profile> LoadBuiltinProfile(std::string_view name);

}  // namespace hami::simctl
