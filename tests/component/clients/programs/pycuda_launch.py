# SPDX-License-Identifier: Apache-2.0
"""pycuda_launch.py IMAGE [NVCC]: modules, kernels, streams and events through pycuda; with NVCC
also a kernel that pycuda compiles itself."""

import json
import pathlib
import sys
import tempfile

import numpy
import pycuda.driver as cuda
from pycuda.compiler import SourceModule

COUNT = 1 << 18
SOURCE = """
__global__ void Shift(float* values, int by) { values[threadIdx.x] += by; }
__device__ float ours[256];
"""

cuda.init()
context = cuda.Device(0).retain_primary_context()
context.push()
start = cuda.mem_get_info()[0]
module = cuda.module_from_buffer(pathlib.Path(sys.argv[1]).read_bytes())
shown = {"module bytes": start - cuda.mem_get_info()[0]}
scale = module.get_function("Scale")
shown["registers"] = scale.num_regs
shown["threads"] = scale.max_threads_per_block
shown["table"] = module.get_global("table")[1]


def error(work):
    try:
        work()
    except cuda.Error as raised:
        return type(raised).__name__
    return None


data = cuda.mem_alloc(4 * COUNT)
stream = cuda.Stream()
begin, end = cuda.Event(), cuda.Event()
begin.record(stream)
grid = (COUNT // 256, 1)
for _ in range(50):
    scale(data, numpy.float32(2), numpy.int32(COUNT), block=(256, 1, 1), grid=grid, stream=stream)
scale.prepare("Pfi")
for _ in range(50):
    scale.prepared_async_call(grid, (256, 1, 1), stream, data, 2.0, COUNT)
end.record(stream)
end.synchronize()
shown["queries"] = [end.query(), stream.is_done()]
shown["ms"] = end.time_since(begin)
other = cuda.Stream()
other.wait_for_event(end)
other.synchronize()

shown["refused"] = {
    "name": error(lambda: module.get_function("Nothing")),
    "image": error(lambda: cuda.module_from_buffer(b"\x7fELF" + bytes(200))),
    "threads": error(lambda: scale.prepared_call(grid, (2048, 1, 1), data, 2.0, COUNT)),
}
context.synchronize()
data.free()
del module, scale, stream, other, begin, end
shown["given back"] = cuda.mem_get_info()[0] == start
# Last: while it compiles, an agent has time to look at what modules really take.
if len(sys.argv) > 2:
    with tempfile.TemporaryDirectory() as cache:
        compiled = SourceModule(SOURCE, nvcc=sys.argv[2], no_extern_c=False, cache_dir=cache)
    shift = compiled.get_function("Shift")
    data = cuda.mem_alloc(1024)
    shift(data, numpy.int32(1), block=(256, 1, 1), grid=(1, 1), time_kernel=True)
    shown["compiled"] = [compiled.get_global("ours")[1], shift.num_regs > 0]
    data.free()
    del compiled, shift
context.pop()
context.detach()
print(json.dumps(shown))
