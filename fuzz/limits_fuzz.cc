// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a limits file. What must hold: no read outside, no hang; what is accepted is within
// the format's ranges, is complete (no shorter text is accepted), and written out it reads the
// same.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>

#include "region/limits.h"

namespace {

using hami::region::CorePolicy;
using hami::region::DeviceLimit;
using hami::region::Limits;
using hami::region::ParseLimits;

const char* NameOf(CorePolicy policy) {
  constexpr const char* kNames[] = {"default", "force", "disable", "burst"};
  return kNames[static_cast<int>(policy)];
}

void CheckRanges(const Limits& limits) {
  constexpr uint64_t kMostBytes = uint64_t{1} << 48;
  if (limits.generation == 0 || limits.generation > INT32_MAX) abort();
  if (limits.device_count < 0 || limits.device_count > hami::api::kMaxDevices) abort();
  for (int i = 0; i < limits.device_count; ++i) {
    const DeviceLimit& device = limits.devices[i];
    const size_t length = strnlen(device.uuid, sizeof(device.uuid));
    if (length < 5 || length == sizeof(device.uuid)) abort();
    if (device.memory_bytes > kMostBytes || device.context_bytes > kMostBytes) abort();
    if (device.cores_pct > 99 || device.priority > 1) abort();
    if (device.policy > CorePolicy::kBurst) abort();
  }
}

std::string Written(const Limits& limits) {
  std::string text = "hami-limits 1\ngeneration " + std::to_string(limits.generation) + "\n";
  for (int i = 0; i < limits.device_count; ++i) {
    const DeviceLimit& device = limits.devices[i];
    char lines[512];
    snprintf(lines, sizeof(lines),
             "device %s\n  memory %llu\n  cores %u\n  policy %s\n  priority %u\n  context %llu\n",
             device.uuid, static_cast<unsigned long long>(device.memory_bytes), device.cores_pct,
             NameOf(device.policy), device.priority,
             static_cast<unsigned long long>(device.context_bytes));
    text += lines;
  }
  return text + "end\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  static Limits limits;
  static Limits again;
  const std::string text(reinterpret_cast<const char*>(data), bytes);
  if (ParseLimits(text.data(), text.size(), &limits).what != nullptr) return 0;
  CheckRanges(limits);
  const std::string canonical = Written(limits);
  if (ParseLimits(canonical.data(), canonical.size(), &again).what != nullptr) abort();
  if (memcmp(&limits, &again, sizeof(limits)) != 0) abort();
  // Cut anywhere it is known to be cut; a few places of each input.
  for (size_t cut = 0; cut < text.size(); cut += std::max<size_t>(text.size() / 16, 1)) {
    const std::string part = text.substr(0, cut);
    if (ParseLimits(part.data(), part.size(), &again).what == nullptr) abort();
  }
  return 0;
}
