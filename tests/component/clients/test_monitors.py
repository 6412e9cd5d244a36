# SPDX-License-Identifier: Apache-2.0
"""gpustat and nvitop show the slice and the processes in it."""

from __future__ import annotations

import json
import re
import sys

import pytest
from clients_harness import GIB, MIB, Gpu, Place, python
from run_harness import TENANT, Hami

pytest.importorskip("cuda.bindings")


def held_by(place: Place, *command: object) -> tuple[int, str]:
    """A process that holds 1 GiB, and what COMMAND says while it does."""
    held = json.loads(place.text(*python("hold.py", 1024, *command)))
    return held["pid"], held["said"]


def test_gpustat(place: Place) -> None:
    pytest.importorskip("gpustat")
    pid, said = held_by(place, sys.executable, "-m", "gpustat", "--json")
    read = json.loads(said)
    assert read["driver_version"] == place.gpu.driver
    assert len(read["gpus"]) == (1 if place.limited else 2)
    gpu = read["gpus"][0]
    used = (GIB + place.gpu.context) // MIB
    assert gpu["name"] == place.gpu.name
    assert gpu["memory.total"] == (4096 if place.limited else place.gpu.total // MIB)
    assert gpu["memory.used"] == used
    assert [(p["pid"], p["gpu_memory_usage"]) for p in gpu["processes"]] == [(pid, used)]


def test_nvitop_once(place: Place) -> None:
    pytest.importorskip("nvitop")
    pid, said = held_by(place, sys.executable, "-m", "nvitop", "-1", "--ascii")
    used = (GIB + place.gpu.context) // MIB
    total = "4096MiB" if place.limited else human(place.gpu.total)
    assert place.gpu.driver in said
    assert re.findall(rf"(\d+)MiB / {re.escape(total)} ", said)[0] == str(used)
    assert len(re.findall(r"B / \d", said)) == (1 if place.limited else 2)
    assert re.findall(r"\|\s+(\d+)\s+(\d+) C .* (\d+)MiB ", said) == [("0", str(pid), str(used))]


def human(size: int) -> str:
    """As nvitop writes a size from 10 GiB on."""
    return f"{size / GIB:.2f}GiB" if size < 100 * GIB else f"{size / GIB:.1f}GiB"


def test_nvitop_interface(place: Place) -> None:
    pytest.importorskip("nvitop")
    pid, said = held_by(place, *python("read_nvitop.py"))
    read = json.loads(said)
    assert read["driver"] == place.gpu.driver
    assert len(read["gpus"]) == (1 if place.limited else 2)
    # CUDA's devices are found by way of libcuda, and shown with NVML's figures.
    assert read["cuda_gpus"] == [place.total] * len(read["gpus"])
    gpu = read["gpus"][0]
    used = GIB + place.gpu.context
    assert gpu["name"] == place.gpu.name
    # nvitop reads the second version, whose used is without what is reserved.
    assert gpu["memory"] == [place.total, used, place.total - place.reserved - used]
    assert gpu["snapshot"] == place.total
    assert gpu["processes"] == {str(pid): used}
    if place.limited:
        assert gpu["shown"] == f"{used // MIB}MiB / 4096MiB"


def test_who_computes(simulated: Hami, gpu: Gpu) -> None:
    """The utilisation of processes is that of the slice's, beside neighbours that compute too."""
    pytest.importorskip("nvitop")
    inside = Place(simulated, gpu, limited=True)
    native = Place(simulated, gpu, limited=False)
    busy = [str(TENANT), "alloc", "64Mi", "spin", "50", "100000"]
    neighbours = [place.start(*busy) for place in (inside, native)]
    for neighbour in neighbours:
        assert neighbour.line().startswith("alloc")

    seen = inside.call("read_busy.py", TENANT)
    pid = seen["pid"]
    assert (seen["samples"], seen["nvitop"], seen["processes"]) == ([pid], [pid], [pid])
    assert seen["name"] == str(TENANT)
    assert seen["bar1"] == [inside.total, MIB]

    # From outside all three are seen.
    whole = native.call("read_busy.py", TENANT)
    assert len(whole["samples"]) == len(whole["processes"]) == 3
    assert whole["bar1"][0] > gpu.total


def test_gpustat_with_a_neighbour(simulated: Hami, gpu: Gpu) -> None:
    pytest.importorskip("gpustat")
    inside = Place(simulated, gpu, limited=True)
    neighbour = inside.start(*python("hold.py", 512))
    assert neighbour.line()
    pid, said = held_by(inside, sys.executable, "-m", "gpustat", "--json")
    (shown,) = json.loads(said)["gpus"]
    assert [process["pid"] for process in shown["processes"]] == [pid]
    assert shown["memory.used"] == (GIB + gpu.context) // MIB
    # The load is that of the whole device, which nobody has a part of his own of.
    assert shown["utilization.gpu"] == 0
    neighbour.say("end")
    assert neighbour.end()[0] == 0
