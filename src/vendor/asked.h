// SPDX-License-Identifier: Apache-2.0
//
// Reads the numbers that a container asks for: the limit, else the request. Every failure names the
// container and the resource and says what to write instead.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "domain/pod.h"
#include "vendor/request.h"
#include "vendor/spec.h"

namespace hami::vendor {

// The limit, else the request, else null; null for an empty name.
const std::string* AskedText(const domain::PodContainer& container, const std::string& resource);

// Nothing where `resource` is empty or the container does not name it. kInvalidArgument for what is
// no whole number from 0 to `most`.
Result<std::optional<int64_t>> Asked(const domain::PodContainer& container,
                                     const std::string& resource, int64_t most);

// The same in limits alone, as admission reads some resources.
Result<std::optional<int64_t>> Limited(const domain::PodContainer& container,
                                       const std::string& resource, int64_t most);

// What a container may ask of one vendor at most: more than any node has, so that sums of a pod fit
// into 32 bits.
inline constexpr int64_t kMostDevices = 1024;

// The container as it is with what admission sets so far.
domain::PodContainer Admitted(const domain::PodContainer& container, const Admission& admission);

// "container train: nvidia.com/gpumem: <what>"
tl::unexpected<Error> Refuse(const domain::PodContainer& container, const std::string& resource,
                             const std::string& what);

// Memory in MiB by the vendor's unit and factor; nothing where none is asked. Too large for int32
// is kInvalidArgument.
Result<std::optional<int32_t>> AskedMemoryMib(const Spec& spec,
                                              const domain::PodContainer& container);

}  // namespace hami::vendor
