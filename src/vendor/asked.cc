// SPDX-License-Identifier: Apache-2.0

#include "vendor/asked.h"

#include <fmt/format.h>

#include <limits>

#include "vendor/whole_number.h"

namespace hami::vendor {
namespace {

constexpr int64_t kMostMib = std::numeric_limits<int32_t>::max();

Result<std::optional<int64_t>> Read(const domain::PodContainer& container,
                                    const std::string& resource, const std::string* text,
                                    int64_t most) {
  if (text == nullptr) return std::nullopt;
  const std::optional<int64_t> value = WholeNumber(*text);
  if (!value || *value < 0 || *value > most) {
    return Refuse(container, resource,
                  fmt::format("\"{}\" is not a whole number from 0 to {}", *text, most));
  }
  return value;
}

}  // namespace

tl::unexpected<Error> Refuse(const domain::PodContainer& container, const std::string& resource,
                             const std::string& what) {
  return Fail(Code::kInvalidArgument,
              fmt::format("container {}: {}: {}", container.name, resource, what));
}

const std::string* AskedText(const domain::PodContainer& container, const std::string& resource) {
  if (resource.empty()) return nullptr;
  return container.Asked(resource);
}

Result<std::optional<int64_t>> Asked(const domain::PodContainer& container,
                                     const std::string& resource, int64_t most) {
  return Read(container, resource, AskedText(container, resource), most);
}

Result<std::optional<int64_t>> Limited(const domain::PodContainer& container,
                                       const std::string& resource, int64_t most) {
  const auto found = container.limits.find(resource);
  if (resource.empty() || found == container.limits.end()) return std::nullopt;
  return Read(container, resource, &found->second, most);
}

domain::PodContainer Admitted(const domain::PodContainer& container, const Admission& admission) {
  domain::PodContainer changed = container;
  for (const auto& [name, value] : admission.limits) changed.limits[name] = value;
  for (const auto& [name, value] : admission.requests) changed.requests[name] = value;
  return changed;
}

Result<std::optional<int32_t>> AskedMemoryMib(const Spec& spec,
                                              const domain::PodContainer& container) {
  const std::string& resource = spec.resources.memory;
  const std::string* text = AskedText(container, resource);
  if (text == nullptr) return std::nullopt;
  const int64_t unit_mib = int64_t{spec.units.memory_mib} * spec.units.memory_factor;
  const std::optional<int64_t> value = WholeNumber(*text);
  if (value && *value >= 0 && *value <= kMostMib / unit_mib) {
    return static_cast<int32_t>(*value * unit_mib);
  }
  std::string what =
      fmt::format("\"{}\" is not a whole number from 0 to {}", *text, kMostMib / unit_mib);
  what += unit_mib == 1 ? " (it counts MiB" : fmt::format(" (1 stands for {} MiB", unit_mib);
  // "16Gi" is meant as bytes.
  const int64_t meant_mib = value ? *value >> 20 : 0;
  if (meant_mib >= unit_mib && meant_mib <= kMostMib) {
    what += fmt::format(": for {} write {}", *text, meant_mib / unit_mib);
  }
  return Refuse(container, resource, what + ")");
}

}  // namespace hami::vendor
