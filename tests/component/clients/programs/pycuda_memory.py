# SPDX-License-Identifier: Apache-2.0
"""pycuda_memory.py: each way to memory through pycuda, below the slice's limit and above it."""

import json

import numpy
import pycuda
import pycuda.driver as cuda
from pycuda.tools import DeviceMemoryPool, PageLockedMemoryPool

MIB = 1 << 20
GIB = 1 << 30
TOO_MUCH = 5 * GIB

cuda.init()
device = cuda.Device(0)
context = device.make_context()


def free():
    return cuda.mem_get_info()[0]


def attempt(make):
    """How an allocation ended; it does not last."""
    try:
        made = make()
    except cuda.Error as raised:
        return type(raised).__name__
    del made
    return None


def pool_of(size):
    pool = DeviceMemoryPool()
    return [pool, pool.allocate(size)]


def array(width, height):
    described = cuda.ArrayDescriptor()
    described.width, described.height = width, height
    described.format = cuda.array_format.FLOAT
    described.num_channels = 1
    return cuda.Array(described)


shown = {
    "version": pycuda.VERSION_TEXT,
    "driver": cuda.get_driver_version(),
    "devices": cuda.Device.count(),
    "name": device.name(),
    "capability": list(device.compute_capability()),
    "processors": device.MULTIPROCESSOR_COUNT,
    "device_total": device.total_memory(),
    "info": list(cuda.mem_get_info()),
}
start = free()

plain = cuda.mem_alloc(GIB)
shown["plain"] = start - free()
plain.free()
pitched, pitch = cuda.mem_alloc_pitch(1000, 1 << 20, 4)
shown["pitched"] = [pitch >= 1000, start - free() >= pitch << 20]
pitched.free()
tiles = array(4096, 4096)
shown["array"] = start - free()
tiles.free()
del tiles
shown["freed"] = start - free()

# Managed memory is on the device once the device has been told to want it.
managed = cuda.managed_empty(64 * MIB, numpy.uint8, mem_flags=cuda.mem_attach_flags.GLOBAL)
managed[:] = 7
shown["managed"] = int(managed[::MIB].sum())
managed.base.free()
pinned = cuda.pagelocked_empty(64 * MIB, numpy.uint8)
pinned[:] = 5
shown["pinned"] = [int(pinned[::MIB].sum()), start - free()]
host = PageLockedMemoryPool()
block = host.allocate((MIB,), numpy.uint8)
shown["pinned pool"] = host.held_blocks + host.active_blocks
del block
host.stop_holding()

pool, block = pool_of(256 * MIB)
shown["pool"] = [pool.active_blocks, start - free()]
block.free()
pool.stop_holding()
shown["pool closed"] = start - free()

shown["above"] = {
    "mem_alloc": attempt(lambda: cuda.mem_alloc(TOO_MUCH)),
    "mem_alloc_pitch": attempt(lambda: cuda.mem_alloc_pitch(MIB, TOO_MUCH // MIB, 4)),
    "managed_empty": attempt(
        lambda: cuda.managed_empty(
            TOO_MUCH, numpy.uint8, mem_flags=cuda.mem_attach_flags.GLOBAL
        ).base.free()
    ),
    "pool": attempt(lambda: pool_of(TOO_MUCH)),
}
shown["after above"] = start - free()
rest = free() // (2 * MIB) * (2 * MIB)
whole = cuda.mem_alloc(rest)
shown["brim"] = [start - free() == rest, attempt(lambda: cuda.mem_alloc(1))]
whole.free()

# Bytes go there and back, in a stream too.
sent = numpy.arange(1 << 16, dtype=numpy.float32)
plain = cuda.to_device(sent)
shown["copied"] = bool((cuda.from_device_like(plain, sent) == sent).all())
stream = cuda.Stream()
stage = cuda.pagelocked_empty_like(sent)
cuda.memset_d32_async(plain, 0x3F800000, sent.size, stream)
cuda.memcpy_dtoh_async(stage, plain, stream)
stream.synchronize()
shown["filled"] = float(stage.sum())
shown["handle"] = len(bytes(cuda.mem_get_ipc_handle(plain)))
plain.free()
context.pop()
shown["left"] = cuda.Context.get_current() is None
print(json.dumps(shown))
