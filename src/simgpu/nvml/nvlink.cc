// SPDX-License-Identifier: Apache-2.0
//
// NVLink: every link of every GPU ends at one of four NVSwitches, so all GPUs that have links reach
// each other (topology.cc says so too), and all links are up. Nothing is sent over them.

#include <stdio.h>

#include "simgpu/nvml/device.h"
#include "simgpu/nvml/exports.h"

namespace hami::simgpu::nvml {
namespace {

constexpr unsigned int kSwitches = 4;
constexpr unsigned int kSwitchBus =
    0xF0;  // the first one's; no GPU of a shipped profile lies there
constexpr unsigned int kSwitchDeviceId = 0x22A310DE;  // an NVSwitch of the third generation

// NVML numbers 1.0, 2.0, 2.2, 3.0, 3.1, 4.0, 5.0.
constexpr unsigned int kVersions[] = {0, 1, 2, 4, 6, 7};

template <typename T, typename Function>
nvmlReturn_t GiveOfLink(nvmlDevice_t handle, unsigned int link, T* out, Function value) {
  const Device* device = nullptr;
  const nvmlReturn_t found = FindDevice(handle, &device);
  if (found != NVML_SUCCESS) return found;
  if (device->traits.nvlink_links == 0) return NVML_ERROR_NOT_SUPPORTED;
  if (out == nullptr || link >= device->traits.nvlink_links) return NVML_ERROR_INVALID_ARGUMENT;
  *out = value(device->traits);
  return NVML_SUCCESS;
}

nvmlPciInfo_t SwitchOf(unsigned int link) {
  nvmlPciInfo_t pci = {};
  pci.bus = kSwitchBus + link % kSwitches;
  pci.pciDeviceId = kSwitchDeviceId;
  snprintf(pci.busIdLegacy, sizeof(pci.busIdLegacy), "0000:%02X:00.0", pci.bus);
  return pci;
}

}  // namespace
}  // namespace hami::simgpu::nvml

namespace nvml = hami::simgpu::nvml;

nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned int link,
                                      nvmlEnableState_t* active) {
  return nvml::GiveOfLink(device, link, active,
                          [](const nvml::Traits&) { return NVML_FEATURE_ENABLED; });
}

nvmlReturn_t nvmlDeviceGetNvLinkVersion(nvmlDevice_t device, unsigned int link,
                                        unsigned int* version) {
  return nvml::GiveOfLink(device, link, version, [](const nvml::Traits& traits) {
    return nvml::kVersions[traits.nvlink_generation];
  });
}

nvmlReturn_t nvmlDeviceGetNvLinkCapability(nvmlDevice_t device, unsigned int link,
                                           nvmlNvLinkCapability_t capability,
                                           unsigned int* supported) {
  return nvml::GiveOfLink(device, link, supported, [=](const nvml::Traits&) {
    return capability == NVML_NVLINK_CAP_SLI_BRIDGE ? 0U : 1U;
  });
}

nvmlReturn_t nvmlDeviceGetNvLinkRemoteDeviceType(nvmlDevice_t device, unsigned int link,
                                                 nvmlIntNvLinkDeviceType_t* type) {
  return nvml::GiveOfLink(device, link, type,
                          [](const nvml::Traits&) { return NVML_NVLINK_DEVICE_TYPE_SWITCH; });
}

// The older structure ends before busId.
nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo(nvmlDevice_t device, unsigned int link,
                                              nvmlPciInfo_t* pci) {
  nvmlPciInfo_t found = {};
  const nvmlReturn_t result =
      nvmlDeviceGetNvLinkRemotePciInfo_v2(device, link, pci != nullptr ? &found : nullptr);
  if (result != NVML_SUCCESS) return result;
  __builtin_memcpy(pci, &found, offsetof(nvmlPciInfo_t, pciSubSystemId));
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo_v2(nvmlDevice_t device, unsigned int link,
                                                 nvmlPciInfo_t* pci) {
  return nvml::GiveOfLink(device, link, pci, [=](const nvml::Traits&) {
    nvmlPciInfo_t found = nvml::SwitchOf(link);
    snprintf(found.busId, sizeof(found.busId), "00000000:%02X:00.0", found.bus);
    return found;
  });
}

nvmlReturn_t nvmlDeviceGetNvLinkErrorCounter(nvmlDevice_t device, unsigned int link,
                                             nvmlNvLinkErrorCounter_t, unsigned long long* count) {
  return nvml::GiveOfLink(device, link, count, [](const nvml::Traits&) { return 0ULL; });
}
