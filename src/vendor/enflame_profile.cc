// SPDX-License-Identifier: Apache-2.0

#include "vendor/enflame_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>

#include "json/value.h"

namespace hami::vendor {
namespace {

constexpr int32_t kMostSlices = 1024;
constexpr int32_t kMostGib = 1 << 20;

// The digits at the start, from 0 to `most`; -1 if there are none.
int32_t LeadingNumber(std::string_view text, int32_t most, std::string_view* rest) {
  int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0 || value > most) return -1;
  *rest = text.substr(static_cast<size_t>(end - text.data()));
  return value;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

// "3g.20gb"
bool ReadProfile(std::string_view name, int32_t* slices, int32_t* memory_gib) {
  const std::string lower = Lower(name);
  std::string_view rest;
  *slices = LeadingNumber(lower, kMostSlices, &rest);
  if (*slices <= 0 || !rest.starts_with("g.")) return false;
  *memory_gib = LeadingNumber(rest.substr(2), kMostGib, &rest);
  return *memory_gib > 0 && rest == "gb";
}

int32_t NumberAfter(std::string_view text, std::string_view word) {
  std::string_view rest;
  if (!text.starts_with(word)) return -1;
  const int32_t value = LeadingNumber(text.substr(word.size()), 1 << 30, &rest);
  return rest.empty() ? value : -1;
}

}  // namespace

std::string EnflameAsk::Shape() const {
  if (slices > 0) return fmt::format("drs={}", slices);
  if (shared_pct > 0) return fmt::format("shared={}", shared_pct);
  return fmt::format("spec={},{}", memory, cores_pct);
}

std::optional<EnflameAsk> ReadEnflameShape(std::string_view name) {
  EnflameAsk ask;
  if (const int32_t slices = NumberAfter(name, "drs="); slices > 0) {
    ask.slices = slices;
    return ask;
  }
  if (const int32_t pct = NumberAfter(name, "shared="); pct > 0) {
    ask.shared_pct = pct;
    return ask;
  }
  constexpr std::string_view kSpec = "spec=";
  if (!name.starts_with(kSpec)) return std::nullopt;
  std::string_view rest;
  ask.memory = LeadingNumber(name.substr(kSpec.size()), 1 << 30, &rest);
  ask.cores_pct = NumberAfter(rest, ",");
  if (ask.memory < 0 || ask.cores_pct < 0) return std::nullopt;
  return ask;
}

std::vector<EnflameProfile> EnflameProfilesOf(const Device& device) {
  const auto found = device.extra.find(kEnflameProfiles);
  json::Document document;
  if (found == device.extra.end() || !document.Parse(found->second)) return {};
  std::vector<EnflameProfile> profiles;
  int32_t most_slices = 0;
  for (const auto& [name, id] : document.root().Members()) {
    EnflameProfile profile;
    int32_t memory_gib = 0;
    if (!ReadProfile(name, &profile.slices, &memory_gib)) continue;
    profile.name = name;
    profile.id = id.kind() == json::Kind::kText ? std::string(id.Text()) : id.Json();
    profile.memory_mib = memory_gib * 1024;
    most_slices = std::max(most_slices, profile.slices);
    profiles.push_back(std::move(profile));
  }
  for (EnflameProfile& profile : profiles) {
    profile.cores_pct = (profile.slices * 100 + most_slices - 1) / most_slices;
  }
  std::sort(profiles.begin(), profiles.end(), [](const EnflameProfile& a, const EnflameProfile& b) {
    return std::tie(a.slices, a.memory_mib, a.name) < std::tie(b.slices, b.memory_mib, b.name);
  });
  return profiles;
}

const EnflameProfile* ChooseEnflameProfile(const EnflameAsk& ask,
                                           const std::vector<EnflameProfile>& profiles) {
  if (profiles.empty() || ask.shared_pct > 0) return nullptr;
  int64_t memory_mib = int64_t{ask.memory} * 1024;
  // More GiB than twice the largest profile must be MiB; the contract has whole GiB then.
  if (int64_t{ask.memory} * 1024 > int64_t{profiles.back().memory_mib} * 2) {
    memory_mib = (int64_t{ask.memory} + 1023) / 1024 * 1024;
  }
  for (const EnflameProfile& profile : profiles) {
    if (ask.slices > 0) {
      if (profile.slices == ask.slices) return &profile;
    } else if (profile.memory_mib >= memory_mib && profile.cores_pct >= ask.cores_pct) {
      return &profile;
    }
  }
  return nullptr;
}

int32_t EnflameSlicesOf(std::string_view profile) {
  int32_t slices = 0;
  int32_t memory_gib = 0;
  return ReadProfile(profile, &slices, &memory_gib) ? slices : 0;
}

int32_t RoundEnflamePct(int32_t pct, int32_t card_slices) {
  if (card_slices <= 0) return pct;
  const int64_t slices = (int64_t{pct} * card_slices + 99) / 100;
  return static_cast<int32_t>(slices * 100 / card_slices);
}

}  // namespace hami::vendor
