# SPDX-License-Identifier: Apache-2.0
"""What nvitop's interface shows of all GPUs."""

import json

from nvitop import CudaDevice, Device


def read(device):
    return {
        "name": device.name(),
        "memory": [device.memory_total(), device.memory_used(), device.memory_free()],
        "shown": device.memory_usage(),
        "processes": {pid: one.gpu_memory() for pid, one in device.processes().items()},
        "snapshot": device.as_snapshot().memory_total,
    }


print(
    json.dumps(
        {
            "driver": Device.driver_version(),
            "gpus": [read(device) for device in Device.all()],
            "cuda_gpus": [device.memory_total() for device in CudaDevice.all()],
        }
    )
)
