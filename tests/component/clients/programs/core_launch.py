# SPDX-License-Identifier: Apache-2.0
"""core_launch.py FOLDER: kernels of compiled images, streams and events through cuda-core."""

import ctypes
import json
import pathlib
import sys

import cuda.bindings
from cuda.core import Device, EventOptions, LaunchConfig, ObjectCode, StreamOptions, launch

COUNT = 1 << 16
images = pathlib.Path(sys.argv[1])
device = Device(0)
device.set_current()
stream = device.create_stream(options=StreamOptions(nonblocking=True, priority=0))
data = device.allocate(4 * COUNT, stream=stream)
timed = EventOptions(timing_enabled=True)


def run(kernel, *arguments):
    """The time of ten launches in ms."""
    begin = stream.record(options=timed)
    for _ in range(10):
        launch(stream, LaunchConfig(grid=COUNT // 256, block=256), kernel, *arguments)
    end = stream.record(options=timed)
    end.sync()
    assert begin.is_done and end.is_done
    return end - begin


def offsets(kernel):
    return [[one.offset, one.size] for one in kernel.arguments_info]


scale_arguments = (data, ctypes.c_float(2), ctypes.c_int32(COUNT))
shown = {"bindings": cuda.bindings.__version__}
if device.compute_capability.major == 8:
    kernel = ObjectCode.from_cubin((images / "sm_86_cuda12.cubin").read_bytes()).get_kernel("Scale")
    shown["cubin ms"] = run(kernel, *scale_arguments)
else:
    code = ObjectCode.from_cubin((images / "sm_90_hopper.cubin").read_bytes())
    kernel = code.get_kernel("Cluster")
    shown["cubin ms"] = run(kernel, data)
shown["cubin arguments"] = offsets(kernel)

kernel = ObjectCode.from_fatbin(str(images / "mix_plain.fatbin")).get_kernel("Scale")
shown["fatbin"] = [
    kernel.attributes.num_regs,
    kernel.attributes.max_threads_per_block,
    offsets(kernel),
]
shown["fatbin ms"] = run(kernel, *scale_arguments)
# Its compiler is newer than the drivers, which take it with an older version in its head.
ptx = (images / "compute_80.ptx").read_bytes()
older = ptx.replace(b".version 9.5", b".version 8.0")
kernel = ObjectCode.from_ptx(older).get_kernel("Scale")
shown["ptx ms"] = run(kernel, *scale_arguments)

# Another stream waits for the first.
other = device.create_stream()
other.wait(stream.record())
launch(other, LaunchConfig(grid=1, block=32), kernel, *scale_arguments)
other.sync()
stream.sync()


def error(work):
    try:
        work()
    except Exception as raised:
        return str(raised).partition(":")[0]
    return None


config = LaunchConfig(grid=1, block=2048)
shown["refused"] = {
    "threads": error(lambda: launch(stream, config, kernel, *scale_arguments)),
    "image": error(lambda: ObjectCode.from_cubin(b"\x7fELF" + bytes(200)).get_kernel("Scale")),
    "newer PTX": error(lambda: ObjectCode.from_ptx(ptx).get_kernel("Scale")),
}
print(json.dumps(shown))
