// SPDX-License-Identifier: Apache-2.0

#include "placement/mig.h"

#include <algorithm>

#include "base/stable_sort.h"

namespace hami::placement {
namespace {

bool FromHighEnd(const vendor::MigProfile& profile) {
  return profile.name.starts_with("1g.") || profile.name.starts_with("3g.");
}

int32_t LargestMemory(const vendor::Device& device) {
  int32_t largest = 0;
  for (const vendor::MigProfile& profile : device.mig_profiles) {
    largest = std::max(largest, profile.memory_mib);
  }
  return largest;
}

}  // namespace

bool IsMig(const vendor::Device& device) { return device.mode == "mig"; }

uint64_t MigBits(int32_t start, int32_t size) {
  if (start < 0 || size <= 0 || start >= 64 || size > 64 - start) return 0;
  const uint64_t bits = size == 64 ? ~uint64_t{0} : (uint64_t{1} << size) - 1;
  return bits << start;
}

std::vector<MigChoice> MigChoices(const vendor::Device& device, int32_t memory_mib, int32_t cores,
                                  bool whole) {
  if (whole) memory_mib = std::min(memory_mib, LargestMemory(device));
  std::vector<const vendor::MigProfile*> profiles;
  for (const vendor::MigProfile& profile : device.mig_profiles) {
    if (profile.memory_mib >= memory_mib && profile.cores >= cores) profiles.push_back(&profile);
  }
  base::StableSortBy(&profiles, [](const vendor::MigProfile* profile) {
    return std::pair(profile->memory_mib, profile->slice_count);
  });
  std::vector<MigChoice> choices;
  for (const vendor::MigProfile* profile : profiles) {
    std::vector<MigChoice> places;
    for (const vendor::MigProfile::Place& place : profile->places) {
      if (MigBits(place.start, place.size) == 0) continue;
      places.push_back({.profile = profile, .start = place.start, .size = place.size});
    }
    const bool high = FromHighEnd(*profile);
    base::StableSortBy(
        &places, [high](const MigChoice& choice) { return high ? -choice.start : choice.start; });
    choices.insert(choices.end(), places.begin(), places.end());
  }
  return choices;
}

std::optional<MigChoice> ChooseMig(const vendor::Device& device, uint64_t taken, int32_t memory_mib,
                                   int32_t cores, bool whole) {
  if (whole) memory_mib = std::min(memory_mib, LargestMemory(device));
  MigChoice best;
  for (const vendor::MigProfile& profile : device.mig_profiles) {
    if (profile.memory_mib < memory_mib || profile.cores < cores) continue;
    if (best.profile != nullptr && (profile.memory_mib > best.profile->memory_mib ||
                                    (profile.memory_mib == best.profile->memory_mib &&
                                     profile.slice_count >= best.profile->slice_count))) {
      continue;
    }
    const bool high = FromHighEnd(profile);
    bool found = false;
    for (const vendor::MigProfile::Place& place : profile.places) {
      const uint64_t bits = MigBits(place.start, place.size);
      if (bits == 0 || (bits & taken) != 0) continue;
      if (found && (high ? place.start <= best.start : place.start >= best.start)) continue;
      found = true;
      best = {.profile = &profile, .start = place.start, .size = place.size};
    }
  }
  if (best.profile == nullptr) return std::nullopt;
  return best;
}

}  // namespace hami::placement
