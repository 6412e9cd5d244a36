// SPDX-License-Identifier: Apache-2.0

#include "simctl/builtin_profiles.h"

#include <fmt/format.h>

namespace hami::simctl {
namespace {

constexpr BuiltinProfile kProfiles[] = {
#include "builtin_profiles.inc"
};

}  // namespace

std::span<const BuiltinProfile> BuiltinProfiles() { return kProfiles; }

Result<simgpu::Profile> LoadBuiltinProfile(std::string_view name) {
  std::string names;
  for (const BuiltinProfile& profile : kProfiles) {
    if (profile.name == name) {
      return simgpu::ParseProfile(profile.text, fmt::format("{}.yaml", name));
    }
    names += fmt::format("{}{}", names.empty() ? "" : ", ", profile.name);
  }
  return Fail(Code::kNotFound,
              fmt::format("no built-in profile \"{}\"; there are {}", name, names));
}

}  // namespace hami::simctl
