# SPDX-License-Identifier: Apache-2.0
"""core_others.py FATBIN: how parts of cuda-core end that a simulation need not have."""

import json
import sys

from cuda.core import (
    Device,
    LaunchConfig,
    ManagedMemoryResource,
    ManagedMemoryResourceOptions,
    ObjectCode,
    PinnedMemoryResource,
    PinnedMemoryResourceOptions,
    VirtualMemoryResource,
    launch,
)

device = Device(0)
device.set_current()
stream = device.create_stream()


def run_graph():
    module = ObjectCode.from_fatbin(sys.argv[1])
    builder = device.create_graph_builder().begin_building()
    launch(builder, LaunchConfig(grid=1, block=1), module.get_kernel("Empty"))
    graph = builder.end_building().complete()
    graph.launch(stream)
    stream.sync()


def allocate(resource):
    resource.allocate(1 << 20, stream=stream).close(stream)
    stream.sync()


def outcome(work):
    try:
        work()
    except Exception as error:
        return [type(error).__name__, str(error).partition(":")[0]]
    return ["done"]


works = {
    "graph": run_graph,
    "host pool": lambda: allocate(PinnedMemoryResource(PinnedMemoryResourceOptions())),
    "managed pool": lambda: allocate(ManagedMemoryResource(ManagedMemoryResourceOptions())),
    "host pool by default": lambda: allocate(PinnedMemoryResource()),
    "managed pool by default": lambda: allocate(ManagedMemoryResource()),
    "exportable": lambda: allocate(VirtualMemoryResource(device)),
}
print(json.dumps({what: outcome(work) for what, work in works.items()}))
