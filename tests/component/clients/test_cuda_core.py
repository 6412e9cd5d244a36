# SPDX-License-Identifier: Apache-2.0
"""cuda-core, over the bindings of CUDA 13 and of CUDA 12, shows the slice and is limited to it."""

from __future__ import annotations

import json
import pathlib

import pytest
from clients_harness import IMAGES, MIB, Gpu, Place
from run_harness import Hami

pytest.importorskip("cuda.core")

Bindings = pathlib.Path | None
SCALE_ARGUMENTS = [[0, 8], [8, 4], [12, 4]]


def test_devices_and_memory(place: Place, bindings: Bindings) -> None:
    shown = place.call("core_memory.py", bindings=bindings)
    described = json.loads(place.hami.call("sim", "show", "--json").stdout)["gpus"][0]
    uuid = described["uuid"].removeprefix("GPU-")
    assert shown["bindings"].startswith("12." if bindings else "13.")
    devices = 1 if place.limited else 2
    assert (shown["devices"], shown["name"], shown["uuid"]) == (devices, place.gpu.name, uuid)
    assert shown["capability"] == list(place.gpu.capability)
    assert shown["arch"] == "".join(map(str, place.gpu.capability))
    assert shown["processors"] == place.gpu.processors

    free = place.cuda_free
    assert shown["free"] == free
    assert shown["default"] == [64 * MIB, True, free - 64 * MIB]
    kept = free - 64 * MIB
    assert shown["default closed"] == kept
    assert shown["pool"] == [256 * MIB, kept - 256 * MIB]
    assert shown["pool closed"] == kept
    assert shown["host"] == kept
    assert shown["copied"]
    assert shown["filled"]
    assert shown["mapped"] == [128 * MIB, 128 * MIB]
    assert shown["above the pool's own"] == "CUDA_ERROR_OUT_OF_MEMORY"
    # Without a limit all of it is there, so that it is the limit that refuses.
    refusal = "CUDA_ERROR_OUT_OF_MEMORY" if place.limited else None
    assert shown["above"] == {"default": refusal, "mapped": refusal}

    system = shown["system"]
    assert (system["devices"], system["name"]) == (devices, place.gpu.name)
    assert (system["uuid"], system["total"]) == (uuid, place.total)
    assert system["used"] == system["charged"] + place.gpu.context

    # The simulation runs no program over NVIDIA's runtime (src/simgpu/README.md), and says so.
    too_old = bindings is None and place.gpu.cuda < 13000
    refusal = "cudaErrorInsufficientDriver" if too_old else "cudaErrorSymbolNotFound"
    assert shown["runtime"] == [refusal] * 2


def test_kernels(place: Place, bindings: Bindings) -> None:
    shown = place.call("core_launch.py", IMAGES, bindings=bindings)
    assert shown["bindings"].startswith("12." if bindings else "13.")
    of_cubin = SCALE_ARGUMENTS if place.gpu.capability == (8, 6) else [[0, 8]]
    assert shown["cubin arguments"] == of_cubin
    assert shown["fatbin"] == [10, 1024, SCALE_ARGUMENTS]
    for what in ("cubin ms", "fatbin ms", "ptx ms"):
        assert shown[what] > 0
    assert shown["refused"] == {
        "threads": "CUDA_ERROR_INVALID_VALUE",
        "image": "CUDA_ERROR_INVALID_IMAGE",
        "newer PTX": None if place.gpu.cuda >= 13050 else "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
    }


def test_the_slice_refuses_nothing_else(simulated: Hami, gpu: Gpu, bindings: Bindings) -> None:
    """Below the limit all ends as without one, also where the simulation has no such thing."""
    image = IMAGES / "mix_plain.fatbin"
    inside, native = (
        Place(simulated, gpu, limited).call("core_others.py", image, bindings=bindings)
        for limited in (True, False)
    )
    assert inside == native
