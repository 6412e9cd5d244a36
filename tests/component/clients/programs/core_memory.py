# SPDX-License-Identifier: Apache-2.0
"""Each way to device memory through cuda-core: below the slice's limit and above it."""

import ctypes
import json
import os

import cuda.bindings
from cuda.core import (
    Device,
    DeviceMemoryResource,
    DeviceMemoryResourceOptions,
    LegacyPinnedMemoryResource,
    VirtualMemoryResource,
    VirtualMemoryResourceOptions,
    system,
)
from drive import free

MIB = 1 << 20
TOO_MUCH = 5 << 30


def error(work):
    """What a call raised, in one word; None: it did not."""
    try:
        work()
    except Exception as raised:
        return str(raised).partition(":")[0]
    return None


device = Device(0)
device.set_current()
stream = device.create_stream()
shown = {
    "bindings": cuda.bindings.__version__,
    "devices": len(Device.get_all_devices()),
    "name": device.name,
    "uuid": device.uuid,
    "capability": list(device.compute_capability),
    "arch": device.arch,
    "processors": device.properties.multiprocessor_count,
    "free": free(),
}

# The default resource is the device's pool, from which cuda-core lets nothing go.
buffer = device.allocate(64 * MIB, stream=stream)
shown["default"] = [buffer.size, buffer.is_device_accessible, free()]
buffer.close(stream)
stream.sync()
shown["default closed"] = free()


def too_much_by_default():
    device.allocate(TOO_MUCH, stream=stream).close(stream)


# A pool of its own, with a limit of its own.
options = DeviceMemoryResourceOptions(max_size=512 * MIB)
pool = DeviceMemoryResource(device, options=options)
buffer = pool.allocate(256 * MIB, stream=stream)
shown["pool"] = [pool.attributes.used_mem_current, free()]
buffer.close(stream)
stream.sync()
shown["pool closed"] = free()

# Real bytes, by way of host memory, which is not the slice's.
host = LegacyPinnedMemoryResource()
sent, back = host.allocate(64 * MIB), host.allocate(64 * MIB)
shown["host"] = free()
ctypes.memset(int(sent.handle), 7, sent.size)
buffer = device.allocate(64 * MIB, stream=stream)
buffer.copy_from(sent, stream=stream)
buffer.copy_to(back, stream=stream)
stream.sync()
shown["copied"] = ctypes.string_at(int(back.handle), back.size) == b"\7" * back.size
buffer.fill(b"\x09", stream=stream)
buffer.copy_to(back, stream=stream)
stream.sync()
shown["filled"] = ctypes.string_at(int(back.handle), back.size) == b"\x09" * back.size
for one in (buffer, sent, back):
    one.close(stream)
stream.sync()

# Mapped memory. (This version of cuda-core keeps a handle, so closing gives nothing back.)
before = free()
mapped = VirtualMemoryResource(device, VirtualMemoryResourceOptions(handle_type=None))
buffer = mapped.allocate(128 * MIB)
shown["mapped"] = [buffer.size, before - free()]

# NVML's side of cuda-core.
seen = device.to_system_device()
shown["system"] = {
    "devices": system.get_num_devices(),
    "uuid": seen.uuid_without_prefix,
    "name": seen.name,
    "total": seen.memory_info.total,
    "used": seen.memory_info.used,
    "charged": shown["free"] - free(),
    "pid": os.getpid(),
}
shown["above the pool's own"] = error(lambda: pool.allocate(1024 * MIB, stream=stream))
shown["above"] = {
    "default": error(too_much_by_default),
    "mapped": error(lambda: mapped.allocate(TOO_MUCH)),
}
# What goes by NVIDIA's runtime.
shown["runtime"] = [error(device.sync), error(lambda: device.pci_bus_id)]
print(json.dumps(shown))
