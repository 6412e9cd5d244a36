# SPDX-License-Identifier: Apache-2.0
"""numba_memory.py: devices and memory through numba-cuda, below the slice's limit and above it."""

import json

import numba_cuda
import numpy
from numba import cuda

MIB = 1 << 20
GIB = 1 << 30
TOO_MUCH = 5 * GIB

device = cuda.get_current_device()
context = cuda.current_context()
name = device.name


def free():
    return context.get_memory_info().free


def settle():
    """numba-cuda keeps what is freed for a while."""
    context.memory_manager.deallocations.clear()


def attempt(make):
    try:
        made = make()
    except Exception as raised:
        text = str(raised)
        return "CUDA_ERROR_OUT_OF_MEMORY" if "OUT_OF_MEMORY" in text else text
    del made
    settle()
    return None


def bytes_of(make):
    """What an allocation takes of the device."""
    before = free()
    made = make()
    taken = before - free()
    del made
    settle()
    return taken


shown = {
    "version": numba_cuda.__version__,
    "devices": len(cuda.gpus),
    "name": name.decode() if isinstance(name, bytes) else name,
    "uuid": device.uuid,
    "capability": list(device.compute_capability),
    "processors": device.MULTIPROCESSOR_COUNT,
    "info": list(context.get_memory_info()),
}
start = free()
shown["plain"] = bytes_of(lambda: cuda.device_array(GIB, dtype=numpy.uint8))
shown["pinned"] = bytes_of(lambda: cuda.pinned_array(64 * MIB, dtype=numpy.uint8))
shown["mapped"] = bytes_of(lambda: cuda.mapped_array(64 * MIB, dtype=numpy.uint8))
shown["freed"] = start - free()

managed = cuda.managed_array(64 * MIB, dtype=numpy.uint8)
managed[:] = 7
shown["managed"] = int(managed[::MIB].sum())
del managed
settle()

shown["above"] = {
    "device_array": attempt(lambda: cuda.device_array(TOO_MUCH, dtype=numpy.uint8)),
    "managed_array": attempt(lambda: cuda.managed_array(TOO_MUCH, dtype=numpy.uint8)),
}
settle()
shown["after above"] = start - free()
rest = free() // (2 * MIB) * (2 * MIB)
whole = cuda.device_array(rest, dtype=numpy.uint8)
shown["brim"] = [
    start - free() == rest,
    attempt(lambda: cuda.device_array(3 * MIB, dtype=numpy.uint8)),
]
del whole
settle()

sent = numpy.arange(1 << 16, dtype=numpy.float32)
stream = cuda.stream()
there = cuda.to_device(sent, stream=stream)
back = there.copy_to_host(stream=stream)
stream.synchronize()
shown["copied"] = bool((back == sent).all())
with cuda.pinned(sent):
    shown["pinned too"] = bool((cuda.to_device(sent).copy_to_host() == sent).all())
del there
settle()
shown["left"] = start - free()
cuda.close()
print(json.dumps(shown))
