// SPDX-License-Identifier: Apache-2.0

#include "top/driver_view.h"

#include <algorithm>

namespace hami::top {

void DriverView::LookCloser(DriverDevice* device) {
  nvmlDevice_t handle = nullptr;
  const auto index = static_cast<unsigned>(device->device.index);
  if ((*nvml_)->nvmlDeviceGetHandleByIndex_v2(index, &handle) != NVML_SUCCESS) return;
  nvmlUtilization_t utilization = {};
  if ((*nvml_)->nvmlDeviceGetUtilizationRates != nullptr &&
      (*nvml_)->nvmlDeviceGetUtilizationRates(handle, &utilization) == NVML_SUCCESS) {
    device->utilization_pct = std::min(utilization.gpu, 100U);
  }
  Sampled& sampled = samplers_[device->device.index];
  if (sampled.sampler == nullptr) {
    sampled.sampler = std::make_unique<gpu::UsageSampler>(*nvml_, handle);
  }
  const Result<std::vector<gpu::BusySpan>> spans = sampled.sampler->Sample();
  if (!spans) return;
  if (sampled.begun) {
    device->busy_ns.emplace();
    for (const gpu::BusySpan& span : *spans) (*device->busy_ns)[span.pid] += span.busy_ns;
  }
  sampled.begun = true;
}

Result<DriverLook> DriverView::Look() {
  ASSIGN_OR_RETURN(gpu::Inventory inventory, gpu::ReadInventory(*nvml_));
  DriverLook look = {.version = inventory.driver_version, .simulation = inventory.simulation};
  for (gpu::Device& device : inventory.devices) {
    DriverDevice seen;
    seen.device = std::move(device);
    LookCloser(&seen);
    look.devices.push_back(std::move(seen));
  }
  return look;
}

}  // namespace hami::top
