// SPDX-License-Identifier: Apache-2.0
//
// How full devices and nodes are (contract 1.7). Higher is fuller. Pure.

#pragma once

#include <span>

#include "placement/index.h"
#include "placement/request.h"
#include "vendor/spec.h"

namespace hami::placement {

// With what the request would take of it: 10 * (slots * weight + cores * weight + memory * weight),
// each as a part of what there is. 0 if the device has none of one of them. HAMi leaves the request
// out for vendors whose device type is a model's name; here it counts for all.
double DeviceScore(const DeviceUse& total, const DeviceUse& used, const DeviceUse& need,
                   const Weights& weights);

// Of the devices of one vendor, before the pod is placed: 10 * (used / total slots + cores +
// memory), 0 if there are none of one of them.
double NodeScoreOf(std::span<const DeviceState> devices);

// Of a node for pods that want no devices: how full its CPU and memory are, 0 to 20.
double NativeScore(const NodeState& node);

}  // namespace hami::placement
