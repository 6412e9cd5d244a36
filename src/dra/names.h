// SPDX-License-Identifier: Apache-2.0
//
// Names that others know us by: those of HAMi's DRA driver, so that claims, classes and selectors
// written for it work unchanged.

#pragma once

namespace hami::dra {

inline constexpr char kDriverName[] = "hami-core-gpu.project-hami.io";
inline constexpr char kDeviceType[] = "hami-gpu";  // attribute type, and prefix of device names

inline constexpr char kCdiVendor[] = "k8s.hami-core-gpu.project-hami.io";
inline constexpr char kCdiClass[] = "claim";

// A node without it gets nothing published.
inline constexpr char kNodeLabel[] = "gpu";
inline constexpr char kNodeLabelValue[] = "on";

inline constexpr char kMemoryCapacity[] = "memory";
inline constexpr char kCoresCapacity[] = "cores";

inline constexpr char kHookProgram[] = "hami-cdi-hook";

// In the container. HAMi's paths, because people's scripts look for them.
inline constexpr char kLibraryInContainer[] = "/usr/local/vgpu/libvgpu.so";

}  // namespace hami::dra
