// SPDX-License-Identifier: Apache-2.0
//
// The protocol's words that all vendors share: annotations, labels and their fixed values (contract
// hami-control-plane.md 2.2 to 2.5). Words of one vendor are in src/vendor. They are HAMi's and
// cannot be changed, but for those that say "ours". No code.

#pragma once

#include <string_view>

namespace hami::domain {

// --- Nodes: annotations ---

// node_devices.h; written by the node's plugin.
inline constexpr std::string_view kNodeNvidiaRegister = "hami.io/node-nvidia-register";
// pair_scores.h.
inline constexpr std::string_view kNodeNvidiaScore = "hami.io/node-nvidia-score";
// handshake.h. NVIDIA's; others append their word: "hami.io/node-handshake-dcu".
inline constexpr std::string_view kNodeHandshake = "hami.io/node-handshake";
// Names of devices, by comma: nothing new is placed there. name_list.h.
inline constexpr std::string_view kDeviceCordon = "hami.io/device-cordon";
// node_lock.h.
inline constexpr std::string_view kNodeLock = "hami.io/mutex.lock";
// Ours: which protocol the node's plugin speaks. Absent: HAMi's.
inline constexpr std::string_view kAllocationProtocol = "hami.io/allocation-protocol";
inline constexpr std::string_view kAllocationProtocolBindingV1 = "binding/v1";

// --- Pods: annotations that the system writes ---

inline constexpr std::string_view kVgpuNode = "hami.io/vgpu-node";  // also a label
inline constexpr std::string_view kVgpuTime = "hami.io/vgpu-time";  // unix seconds
// pod_devices.h. NVIDIA's; others have keys of their own.
inline constexpr std::string_view kVgpuDevicesAllocated = "hami.io/vgpu-devices-allocated";
inline constexpr std::string_view kVgpuDevicesToAllocate = "hami.io/vgpu-devices-to-allocate";
inline constexpr std::string_view kMigAllocations = "hami.io/vgpu-mig-allocations";
inline constexpr std::string_view kBindPhase = "hami.io/bind-phase";
inline constexpr std::string_view kBindPhaseAllocating = "allocating";
inline constexpr std::string_view kBindPhaseSuccess = "success";
inline constexpr std::string_view kBindPhaseFailed = "failed";
inline constexpr std::string_view kBindTime = "hami.io/bind-time";  // unix seconds
// Ours: names one decision; allocation_id.h.
inline constexpr std::string_view kAllocation = "hami.io/allocation";

// Ours: W3C Trace Context of the pod's way from admission to its node; only where traces are on.
inline constexpr std::string_view kTraceparent = "hami.io/traceparent";

// --- Pods: annotations that users write ---

inline constexpr std::string_view kUseGpuType = "nvidia.com/use-gputype";
inline constexpr std::string_view kAvoidGpuType = "nvidia.com/nouse-gputype";
inline constexpr std::string_view kUseGpuId = "nvidia.com/use-gpuuuid";
inline constexpr std::string_view kAvoidGpuId = "nvidia.com/nouse-gpuuuid";
inline constexpr std::string_view kVgpuMode = "nvidia.com/vgpu-mode";
inline constexpr std::string_view kNumaBind = "nvidia.com/numa-bind";
inline constexpr std::string_view kNodePolicy = "hami.io/node-scheduler-policy";
inline constexpr std::string_view kDevicePolicy = "hami.io/gpu-scheduler-policy";
inline constexpr std::string_view kScoringWeights = "hami.io/device-scoring-weights";

// --- Labels ---

inline constexpr std::string_view kWebhookLabel = "hami.io/webhook";  // on namespaces and pods
inline constexpr std::string_view kWebhookIgnore = "ignore";
inline constexpr std::string_view kSchedulerRole = "hami.io/scheduler-role";
inline constexpr std::string_view kSchedulerRoleLeader = "leader";
inline constexpr std::string_view kSchedulerRoleFollower = "follower";
inline constexpr std::string_view kComponentLabel = "app.kubernetes.io/component";
inline constexpr std::string_view kSchedulerComponent = "hami-scheduler";
inline constexpr std::string_view kDevicePluginComponent = "hami-device-plugin";
inline constexpr std::string_view kPodGroupLabel = "scheduling.x-k8s.io/pod-group";
inline constexpr std::string_view kInstanceTypeLabel = "node.kubernetes.io/instance-type";

}  // namespace hami::domain
