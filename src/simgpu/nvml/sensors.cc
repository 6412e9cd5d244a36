// SPDX-License-Identifier: Apache-2.0
//
// Power, temperature, clocks, fan, PCIe link. Their idle and full values come from the profile; in
// between they follow the load of the last sampling period linearly. That is a plausible reading,
// not a model of a chip: nothing else in the simulation depends on it.

#include "simgpu/nvml/device.h"
#include "simgpu/nvml/exports.h"
#include "simgpu/nvml/machine.h"
#include "simgpu/nvml/readings.h"

namespace hami::simgpu::nvml {
namespace {

// Megatransfers per second of a PCIe lane by generation, which NVML counts as Mbps.
constexpr uint32_t kLaneMbps[] = {0, 2500, 5000, 8000, 16000, 32000, 64000};

uint32_t Between(uint32_t idle, uint32_t full, uint32_t percent) {
  if (full <= idle) return idle;
  return idle + static_cast<uint32_t>(static_cast<uint64_t>(full - idle) * percent / 100);
}

bool IsClock(nvmlClockType_t type) { return static_cast<unsigned int>(type) < NVML_CLOCK_COUNT; }

nvmlReturn_t GiveMaxClock(nvmlDevice_t handle, nvmlClockType_t type, unsigned int* mhz) {
  const Device* device = nullptr;
  const nvmlReturn_t found = FindDevice(handle, &device);
  if (found != NVML_SUCCESS) return found;
  if (mhz == nullptr || !IsClock(type)) return NVML_ERROR_INVALID_ARGUMENT;
  *mhz = device->traits.clocks_max.mhz[type];
  return NVML_SUCCESS;
}

nvmlReturn_t GiveClock(nvmlDevice_t handle, nvmlClockType_t type, unsigned int* mhz) {
  const Device* device = nullptr;
  const nvmlReturn_t found = FindDevice(handle, &device);
  if (found != NVML_SUCCESS) return found;
  if (mhz == nullptr || !IsClock(type)) return NVML_ERROR_INVALID_ARGUMENT;
  const Traits& traits = device->traits;
  // A device that has work runs at its full clocks; nothing throttles here.
  *mhz = IsActive(*device) ? traits.clocks_max.mhz[type] : traits.clocks_idle.mhz[type];
  return NVML_SUCCESS;
}

nvmlReturn_t GiveEventReasons(nvmlDevice_t handle, unsigned long long* reasons) {
  return Give(handle, reasons,
              [](const Device& d) { return IsActive(d) ? 0ULL : nvmlClocksEventReasonGpuIdle; });
}

nvmlReturn_t GiveSupportedReasons(nvmlDevice_t handle, unsigned long long* reasons) {
  return Give(handle, reasons, [](const Device&) {
    return nvmlClocksEventReasonGpuIdle | nvmlClocksEventReasonApplicationsClocksSetting |
           nvmlClocksEventReasonSwPowerCap;
  });
}

nvmlReturn_t GivePerformanceState(nvmlDevice_t handle, nvmlPstates_t* state) {
  return Give(handle, state,
              [](const Device& d) { return IsActive(d) ? NVML_PSTATE_0 : NVML_PSTATE_8; });
}

nvmlReturn_t GivePowerLimit(nvmlDevice_t handle, unsigned int* milliwatts) {
  return Give(handle, milliwatts, [](const Device& d) { return d.traits.power_limit_mw; });
}

nvmlReturn_t GiveLinkGeneration(nvmlDevice_t handle, unsigned int* generation) {
  return Give(handle, generation, [](const Device& d) { return d.traits.pcie_generation; });
}

nvmlReturn_t GiveLinkWidth(nvmlDevice_t handle, unsigned int* lanes) {
  return Give(handle, lanes, [](const Device& d) { return d.traits.pcie_lanes; });
}

uint32_t LaneMbps(uint32_t generation) {
  constexpr uint32_t kNewest = sizeof(kLaneMbps) / sizeof(kLaneMbps[0]) - 1;
  return kLaneMbps[generation < kNewest ? generation : kNewest];
}

}  // namespace

bool IsActive(const Device& device) {
  return CurrentLoad(device.index).gpu_pct != 0 || UsedBytes(device.index) != 0;
}

uint32_t PowerMw(const Device& device) {
  // At full load a card draws somewhat less than its limit.
  const uint32_t full = uint64_t{device.traits.power_limit_mw} / 10 * 9;
  return Between(device.traits.power_idle_mw, full, CurrentLoad(device.index).gpu_pct);
}

uint32_t TemperatureC(const Device& device) {
  return Between(device.traits.temperature_idle_c, device.traits.temperature_load_c,
                 CurrentLoad(device.index).gpu_pct);
}

uint64_t EnergyMj(const Device& device) {
  const uint64_t busy_ms = BusyNs(device.index) / 1000000;
  const uint64_t age_ms = AgeNs() / 1000000;
  const uint64_t idle_ms = age_ms > busy_ms ? age_ms - busy_ms : 0;
  const uint64_t full_mw = device.traits.power_limit_mw / 10 * 9;
  return (busy_ms * full_mw + idle_ms * device.traits.power_idle_mw) / 1000;
}

}  // namespace hami::simgpu::nvml

using hami::simgpu::nvml::Device;
using hami::simgpu::nvml::Give;
using hami::simgpu::nvml::NotSupported;
namespace nvml = hami::simgpu::nvml;

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned int* mhz) {
  return nvml::GiveClock(device, type, mhz);
}
nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, nvmlClockType_t type,
                                       unsigned int* mhz) {
  return nvml::GiveMaxClock(device, type, mhz);
}
nvmlReturn_t nvmlDeviceGetApplicationsClock(nvmlDevice_t device, nvmlClockType_t type,
                                            unsigned int* mhz) {
  return nvml::GiveMaxClock(device, type, mhz);
}
nvmlReturn_t nvmlDeviceGetDefaultApplicationsClock(nvmlDevice_t device, nvmlClockType_t type,
                                                   unsigned int* mhz) {
  return nvml::GiveMaxClock(device, type, mhz);
}
nvmlReturn_t nvmlDeviceGetMaxCustomerBoostClock(nvmlDevice_t device, nvmlClockType_t type,
                                                unsigned int* mhz) {
  return nvml::GiveMaxClock(device, type, mhz);
}

nvmlReturn_t nvmlDeviceGetClock(nvmlDevice_t device, nvmlClockType_t type, nvmlClockId_t id,
                                unsigned int* mhz) {
  switch (id) {
    case NVML_CLOCK_ID_CURRENT:
      return nvml::GiveClock(device, type, mhz);
    case NVML_CLOCK_ID_APP_CLOCK_TARGET:
    case NVML_CLOCK_ID_APP_CLOCK_DEFAULT:
    case NVML_CLOCK_ID_CUSTOMER_BOOST_MAX:
      return nvml::GiveMaxClock(device, type, mhz);
  }
  return NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice_t device,
                                                    unsigned long long* reasons) {
  return nvml::GiveEventReasons(device, reasons);
}
nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t device,
                                                       unsigned long long* reasons) {
  return nvml::GiveEventReasons(device, reasons);
}
nvmlReturn_t nvmlDeviceGetSupportedClocksEventReasons(nvmlDevice_t device,
                                                      unsigned long long* reasons) {
  return nvml::GiveSupportedReasons(device, reasons);
}
nvmlReturn_t nvmlDeviceGetSupportedClocksThrottleReasons(nvmlDevice_t device,
                                                         unsigned long long* reasons) {
  return nvml::GiveSupportedReasons(device, reasons);
}
nvmlReturn_t nvmlDeviceGetPerformanceState(nvmlDevice_t device, nvmlPstates_t* state) {
  return nvml::GivePerformanceState(device, state);
}
nvmlReturn_t nvmlDeviceGetPowerState(nvmlDevice_t device, nvmlPstates_t* state) {
  return nvml::GivePerformanceState(device, state);
}

nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned int* milliwatts) {
  return Give(device, milliwatts, [](const Device& d) { return nvml::PowerMw(d); });
}
nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device,
                                                 unsigned long long* millijoules) {
  return Give(device, millijoules, [](const Device& d) { return nvml::EnergyMj(d); });
}
nvmlReturn_t nvmlDeviceGetPowerManagementMode(nvmlDevice_t device, nvmlEnableState_t* mode) {
  return Give(device, mode, [](const Device&) { return NVML_FEATURE_ENABLED; });
}
nvmlReturn_t nvmlDeviceGetPowerManagementLimit(nvmlDevice_t device, unsigned int* milliwatts) {
  return nvml::GivePowerLimit(device, milliwatts);
}
nvmlReturn_t nvmlDeviceGetPowerManagementDefaultLimit(nvmlDevice_t device,
                                                      unsigned int* milliwatts) {
  return nvml::GivePowerLimit(device, milliwatts);
}
nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device, unsigned int* milliwatts) {
  return nvml::GivePowerLimit(device, milliwatts);
}
nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t device,
                                                          unsigned int* min_milliwatts,
                                                          unsigned int* max_milliwatts) {
  if (max_milliwatts == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  return Give(device, min_milliwatts, [&](const Device& d) {
    *max_milliwatts = d.traits.power_limit_mw;
    return d.traits.power_min_limit_mw;
  });
}
nvmlReturn_t nvmlDeviceGetPowerSource(nvmlDevice_t device, nvmlPowerSource_t* source) {
  return Give(device, source, [](const Device&) { return NVML_POWER_SOURCE_AC; });
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, nvmlTemperatureSensors_t sensor,
                                      unsigned int* celsius) {
  if (sensor != NVML_TEMPERATURE_GPU) return NVML_ERROR_INVALID_ARGUMENT;
  return Give(device, celsius, [](const Device& d) { return nvml::TemperatureC(d); });
}

nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t* temperature) {
  if (temperature == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (temperature->version != HAMI_NVML_STRUCT_VERSION(nvmlTemperature_v1_t, 1)) {
    return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  }
  unsigned int celsius = 0;
  const nvmlReturn_t result = nvmlDeviceGetTemperature(device, temperature->sensorType, &celsius);
  if (result == NVML_SUCCESS) temperature->temperature = static_cast<int>(celsius);
  return result;
}

nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device,
                                               nvmlTemperatureThresholds_t threshold,
                                               unsigned int* celsius) {
  switch (threshold) {
    case NVML_TEMPERATURE_THRESHOLD_SHUTDOWN:
      return Give(device, celsius, [](const Device& d) { return d.traits.temperature_shutdown_c; });
    case NVML_TEMPERATURE_THRESHOLD_SLOWDOWN:
    case NVML_TEMPERATURE_THRESHOLD_GPU_MAX:
      return Give(device, celsius, [](const Device& d) { return d.traits.temperature_slowdown_c; });
    case NVML_TEMPERATURE_THRESHOLD_MEM_MAX:
      return NotSupported(device);
  }
  return NVML_ERROR_INVALID_ARGUMENT;
}

// Data centre cards are cooled by the chassis: they have no fan of their own.
nvmlReturn_t nvmlDeviceGetNumFans(nvmlDevice_t device, unsigned int* fans) {
  return Give(device, fans, [](const Device&) { return 0U; });
}
nvmlReturn_t nvmlDeviceGetFanSpeed(nvmlDevice_t device, unsigned int* percent) {
  if (percent == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  return NotSupported(device);
}
nvmlReturn_t nvmlDeviceGetFanSpeed_v2(nvmlDevice_t device, unsigned int, unsigned int* percent) {
  return nvmlDeviceGetFanSpeed(device, percent);
}

nvmlReturn_t nvmlDeviceGetMaxPcieLinkGeneration(nvmlDevice_t device, unsigned int* generation) {
  return nvml::GiveLinkGeneration(device, generation);
}
nvmlReturn_t nvmlDeviceGetGpuMaxPcieLinkGeneration(nvmlDevice_t device, unsigned int* generation) {
  return nvml::GiveLinkGeneration(device, generation);
}
nvmlReturn_t nvmlDeviceGetCurrPcieLinkGeneration(nvmlDevice_t device, unsigned int* generation) {
  // An idle link falls back to the first generation.
  return Give(device, generation,
              [](const Device& d) { return nvml::IsActive(d) ? d.traits.pcie_generation : 1; });
}
nvmlReturn_t nvmlDeviceGetMaxPcieLinkWidth(nvmlDevice_t device, unsigned int* lanes) {
  return nvml::GiveLinkWidth(device, lanes);
}
nvmlReturn_t nvmlDeviceGetCurrPcieLinkWidth(nvmlDevice_t device, unsigned int* lanes) {
  return nvml::GiveLinkWidth(device, lanes);
}
// A number of the enumeration NVML_PCIE_LINK_MAX_SPEED_*, which counts generations.
nvmlReturn_t nvmlDeviceGetPcieLinkMaxSpeed(nvmlDevice_t device, unsigned int* max_speed) {
  return nvml::GiveLinkGeneration(device, max_speed);
}
nvmlReturn_t nvmlDeviceGetPcieSpeed(nvmlDevice_t device, unsigned int* mbps) {
  return Give(device, mbps, [](const Device& d) {
    return nvml::LaneMbps(nvml::IsActive(d) ? d.traits.pcie_generation : 1);
  });
}
// Copies are not counted in bytes per second: a made-up figure would look like a measurement.
nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, nvmlPcieUtilCounter_t,
                                         unsigned int* kib_per_second) {
  if (kib_per_second == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  return NotSupported(device);
}
nvmlReturn_t nvmlDeviceGetPcieReplayCounter(nvmlDevice_t device, unsigned int* count) {
  return Give(device, count, [](const Device&) { return 0U; });
}
