# SPDX-License-Identifier: Apache-2.0
"""read_busy.py TENANT: runs a program that computes all the time, and shows what nvidia-ml-py and
nvitop say of processes once they have seen it compute."""

import json
import subprocess
import sys

import pynvml as nvml
from nvitop import Device

tenant = subprocess.Popen(
    [sys.argv[1], "alloc", "64Mi", "spin", "50", "100000"], stdout=subprocess.PIPE, text=True
)
while not (line := tenant.stdout.readline()).startswith("alloc"):
    assert line, "the tenant has ended"

nvml.nvmlInit()
handle = nvml.nvmlDeviceGetHandleByIndex(0)


def samples():
    try:
        return {one.pid: one.smUtil for one in nvml.nvmlDeviceGetProcessUtilization(handle, 0)}
    except nvml.NVMLError_NotFound:
        return {}


device = Device(0)


def shown():
    """By nvitop; what it has no number for is left out."""
    of_processes = {
        pid: process.gpu_sm_utilization() for pid, process in device.processes().items()
    }
    return {pid: pct for pid, pct in of_processes.items() if isinstance(pct, int)}


while not (seen := samples()).get(tenant.pid):
    pass
while not (by_nvitop := shown()).get(tenant.pid):
    pass
print(
    json.dumps(
        {
            "pid": tenant.pid,
            "samples": list(seen),
            "nvitop": list(by_nvitop),
            "processes": [p.pid for p in nvml.nvmlDeviceGetComputeRunningProcesses(handle)],
            "name": nvml.nvmlSystemGetProcessName(tenant.pid),
            "bar1": [device.bar1_memory_total(), device.bar1_memory_used()],
        }
    )
)
tenant.kill()
