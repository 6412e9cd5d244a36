# SPDX-License-Identifier: Apache-2.0
"""The other parts of cuda-bindings: NVML, and NVIDIA's runtime, which is linked into it."""

import json

from cuda.bindings import driver, nvml, runtime
from drive import check, enter, free

enter()
start = free()
check(driver.cuMemAlloc(1 << 30))
nvml.init_v2()
device = nvml.device_get_handle_by_index_v2(0)
memory = nvml.device_get_memory_info_v2(device)
shown = {
    "devices": nvml.device_get_count_v2(),
    "name": nvml.device_get_name(device),
    "memory": [memory.total, memory.reserved, memory.used, memory.free],
    "processes": {
        process.pid: process.used_gpu_memory
        for process in nvml.device_get_compute_running_processes_v3(device)
    },
    "runtime": {
        "cudaMalloc": runtime.cudaMalloc(1 << 20)[0].name,
        "cudaMemGetInfo": runtime.cudaMemGetInfo()[0].name,
        "cudaDeviceSynchronize": runtime.cudaDeviceSynchronize()[0].name,
    },
    "used": start - free(),
}
print(json.dumps(shown))
