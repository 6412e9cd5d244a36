// SPDX-License-Identifier: Apache-2.0
//
// What the driver says: devices, who computes on them, and since when. This is the host's truth;
// no tenant can change it. One thread.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "gpu/inventory.h"
#include "gpu/nvml.h"
#include "gpu/process_usage.h"

namespace hami::top {

struct DriverDevice {
  gpu::Device device;
  std::optional<uint32_t> utilization_pct;
  // By PID: how long it used the device since the last look. nullopt: the driver does not tell, or
  // this was the first look.
  std::optional<std::map<int, uint64_t>> busy_ns;
};

struct DriverLook {
  std::string version;
  std::string simulation;
  std::vector<DriverDevice> devices;
};

class DriverView {
 public:
  explicit DriverView(std::unique_ptr<gpu::Nvml> nvml) : nvml_(std::move(nvml)) {}

  Result<DriverLook> Look();

 private:
  struct Sampled {
    std::unique_ptr<gpu::UsageSampler> sampler;
    bool begun = false;
  };

  void LookCloser(DriverDevice* device);

  std::unique_ptr<gpu::Nvml> nvml_;
  std::map<int, Sampled> samplers_;  // by index
};

}  // namespace hami::top
