# SPDX-License-Identifier: Apache-2.0
"""nvidia-ml-py sees the slice: its memory, its processes, its one GPU."""

from __future__ import annotations

import json

import pytest
from clients_harness import GIB, MIB, Gpu, Place, python
from run_harness import Hami

pytest.importorskip("pynvml")
pytest.importorskip("cuda.bindings")


def held_by(place: Place, mib: int, *command: object) -> dict:
    return json.loads(place.text(*python("hold.py", mib, *command)))


def test_an_idle_gpu(place: Place) -> None:
    shown = json.loads(place.hami.call("sim", "show", "--json").stdout)
    uuids = [gpu["uuid"] for gpu in shown["gpus"]]
    read = place.call("read_nvml.py")
    assert (read["driver"], read["cuda"]) == (place.gpu.driver, place.gpu.cuda)
    assert [gpu["uuid"] for gpu in read["gpus"]] == (uuids[:1] if place.limited else uuids)
    free = place.total - place.reserved
    for gpu in read["gpus"]:
        assert gpu["name"] == place.gpu.name
        assert gpu["capability"] == list(place.gpu.capability)
        assert gpu["memory"] == [place.total, place.reserved, free]
        assert gpu["memory_v2"] == [place.total, place.reserved, 0, free]
        assert (gpu["processes"], gpu["graphics"]) == ({}, 0)


def test_used_and_free_agree_with_an_allocation(place: Place) -> None:
    held = held_by(place, 1024, *python("read_nvml.py"))
    gpu = json.loads(held["said"])["gpus"][0]
    used = GIB + place.gpu.context
    free = place.total - place.reserved - used
    assert gpu["memory"] == [place.total, place.reserved + used, free]
    assert gpu["memory_v2"] == [place.total, place.reserved, used, free]
    assert gpu["processes"] == {str(held["pid"]): used}
    # It is given back with the process.
    assert place.call("read_nvml.py")["gpus"][0]["memory_v2"][2] == 0


def test_only_processes_of_the_slice_are_shown(simulated: Hami, gpu: Gpu) -> None:
    inside = Place(simulated, gpu, limited=True)
    native = Place(simulated, gpu, limited=False)
    outside = native.start(*python("hold.py", 2048))
    others = {outside.line(): 2 * GIB + gpu.context}
    neighbour = inside.start(*python("hold.py", 512))
    others[neighbour.line()] = 512 * MIB + gpu.context

    # Two processes of one slice, and the one that looks.
    held = held_by(inside, 1024, *python("hold.py", 256, *python("read_nvml.py")))
    child = json.loads(held["said"])
    (seen,) = json.loads(child["said"])["gpus"]
    own = {
        str(held["pid"]): GIB + gpu.context,
        str(child["pid"]): 256 * MIB + gpu.context,
    }
    assert seen["processes"] == own
    assert seen["memory_v2"] == [4 * GIB, 0, sum(own.values()), 4 * GIB - sum(own.values())]

    # The whole machine is seen from outside.
    assert native.call("read_nvml.py")["gpus"][0]["processes"] == others
    for started in (outside, neighbour):
        started.say("end")
        assert started.end()[0] == 0


def test_a_tenant_changes_nothing(place: Place) -> None:
    # The simulated driver supports none of them.
    expected = 4 if place.limited else 3  # NVML_ERROR_NO_PERMISSION, NVML_ERROR_NOT_SUPPORTED
    said = place.call("set_nvml.py")
    assert set(said.values()) == {expected}, said
    assert len(said) == 6
