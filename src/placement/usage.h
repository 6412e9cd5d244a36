// SPDX-License-Identifier: Apache-2.0
//
// What a pod holds over its life: plain init containers run one after the other and give back what
// they had; sidecars (restartable init containers) run from their place in the order for as long as
// the pod; app containers run together at last. Source: KEP-753, and contract 1.5 with its faults
// mended. Pure.

#pragma once

#include <algorithm>
#include <cstdint>

#include "domain/pod.h"
#include "placement/cluster.h"

namespace hami::placement {

// Of one quantity. Containers are added in the order of the pod.
class PhasePeak {
 public:
  void Add(domain::ContainerKind kind, int64_t amount) {
    switch (kind) {
      case domain::ContainerKind::kInit:
        peak_ = std::max(peak_, running_ + amount);
        break;
      case domain::ContainerKind::kSidecar:
        running_ += amount;
        peak_ = std::max(peak_, running_);
        break;
      case domain::ContainerKind::kApp:
        apps_ += amount;
        break;
    }
  }

  // The most at any one time; once init containers are done, from now on.
  int64_t Held(bool init_done) const {
    const int64_t running = running_ + apps_;
    return init_done ? running : std::max(peak_, running);
  }

 private:
  int64_t running_ = 0;  // sidecars so far
  int64_t peak_ = 0;
  int64_t apps_ = 0;
};

// What pods say that they hold comes from annotations, which may say anything. More than any device
// has is as good as all of it, and a thousand such pods on one device still add up within 32 bits.
inline int32_t WithinReason(int64_t amount) {
  constexpr int64_t kMost = 1 << 20;
  return static_cast<int32_t>(std::clamp<int64_t>(amount, 0, kMost));
}
inline DeviceUse WithinReason(const DeviceUse& use) {
  return {.slots = WithinReason(int64_t{use.slots}),
          .memory_mib = WithinReason(int64_t{use.memory_mib}),
          .cores = WithinReason(int64_t{use.cores})};
}

// Of one device.
class DevicePeak {
 public:
  void Add(domain::ContainerKind kind, const DeviceUse& use) {
    slots_.Add(kind, use.slots);
    memory_.Add(kind, use.memory_mib);
    cores_.Add(kind, use.cores);
  }
  DeviceUse Held(bool init_done) const {
    return {.slots = WithinReason(slots_.Held(init_done)),
            .memory_mib = WithinReason(memory_.Held(init_done)),
            .cores = WithinReason(cores_.Held(init_done))};
  }

 private:
  PhasePeak slots_;
  PhasePeak memory_;
  PhasePeak cores_;
};

inline domain::ContainerKind KindOf(const std::vector<domain::ContainerKind>& kinds,
                                    size_t container) {
  return container < kinds.size() ? kinds[container] : domain::ContainerKind::kApp;
}

}  // namespace hami::placement
