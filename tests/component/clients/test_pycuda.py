# SPDX-License-Identifier: Apache-2.0
"""pycuda, which is linked directly to the driver, shows the slice and is limited to it."""

from __future__ import annotations

from clients_harness import GIB, MIB, NVCC, Place


def test_memory(place: Place) -> None:
    shown = place.call_client("pycuda_memory.py")
    assert shown["version"] == "2026.1"
    assert shown["driver"] == place.gpu.cuda
    assert shown["devices"] == (1 if place.limited else 2)
    assert shown["name"] == place.gpu.name
    assert shown["capability"] == list(place.gpu.capability)
    assert shown["processors"] == place.gpu.processors
    assert shown["device_total"] == place.cuda_total
    assert shown["info"] == [place.cuda_free, place.cuda_total]
    assert shown["plain"] == GIB
    assert shown["pitched"] == [True, True]
    assert shown["array"] == 64 * MIB
    assert shown["freed"] == 0
    assert shown["managed"] == 64 * 7
    assert shown["pinned"] == [64 * 5, 0]
    assert shown["pinned pool"] == 1
    # Its pool rounds sizes up.
    assert shown["pool"] == [1, 272 * MIB]
    assert shown["pool closed"] == 0
    # Without a limit all of it is there, so that it is the limit that refuses.
    refusal = "MemoryError" if place.limited else None
    assert shown["above"] == {
        "mem_alloc": refusal,
        "mem_alloc_pitch": refusal,
        "managed_empty": refusal,
        "pool": refusal,
    }
    assert shown["after above"] == 0
    assert shown["brim"] == [True, "MemoryError"]
    assert shown["copied"]
    assert shown["filled"] == 1 << 16
    assert shown["handle"] == 64
    assert shown["left"]


def test_modules_and_kernels(place: Place) -> None:
    # What nvcc 13 compiles, a driver of CUDA 12 does not run.
    compiler = [NVCC] if place.gpu.cuda >= 13000 else []
    shown = place.call_client("pycuda_launch.py", place.gpu.image, *compiler)
    assert 0 < shown["module bytes"] <= 2 * MIB
    assert (shown["registers"], shown["threads"]) == (10, 1024)
    assert shown["table"] == 4096
    assert shown["queries"] == [True, True]
    assert shown["ms"] > 0
    assert shown["refused"] == {
        "name": "LogicError",
        "image": "LogicError",
        "threads": "LogicError",
    }
    assert shown.get("compiled", [1024, True]) == [1024, True]
    assert shown["given back"]
