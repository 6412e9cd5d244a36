// SPDX-License-Identifier: Apache-2.0

#include "smi/slices.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/share/agent.h"
#include "region/limits.h"

namespace hami::smi {
namespace {

constexpr char kLibraryName[] = "/libvgpu.so";
constexpr char kFallbackVariable[] = "HAMI_SHARES";
// HAMI's own rules where nothing is mounted: bytes with a suffix, and percent.
constexpr char kMemoryVariable[] = "CUDA_DEVICE_MEMORY_LIMIT";
constexpr char kFirstMemoryVariable[] = "CUDA_DEVICE_MEMORY_LIMIT_0";
constexpr char kCoresVariable[] = "CUDA_DEVICE_SM_LIMIT";

bool IsLibraryMapped() {
  FILE* maps = fopen("/proc/self/maps", "re");
  if (maps == nullptr) return false;
  char line[4352];
  bool found = false;
  while (!found && fgets(line, sizeof(line), maps) != nullptr) {
    found = strstr(line, kLibraryName) != nullptr;
  }
  fclose(maps);
  return found;
}

// Adds one share directory to a slice, as the library adds them up (api/limits).
void AddShare(const char* directory, const char* uuid, Slice* slice, bool* any) {
  char path[4096];
  const int length = snprintf(path, sizeof(path), "%s/%s", directory, api::kLimitsFile);
  if (length < 0 || static_cast<size_t>(length) >= sizeof(path)) return;
  static region::Limits limits;  // large; this program has one thread
  const region::LimitsError error = region::LoadLimits(path, &limits);
  if (error.what != nullptr) {
    slice->fault = error.what;
    *any = true;
    return;
  }
  for (int i = 0; i < limits.device_count; ++i) {
    const region::DeviceLimit& device = limits.devices[i];
    if (strcmp(device.uuid, uuid) != 0) continue;
    const bool unlimited = device.cores_pct == 0 || device.cores_pct >= 100;
    const bool was_unlimited = slice->memory_limited && slice->cores_pct == 0;
    const uint32_t sum = slice->cores_pct + device.cores_pct;
    slice->cores_pct = unlimited || was_unlimited || sum >= 100 ? 0 : sum;
    slice->memory_bytes += device.memory_bytes;
    slice->memory_limited = true;
  }
  *any = true;
}

// False when there is no share directory at all.
bool AddMountedShares(const char* uuid, Slice* slice) {
  bool any = false;
  DIR* root = opendir(api::kSharesRoot);
  if (root == nullptr) return false;
  while (const dirent* entry = readdir(root)) {
    if (entry->d_name[0] == '.') continue;
    char path[sizeof(api::kSharesRoot) + sizeof(entry->d_name) + 1];
    snprintf(path, sizeof(path), "%s/%s", api::kSharesRoot, entry->d_name);
    AddShare(path, uuid, slice, &any);
  }
  closedir(root);
  return any;
}

bool AddNamedShares(const char* uuid, Slice* slice) {
  const char* list = getenv(kFallbackVariable);
  if (list == nullptr || *list == '\0') return false;
  bool any = false;
  while (*list != '\0') {
    const size_t length = strcspn(list, ":");
    char path[4096];
    if (length != 0 && length < sizeof(path)) {
      memcpy(path, list, length);
      path[length] = '\0';
      AddShare(path, uuid, slice, &any);
    }
    list += length;
    if (*list == ':') ++list;
  }
  return any;
}

}  // namespace

Slices::Slices() : library_loaded_(IsLibraryMapped()) {}

Slice Slices::Of(const char* uuid) const {
  Slice slice = {"none", false, 0, 0, nullptr};
  if (!library_loaded_) return slice;
  if (AddMountedShares(uuid, &slice) || AddNamedShares(uuid, &slice)) {
    slice.rung = "preload";
    // A device that no share names has nothing (api/limits).
    slice.memory_limited = true;
    return slice;
  }
  if (getenv(kMemoryVariable) == nullptr && getenv(kFirstMemoryVariable) == nullptr) return slice;
  slice.rung = "preload";
  const char* cores = getenv(kCoresVariable);
  const int percent = cores == nullptr ? 0 : atoi(cores);
  slice.cores_pct = percent > 0 && percent < 100 ? static_cast<uint32_t>(percent) : 0;
  return slice;
}

}  // namespace hami::smi
