// SPDX-License-Identifier: Apache-2.0
//
// For tests: two devices, three slices, four processes.

#pragma once

#include "top/snapshot.h"

namespace hami::top {

inline Snapshot FakeSnapshot() {
  constexpr uint64_t kGib = uint64_t{1} << 30;
  constexpr uint64_t kSecond = 1'000'000'000;
  Snapshot snapshot;
  snapshot.wall_ns = 1'700'000'000'123'000'000;
  snapshot.interval_ns = 1'000'000'000;
  snapshot.driver_version = "550.144.03";
  snapshot.devices.push_back({.index = 0,
                              .uuid = "GPU-aa",
                              .name = "NVIDIA A10",
                              .memory_bytes = 24 * kGib,
                              .used_bytes = 6 * kGib,
                              .utilization_pct = 90,
                              .granted_bytes = 14 * kGib,
                              .granted_cores_pct = 50,
                              .slices = 2});
  snapshot.devices.push_back(
      {.uuid = "GPU-bb", .name = "NVIDIA H200", .granted_bytes = kGib, .slices = 1});
  Slice train;
  train.name = "train";
  train.kind = Kind::kRun;
  train.path = "/s/train/region";
  train.device_uuid = "GPU-aa";
  train.device_name = "NVIDIA A10";
  train.device_index = 0;
  train.rung = "preload";
  train.memory_limit_bytes = 10 * kGib;
  train.cores_limit_pct = 50;
  train.counted = true;
  train.cores_enforced = true;
  train.used_bytes = 4 * kGib;
  train.hidden_bytes = 4096;
  train.gpu_ns = 30 * kSecond;
  train.throttled_ns = 245 * kSecond;
  train.refused = 3;
  train.compute_pct = 49.5;
  train.compute_source = ComputeSource::kRegion;
  train.throttled_pct = 40;
  train.processes.push_back({.slot = 0,
                             .pid = 7,
                             .host_pid = 4711,
                             .alive = true,
                             .used_bytes = 3 * kGib,
                             .gpu_ns = 20 * kSecond,
                             .compute_pct = 40,
                             .command = "python train.py"});
  train.processes.push_back(
      {.slot = 1, .pid = 8, .alive = false, .used_bytes = kGib, .gpu_ns = 10 * kSecond});
  snapshot.slices.push_back(train);

  Slice web = train;
  web.name = "team-a/web";
  web.kind = Kind::kClaim;
  web.path = "/c/uid/0/region";
  web.cores_limit_pct.reset();
  web.cores_enforced = false;
  web.memory_limit_bytes = 4 * kGib;
  web.used_bytes = 2 * kGib;
  web.throttled_ns = 0;
  web.throttled_pct = 0;
  web.refused = 0;
  web.compute_pct = 12.3;
  web.compute_source = ComputeSource::kDriver;
  web.processes = {{.slot = 0,
                    .pid = 1,
                    .host_pid = 5000,
                    .alive = true,
                    .used_bytes = 2 * kGib,
                    .command = "nginx"}};
  snapshot.slices.push_back(web);

  Slice broken;
  broken.name = "broken";
  broken.path = "/s/broken/region";
  broken.device_uuid = "GPU-bb";
  broken.device_name = "NVIDIA H200";
  broken.rung = "preload";
  broken.memory_limit_bytes = kGib;
  broken.problem = "no region";
  snapshot.slices.push_back(broken);
  snapshot.notes.push_back("broken: no region");
  return snapshot;
}

}  // namespace hami::top
