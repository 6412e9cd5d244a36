# SPDX-License-Identifier: Apache-2.0
"""Clients of NVML that know nothing of a simulation: nvidia-ml-py, gpustat and nvitop, unchanged,
on simulated GPUs. Programs come from $HAMI_BUILD, else from build/ of the repository."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

BUILD = pathlib.Path(
    os.environ.get("HAMI_BUILD", pathlib.Path(__file__).resolve().parents[3] / "build")
).resolve()
HAMI = BUILD / "bin" / "hami"
TENANT = BUILD / "bin" / "tenant"
MIB = 1 << 20
GIB = 1 << 30
PATIENCE_S = 60  # never the subject of a test, only its end

READ_ALL = """
import json, pynvml as n
n.nvmlInit()
gpus = []
for i in range(n.nvmlDeviceGetCount()):
    h = n.nvmlDeviceGetHandleByIndex(i)
    v1, v2 = n.nvmlDeviceGetMemoryInfo(h), n.nvmlDeviceGetMemoryInfo(h, version=n.nvmlMemory_v2)
    gpus.append({
        "name": n.nvmlDeviceGetName(h),
        "uuid": n.nvmlDeviceGetUUID(h),
        "bus_id": n.nvmlDeviceGetPciInfo(h).busId,
        "capability": n.nvmlDeviceGetCudaComputeCapability(h),
        "total": v1.total,
        "used": v1.used,
        "used_v2": v2.used,
        "reserved": v2.reserved,
        "gpu_pct": n.nvmlDeviceGetUtilizationRates(h).gpu,
        "processes": [
            (p.pid, p.usedGpuMemory) for p in n.nvmlDeviceGetComputeRunningProcesses(h)
        ],
        "again": n.nvmlDeviceGetIndex(n.nvmlDeviceGetHandleByUUID(n.nvmlDeviceGetUUID(h))),
    })
print(json.dumps({
    "driver": n.nvmlSystemGetDriverVersion(),
    "cuda": n.nvmlSystemGetCudaDriverVersion(),
    "gpus": gpus,
}))
n.nvmlShutdown()
"""


class Simulation:
    def __init__(self, root):
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("HAMI_", "LD_"))},
            "HAMI_STATE_DIR": str(root),
        }

    def call(self, *words):
        result = subprocess.run(
            [str(word) for word in words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def create(self, profile, gpus):
        return self.create_from("--profile", profile, gpus)

    def create_from(self, option, profile, gpus):
        self.call(HAMI, "sim", "create", option, profile, "--gpus", gpus, "test")
        shown = json.loads(self.call(HAMI, "sim", "show", "--json", "test"))
        self.environment["HAMI_SIM"] = shown["folder"]
        self.environment["LD_LIBRARY_PATH"] = shown["folder"] + "/lib"
        return shown


@pytest.fixture
def simulation(tmp_path):
    assert HAMI.exists(), f"{HAMI} is not built (set HAMI_BUILD)"
    return Simulation(tmp_path)


@pytest.mark.parametrize(
    ("profile", "driver", "cuda", "name", "capability", "total_mib"),
    [
        ("a10-550", "550.144.03", 12040, "NVIDIA A10", [8, 6], 23028),
        ("a10-580", None, 13000, "NVIDIA A10", [8, 6], 23028),
        ("h200-580", "580.95.05", 13000, "NVIDIA H200", [9, 0], 143771),
    ],
)
def test_nvidia_ml_py_reads_the_profile(
    simulation, profile, driver, cuda, name, capability, total_mib
):
    pytest.importorskip("pynvml")
    shown = simulation.create(profile, 2)
    read = json.loads(simulation.call(sys.executable, "-c", READ_ALL))
    assert read["driver"] == (driver or shown["driver_version"])
    assert read["cuda"] == cuda
    assert [gpu["uuid"] for gpu in read["gpus"]] == [gpu["uuid"] for gpu in shown["gpus"]]
    assert [gpu["again"] for gpu in read["gpus"]] == [0, 1]
    for gpu, described in zip(read["gpus"], shown["gpus"], strict=True):
        assert gpu["name"] == name
        assert gpu["bus_id"] == described["bus_id"]
        assert gpu["capability"] == capability
        assert gpu["total"] == total_mib * MIB
        assert gpu["used"] == gpu["reserved"]
        assert (gpu["used_v2"], gpu["gpu_pct"], gpu["processes"]) == (0, 0, [])


def test_what_a_killed_program_had_is_free(simulation):
    pytest.importorskip("pynvml")
    simulation.create("a10-550", 1)

    def read():
        return json.loads(simulation.call(sys.executable, "-c", READ_ALL))["gpus"][0]

    tenant = subprocess.Popen(
        [TENANT, "alloc", "3Gi", "wait"],
        env=simulation.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with tenant:
        try:
            assert tenant.stdout.readline().split() == ["alloc", "3Gi", "CUDA_SUCCESS"]
            ((pid, used),) = read()["processes"]
            assert pid == tenant.pid
            # Besides the allocation its context, and what its module needs.
            assert 3 * 1024 + 254 <= used / MIB < 3 * 1024 + 300
            assert read()["used_v2"] == used
        finally:
            tenant.kill()
    assert read()["processes"] == []
    assert read()["used_v2"] == 0


def test_gpustat_lists_the_gpus(simulation):
    pytest.importorskip("gpustat")
    simulation.create("a10-550", 2)
    listed = json.loads(simulation.call(sys.executable, "-m", "gpustat", "--json"))
    assert [gpu["name"] for gpu in listed["gpus"]] == ["NVIDIA A10"] * 2
    assert [gpu["memory.total"] for gpu in listed["gpus"]] == [23028] * 2
    assert all(gpu["processes"] == [] for gpu in listed["gpus"])


def test_nvitop_lists_the_gpus(simulation):
    pytest.importorskip("nvitop")
    simulation.create("a10-550", 2)
    text = simulation.call(sys.executable, "-m", "nvitop", "-1", "--ascii")
    assert text.count("A10") == 2
    assert "550.144.03" in text
