# SPDX-License-Identifier: Apache-2.0
"""MIG devices of a profile, as nvidia-ml-py and CUDA programs find them."""

import json
import subprocess
import sys

import pytest
from test_clients import BUILD, GIB, HAMI, MIB, TENANT, Simulation

pynvml = pytest.importorskip("pynvml")

SHIPPED = BUILD.parent / "src" / "simgpu" / "profiles" / "h200-580.yaml"

READ_MIG = """
import json, sys, pynvml as n
n.nvmlInit()

def instance(gpu, index):
    try:
        h = n.nvmlDeviceGetMigDeviceHandleByIndex(gpu, index)
    except n.NVMLError as error:
        return error.value
    memory = n.nvmlDeviceGetMemoryInfo(h, version=n.nvmlMemory_v2)
    attributes = n.nvmlDeviceGetAttributes_v2(h)
    parent = n.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(h)
    by_uuid = n.nvmlDeviceGetHandleByUUID(n.nvmlDeviceGetUUID(h))
    assert n.nvmlDeviceGetIndex(by_uuid) == n.nvmlDeviceGetIndex(h) == index
    assert n.nvmlDeviceGetIndex(parent) == n.nvmlDeviceGetIndex(gpu)
    assert n.nvmlDeviceIsMigDeviceHandle(h).value == 1  # a c_uint, unlike other results
    try:
        n.nvmlDeviceGetUtilizationRates(h)
    except n.NVMLError_NotSupported:
        pass
    return {
        "uuid": n.nvmlDeviceGetUUID(h),
        "name": n.nvmlDeviceGetName(h),
        "ids": [n.nvmlDeviceGetGpuInstanceId(h), n.nvmlDeviceGetComputeInstanceId(h)],
        "memory": [memory.total, memory.reserved, memory.used],
        "size_mib": attributes.memorySizeMB,
        "slices": attributes.gpuInstanceSliceCount,
        "processors": attributes.multiprocessorCount,
        "processes": processes(h),
    }

def processes(h):
    return [
        (p.pid, p.usedGpuMemory, p.gpuInstanceId)
        for p in n.nvmlDeviceGetComputeRunningProcesses(h)
    ]

gpus = []
for i in range(n.nvmlDeviceGetCount()):
    gpu = n.nvmlDeviceGetHandleByIndex(i)
    most = n.nvmlDeviceGetMaxMigDeviceCount(gpu)
    gpus.append({
        "uuid": n.nvmlDeviceGetUUID(gpu),
        "mode": n.nvmlDeviceGetMigMode(gpu),
        "used": n.nvmlDeviceGetMemoryInfo(gpu, version=n.nvmlMemory_v2).used,
        "processes": processes(gpu),
        "instances": [instance(gpu, index) for index in range(most)],
    })
print(json.dumps(gpus))
"""


@pytest.fixture
def simulation(tmp_path):
    assert HAMI.exists(), f"{HAMI} is not built (set HAMI_BUILD)"
    text = SHIPPED.read_text()
    assert "    mig: true\n" in text
    profile = tmp_path / "mig.yaml"
    profile.write_text(
        text.replace("    mig: true\n", "    mig: true\n    mig_instances: 1g.18gb 3g.71gb\n")
    )
    simulation = Simulation(tmp_path / "state")
    simulation.create_from("--file", profile, 2)
    return simulation


def read(simulation):
    return json.loads(simulation.call(sys.executable, "-c", READ_MIG))


def mig_devices(simulation):
    shown = json.loads(simulation.call(HAMI, "sim", "show", "--json", "test"))
    return [gpu["mig_devices"] for gpu in shown["gpus"]]


def test_the_profile_is_what_nvml_shows(simulation):
    gpus = read(simulation)
    assert [gpu["mode"] for gpu in gpus] == [[1, 1]] * 2
    for gpu, made in zip(gpus, mig_devices(simulation), strict=True):
        small, large, *none = gpu["instances"]
        assert none == [pynvml.NVML_ERROR_NOT_FOUND] * 5
        assert [small["uuid"], large["uuid"]] == [device["uuid"] for device in made]
        assert small["name"] == "NVIDIA H200 MIG 1g.18gb"
        assert [small["ids"], large["ids"]] == [[1, 0], [2, 0]]
        assert small["memory"] == [18 * GIB, 0, 0]
        assert (large["size_mib"], large["slices"]) == (71 * 1024, 3)
        assert small["processors"] == 16


def test_a_program_runs_on_one_of_them(simulation):
    (_, large), (other, _) = mig_devices(simulation)
    simulation.environment["CUDA_VISIBLE_DEVICES"] = large["uuid"]
    tenant = subprocess.Popen(
        [TENANT, "info", "alloc", "3Gi", "wait"],
        env=simulation.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with tenant:
        try:
            info = tenant.stdout.readline()
            while not info.startswith("alloc"):
                assert info, "no allocation"
                info = tenant.stdout.readline()
            assert "CUDA_SUCCESS" in info
            first, second = read(simulation)
            ((pid, used, gpu_instance),) = first["instances"][1]["processes"]
            assert (pid, gpu_instance) == (tenant.pid, large["gpu_instance"])
            assert 3 * GIB + 520 * MIB <= used < 3 * GIB + 600 * MIB
            assert first["instances"][1]["memory"] == [71 * GIB, 0, used]
            # The GPU has all of it, the other instances nothing.
            assert (first["used"], first["processes"]) == (used, [[pid, used, gpu_instance]])
            assert first["instances"][0]["memory"][2] == 0
            assert second["used"] == 0
        finally:
            tenant.kill()


def test_memory_of_an_instance_is_all_there_is(simulation):
    (small, _), _ = mig_devices(simulation)
    simulation.environment["CUDA_VISIBLE_DEVICES"] = small["uuid"]
    assert "CUDA_SUCCESS" in simulation.call(TENANT, "alloc", "16Gi")
    refused = subprocess.run(
        [TENANT, "alloc", "18Gi"],
        env=simulation.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "CUDA_ERROR_OUT_OF_MEMORY" in refused.stdout


def test_without_a_choice_cuda_has_the_first(simulation):
    simulation.call(TENANT, "alloc", "16Gi")
    refused = subprocess.run(
        [TENANT, "alloc", "18Gi"],
        env=simulation.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "CUDA_ERROR_OUT_OF_MEMORY" in refused.stdout


READ_SLICE = """
import json, pynvml as n
n.nvmlInit()
handles = [n.nvmlDeviceGetHandleByIndex(i) for i in range(n.nvmlDeviceGetCount())]
print(json.dumps([[n.nvmlDeviceGetUUID(h), n.nvmlDeviceGetMemoryInfo(h).total] for h in handles]))
"""


def test_a_slice_of_a_mig_device(simulation, tmp_path):
    _, (_, large) = mig_devices(simulation)
    folder = tmp_path / "share"
    folder.mkdir()
    (folder / "limits").write_text(
        f"hami-limits 1\ngeneration 1\ndevice {large['uuid']}\nmemory {4 * GIB}\n"
        "cores 0\npolicy default\nend\n"
    )
    simulation.environment["LD_PRELOAD"] = str(BUILD / "lib" / "libvgpu.so")
    simulation.environment["HAMI_SHARES"] = str(folder)
    assert json.loads(simulation.call(sys.executable, "-c", READ_SLICE)) == [
        [large["uuid"], 4 * GIB]
    ]
    said = subprocess.run(
        [TENANT, "alloc", "3Gi", "alloc", "1Gi"],
        env=simulation.environment,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    assert [line.split()[1:] for line in said.splitlines() if line.startswith("alloc")] == [
        ["3Gi", "CUDA_SUCCESS"],
        ["1Gi", "CUDA_ERROR_OUT_OF_MEMORY"],
    ]


def test_a_lost_gpu_takes_its_instances_along(simulation):
    (small, _), _ = mig_devices(simulation)
    simulation.environment["CUDA_VISIBLE_DEVICES"] = small["uuid"]
    simulation.call(HAMI, "sim", "fault", "--gpu", "0", "--lost", "test")
    failed = subprocess.run(
        [TENANT, "alloc", "1Gi"],
        env=simulation.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "CUDA_ERROR_DEVICE_UNAVAILABLE" in failed.stdout + failed.stderr
