# SPDX-License-Identifier: Apache-2.0
"""cuda-bindings, of CUDA 13 and of CUDA 12: the driver's interface shows the slice and is limited
to it."""

from __future__ import annotations

import pathlib

import pytest
from clients_harness import GIB, MIB, Place

pytest.importorskip("cuda.bindings")

Bindings = pathlib.Path | None


def test_memory(place: Place, bindings: Bindings) -> None:
    shown = place.call("bindings_memory.py", bindings=bindings)
    assert shown["version"].startswith("12." if bindings else "13.")
    assert shown["driver"] == place.gpu.cuda
    assert shown["devices"] == (1 if place.limited else 2)
    assert shown["name"] == place.gpu.name
    assert shown["device_total"] == place.cuda_total
    free = place.cuda_free
    assert shown["info"] == [free, place.cuda_total]
    assert shown["with 1 GiB"] == free - GIB
    assert shown["range"] == GIB
    assert shown["freed"] == free
    # Without a limit all of it is there, so that it is the limit that refuses.
    outcome = "CUDA_ERROR_OUT_OF_MEMORY" if place.limited else "CUDA_SUCCESS"
    assert set(shown["above"].values()) == {outcome}, shown["above"]
    assert shown["after above"] == free
    assert shown["brim"] == [True, "CUDA_ERROR_OUT_OF_MEMORY"]
    assert shown["pool with 256 MiB"] == free - 256 * MIB
    assert shown["pool freed"] == free
    assert shown["with host memory"] == free
    assert shown["bad free"] == "CUDA_ERROR_INVALID_VALUE"
    assert shown["without a context"] == "CUDA_ERROR_CONTEXT_IS_DESTROYED"


def test_modules_and_kernels(place: Place, bindings: Bindings) -> None:
    shown = place.call("bindings_launch.py", place.gpu.image, bindings=bindings)
    assert 0 < shown["module bytes"] <= 2 * MIB
    assert shown["registers"] == 10
    assert shown["table"] == 4096
    assert shown["copied"]
    assert shown["queries"] == ["CUDA_SUCCESS"] * 2
    assert shown["ms"] > 0
    assert shown["refused"] == {
        "name": "CUDA_ERROR_NOT_FOUND",
        "image": "CUDA_ERROR_INVALID_IMAGE",
        "threads": "CUDA_ERROR_INVALID_VALUE",
    }
    assert shown["after a refused launch"] == "CUDA_SUCCESS"
    assert shown["nodes"] == 3
    assert shown["given back"]


def test_nvml_and_the_runtime(place: Place, bindings: Bindings) -> None:
    shown = place.call("bindings_others.py", bindings=bindings)
    used = GIB + place.gpu.context
    assert shown["devices"] == (1 if place.limited else 2)
    assert shown["name"] == place.gpu.name
    free = place.total - place.reserved - used
    assert shown["memory"] == [place.total, place.reserved, used, free]
    assert list(shown["processes"].values()) == [used]
    # The simulation runs no program over NVIDIA's runtime (src/simgpu/README.md), and says so.
    too_old = bindings is None and place.gpu.cuda < 13000
    refusal = "cudaErrorInsufficientDriver" if too_old else "cudaErrorSymbolNotFound"
    assert set(shown["runtime"].values()) == {refusal}
    assert shown["used"] == GIB
