// SPDX-License-Identifier: Apache-2.0
//
// Enflame's ways of sharing a card. Which slice serves a request depends on the profiles of a node,
// so a request carries what was asked, in its shape, until a node is looked at:
//   "drs=3"              3 slices
//   "spec=20,50"         20 of the memory resource (GiB, or MiB if that is more than twice the
//                        largest profile) and 50 percent of the cores; 0: not asked
//   "shared=25"          percent of a card, on nodes with the older plugin
// A slice that was given has the profile's name, "3g.20gb", or "shared".

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vendor/device.h"

namespace hami::vendor {

struct EnflameAsk {
  int32_t slices = 0;      // "drs"
  int32_t memory = 0;      // "spec"
  int32_t cores_pct = 0;   // "spec"
  int32_t shared_pct = 0;  // "shared"

  std::string Shape() const;
};
std::optional<EnflameAsk> ReadEnflameShape(std::string_view name);

struct EnflameProfile {
  std::string name;  // "3g.20gb"
  std::string id;    // the plugin's number for it
  int32_t slices = 0;
  int32_t memory_mib = 0;
  int32_t cores_pct = 0;  // ceil(slices * 100 / slices of the largest)
};

// Those of a device, ascending by slices, then memory. Empty for the older form of sharing.
std::vector<EnflameProfile> EnflameProfilesOf(const Device& device);

// The smallest profile that covers what is asked; of "drs" the one of exactly that many slices.
// Null: none does.
const EnflameProfile* ChooseEnflameProfile(const EnflameAsk& ask,
                                           const std::vector<EnflameProfile>& profiles);

// 3 of "3g.20gb"; 0 for what is no profile.
int32_t EnflameSlicesOf(std::string_view profile);

// The percentage rounded up to whole slices of a card that is cut into `card_slices`.
int32_t RoundEnflamePct(int32_t pct, int32_t card_slices);

// Keys of Device::extra.
inline constexpr const char* kEnflameMinor = "minor";
inline constexpr const char* kEnflameProfiles = "profiles";          // JSON, name to id
inline constexpr const char* kEnflameSharedSlices = "sharedSlices";  // older form: of a card

}  // namespace hami::vendor
