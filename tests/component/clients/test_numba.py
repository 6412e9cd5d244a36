# SPDX-License-Identifier: Apache-2.0
"""numba-cuda shows the slice, is limited to it, and launches what it has compiled."""

from __future__ import annotations

import json

import pytest
from clients_harness import GIB, Place


def test_memory(place: Place) -> None:
    shown = place.call_client("numba_memory.py")
    described = json.loads(place.hami.call("sim", "show", "--json").stdout)["gpus"][0]
    assert shown["version"] == "0.30.4"
    assert shown["devices"] == (1 if place.limited else 2)
    assert (shown["name"], shown["uuid"]) == (place.gpu.name, described["uuid"])
    assert shown["capability"] == list(place.gpu.capability)
    assert shown["processors"] == place.gpu.processors
    assert shown["info"] == [place.cuda_free, place.cuda_total]
    assert (shown["plain"], shown["pinned"], shown["mapped"]) == (GIB, 0, 0)
    assert shown["freed"] == 0
    assert shown["managed"] == 64 * 7
    # Without a limit all of it is there, so that it is the limit that refuses.
    refusal = "CUDA_ERROR_OUT_OF_MEMORY" if place.limited else None
    assert shown["above"] == {"device_array": refusal, "managed_array": refusal}
    assert shown["after above"] == 0
    assert shown["brim"] == [True, "CUDA_ERROR_OUT_OF_MEMORY"]
    assert shown["copied"]
    assert shown["pinned too"]
    assert shown["left"] == 0


def test_kernels(place: Place) -> None:
    if place.gpu.cuda < 13000:
        pytest.skip("what numba-cuda compiles with CUDA 13 a driver of CUDA 12 does not run")
    shown = place.call_client("numba_launch.py")
    assert shown["ms"] > 0
    assert shown["queries"] == [True]
    assert shown["registers"]
    assert shown["shared"] == 1024
    # The simulation executes no device code.
    assert shown["untouched"]
    assert shown["refused"] == "CUDA_ERROR_INVALID_VALUE"
