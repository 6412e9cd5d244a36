# SPDX-License-Identifier: Apache-2.0
"""Tries to change the first GPU by NVML; prints what each call said, by its number."""

import json

import pynvml as nvml


def code(name, *arguments):
    try:
        getattr(nvml, name)(*arguments)
    except nvml.NVMLError as error:
        return error.value
    return 0


nvml.nvmlInit()
gpu = nvml.nvmlDeviceGetHandleByIndex(0)
exclusive = nvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS
said = {
    "persistence": code("nvmlDeviceSetPersistenceMode", gpu, 0),
    "clocks": code("nvmlDeviceSetGpuLockedClocks", gpu, 500, 600),
    "power": code("nvmlDeviceSetPowerManagementLimit", gpu, 100000),
    "compute mode": code("nvmlDeviceSetComputeMode", gpu, exclusive),
    "mig": code("nvmlDeviceSetMigMode", gpu, 1),
    "ecc": code("nvmlDeviceClearEccErrorCounts", gpu, nvml.NVML_VOLATILE_ECC),
}
print(json.dumps(said))
