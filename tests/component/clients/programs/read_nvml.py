# SPDX-License-Identifier: Apache-2.0
"""What nvidia-ml-py shows of all GPUs."""

import json

import pynvml as nvml


def read(index):
    device = nvml.nvmlDeviceGetHandleByIndex(index)
    old = nvml.nvmlDeviceGetMemoryInfo(device)
    new = nvml.nvmlDeviceGetMemoryInfo(device, version=nvml.nvmlMemory_v2)
    return {
        "name": nvml.nvmlDeviceGetName(device),
        "uuid": nvml.nvmlDeviceGetUUID(device),
        "capability": nvml.nvmlDeviceGetCudaComputeCapability(device),
        "memory": [old.total, old.used, old.free],
        "memory_v2": [new.total, new.reserved, new.used, new.free],
        "processes": {
            process.pid: process.usedGpuMemory
            for process in nvml.nvmlDeviceGetComputeRunningProcesses(device)
        },
        "graphics": len(nvml.nvmlDeviceGetGraphicsRunningProcesses(device)),
    }


nvml.nvmlInit()
print(
    json.dumps(
        {
            "driver": nvml.nvmlSystemGetDriverVersion(),
            "cuda": nvml.nvmlSystemGetCudaDriverVersion(),
            "gpus": [read(index) for index in range(nvml.nvmlDeviceGetCount())],
        }
    )
)
nvml.nvmlShutdown()
