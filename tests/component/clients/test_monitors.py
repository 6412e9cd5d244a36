# SPDX-License-Identifier: Apache-2.0
"""gpustat and nvitop show the slice and the processes in it."""

from __future__ import annotations

import json
import re
import sys

import pytest
from clients_harness import GIB, MIB, Place, python

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
