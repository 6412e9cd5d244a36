// SPDX-License-Identifier: Apache-2.0

#include "preload/hooks.h"

#include <array>
#include <cstddef>
#include <string_view>

namespace hami::preload {
namespace {

constexpr std::array<std::string_view, kHookCount> kNames = {
#define HAMI_CUDA_HOOK(symbol, on_failure) #symbol,
#define HAMI_NVML_HOOK(symbol, on_failure) #symbol,
#include "preload/hooks.def"
#define HAMI_REFUSED(symbol) #symbol,
#include "preload/refused.def"
};

constexpr uint32_t Hash(std::string_view name) {
  uint32_t hash = 2166136261U;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

// Open addressing, at most a quarter full; kCount marks an empty place.
constexpr size_t kPlaces = 2048;
static_assert(kHookCount * 4 <= static_cast<int>(kPlaces));

constexpr std::array<HookId, kPlaces> MakePlaces() {
  std::array<HookId, kPlaces> places{};
  for (HookId& place : places) place = HookId::kCount;
  for (size_t i = 0; i < kNames.size(); ++i) {
    size_t at = Hash(kNames[i]) % kPlaces;
    while (places[at] != HookId::kCount) at = (at + 1) % kPlaces;
    places[at] = static_cast<HookId>(i);
  }
  return places;
}
constexpr std::array<HookId, kPlaces> kPlaceOf = MakePlaces();

const Hook kHooks[] = {
#define HAMI_CUDA_HOOK(symbol, on_failure) \
  {#symbol, DriverLibrary::kCuda, reinterpret_cast<void*>(&::symbol)},
#define HAMI_NVML_HOOK(symbol, on_failure) \
  {#symbol, DriverLibrary::kNvml, reinterpret_cast<void*>(&::symbol)},
#include "preload/hooks.def"
#define HAMI_REFUSED(symbol) {#symbol, DriverLibrary::kNvml, reinterpret_cast<void*>(&::symbol)},
#include "preload/refused.def"
};
static_assert(sizeof(kHooks) / sizeof(kHooks[0]) == kHookCount);

}  // namespace

const Hook& GetHook(HookId id) { return kHooks[static_cast<size_t>(id)]; }

HookId FindHook(const char* symbol) {
  const std::string_view name(symbol);
  for (size_t at = Hash(name) % kPlaces; kPlaceOf[at] != HookId::kCount; at = (at + 1) % kPlaces) {
    if (kNames[static_cast<size_t>(kPlaceOf[at])] == name) return kPlaceOf[at];
  }
  return HookId::kCount;
}

}  // namespace hami::preload
