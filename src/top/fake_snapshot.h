// SPDX-License-Identifier: Apache-2.0
//
// For tests: two devices, three slices, four processes.

#pragma once

#include "top/snapshot.h"

namespace hami::top {

inline constexpr uint64_t kFakeGib = uint64_t{1} << 30;
inline constexpr uint64_t kFakeSecond = 1'000'000'000;

// A run with a compute limit, two processes, one of which has ended.
inline Slice FakeRun() {
  Slice slice;
  slice.name = "train";
  slice.kind = Kind::kRun;
  slice.path = "/s/train/region";
  slice.device_uuid = "GPU-aa";
  slice.device_name = "NVIDIA A10";
  slice.device_index = 0;
  slice.rung = "preload";
  slice.memory_limit_bytes = 10 * kFakeGib;
  slice.cores_limit_pct = 50;
  slice.counted = true;
  slice.cores_enforced = true;
  slice.used_bytes = 4 * kFakeGib;
  slice.hidden_bytes = 4096;
  slice.gpu_ns = 30 * kFakeSecond;
  slice.throttled_ns = 245 * kFakeSecond;
  slice.refused = 3;
  slice.compute_pct = 49.5;
  slice.compute_source = ComputeSource::kRegion;
  slice.throttled_pct = 40;
  slice.processes.push_back({.slot = 0,
                             .pid = 7,
                             .host_pid = 4711,
                             .alive = true,
                             .used_bytes = 3 * kFakeGib,
                             .gpu_ns = 20 * kFakeSecond,
                             .compute_pct = 40,
                             .command = "python train.py"});
  slice.processes.push_back(
      {.slot = 1, .pid = 8, .alive = false, .used_bytes = kFakeGib, .gpu_ns = 10 * kFakeSecond});
  return slice;
}

// A claim without a compute limit.
inline Slice FakeClaim() {
  Slice slice = FakeRun();
  slice.name = "team-a/web";
  slice.kind = Kind::kClaim;
  slice.path = "/c/uid/0/region";
  slice.cores_limit_pct.reset();
  slice.cores_enforced = false;
  slice.memory_limit_bytes = 4 * kFakeGib;
  slice.used_bytes = 2 * kFakeGib;
  slice.throttled_ns = 0;
  slice.throttled_pct = 0;
  slice.refused = 0;
  slice.compute_pct = 12.3;
  slice.compute_source = ComputeSource::kDriver;
  slice.processes = {{.slot = 0,
                      .pid = 1,
                      .host_pid = 5000,
                      .alive = true,
                      .used_bytes = 2 * kFakeGib,
                      .command = "nginx"}};
  return slice;
}

// A share whose region cannot be read, of a device that the driver does not have.
inline Slice FakeBroken() {
  Slice slice;
  slice.name = "broken";
  slice.path = "/s/broken/region";
  slice.device_uuid = "GPU-bb";
  slice.device_name = "NVIDIA H200";
  slice.rung = "preload";
  slice.memory_limit_bytes = kFakeGib;
  slice.problem = "no region";
  return slice;
}

inline Snapshot FakeSnapshot() {
  Snapshot snapshot;
  snapshot.wall_ns = 1'700'000'000'123'000'000;
  snapshot.interval_ns = 1'000'000'000;
  snapshot.driver_version = "550.144.03";
  snapshot.devices.push_back({.index = 0,
                              .uuid = "GPU-aa",
                              .name = "NVIDIA A10",
                              .memory_bytes = 24 * kFakeGib,
                              .used_bytes = 6 * kFakeGib,
                              .utilization_pct = 90,
                              .granted_bytes = 14 * kFakeGib,
                              .granted_cores_pct = 50,
                              .slices = 2});
  snapshot.devices.push_back(
      {.uuid = "GPU-bb", .name = "NVIDIA H200", .granted_bytes = kFakeGib, .slices = 1});
  snapshot.slices = {FakeRun(), FakeClaim(), FakeBroken()};
  snapshot.notes.push_back("broken: no region");
  return snapshot;
}

}  // namespace hami::top
