// SPDX-License-Identifier: Apache-2.0
//
// nvmlDeviceGetFieldValues: the fields that clients ask for; each one has its own result.

#include "simgpu/nvml/device.h"
#include "simgpu/nvml/exports.h"
#include "simgpu/nvml/machine.h"
#include "simgpu/nvml/readings.h"

namespace hami::simgpu::nvml {
namespace {

void SetUnsigned(nvmlFieldValue_t* field, unsigned int value) {
  field->valueType = NVML_VALUE_TYPE_UNSIGNED_INT;
  field->value.uiVal = value;
  field->nvmlReturn = NVML_SUCCESS;
}

void SetLong(nvmlFieldValue_t* field, unsigned long long value) {
  field->valueType = NVML_VALUE_TYPE_UNSIGNED_LONG_LONG;
  field->value.ullVal = value;
  field->nvmlReturn = NVML_SUCCESS;
}

void SetErrors(nvmlFieldValue_t* field, const Device& device, uint64_t errors) {
  if (device.traits.ecc) return SetLong(field, errors);
  field->nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
}

void Fill(const Device& device, nvmlFieldValue_t* field) {
  const Traits& traits = device.traits;
  field->timestamp = static_cast<long long>(WallUs());
  field->latencyUsec = 0;
  switch (field->fieldId) {
    case NVML_FI_DEV_ECC_CURRENT:
    case NVML_FI_DEV_ECC_PENDING:
      return SetUnsigned(field, traits.ecc ? 1 : 0);
    case NVML_FI_DEV_ECC_SBE_VOL_TOTAL:
    case NVML_FI_DEV_ECC_SBE_AGG_TOTAL:
    case NVML_FI_DEV_ECC_SBE_VOL_DEV:
    case NVML_FI_DEV_ECC_SBE_AGG_DEV:
      return SetErrors(field, device, CountEccErrors(device.index).corrected);
    case NVML_FI_DEV_ECC_DBE_VOL_TOTAL:
    case NVML_FI_DEV_ECC_DBE_AGG_TOTAL:
    case NVML_FI_DEV_ECC_DBE_VOL_DEV:
    case NVML_FI_DEV_ECC_DBE_AGG_DEV:
      return SetErrors(field, device, CountEccErrors(device.index).uncorrected);
    case NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION:
      return SetLong(field, EnergyMj(device));
    case NVML_FI_DEV_NVLINK_LINK_COUNT:
      return SetUnsigned(field, traits.nvlink_links);
    case NVML_FI_DEV_PCIE_REPLAY_COUNTER:
      return SetUnsigned(field, 0);
    case NVML_FI_DEV_POWER_AVERAGE:
    case NVML_FI_DEV_POWER_INSTANT:
      return SetUnsigned(field, PowerMw(device));
    case NVML_FI_DEV_POWER_MIN_LIMIT:
      return SetUnsigned(field, traits.power_min_limit_mw);
    case NVML_FI_DEV_POWER_MAX_LIMIT:
    case NVML_FI_DEV_POWER_DEFAULT_LIMIT:
    case NVML_FI_DEV_POWER_CURRENT_LIMIT:
    case NVML_FI_DEV_POWER_REQUESTED_LIMIT:
      return SetUnsigned(field, traits.power_limit_mw);
    case NVML_FI_DEV_GPU_TEMP:
      return SetUnsigned(field, TemperatureC(device));
    default:
      field->nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
  }
}

}  // namespace
}  // namespace hami::simgpu::nvml

nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t* values) {
  const hami::simgpu::nvml::Device* found = nullptr;
  const nvmlReturn_t result = hami::simgpu::nvml::FindDevice(device, &found);
  if (result != NVML_SUCCESS) return result;
  if (count <= 0 || values == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  for (int i = 0; i < count; ++i) hami::simgpu::nvml::Fill(*found, &values[i]);
  return NVML_SUCCESS;
}
