# SPDX-License-Identifier: Apache-2.0
"""numba_launch.py: kernels that numba-cuda compiles for the device, streams and events."""

import json
import re

import numpy
from numba import cuda

COUNT = 1 << 16


@cuda.jit
def scale(values, factor):
    at = cuda.grid(1)
    if at < values.size:
        values[at] *= factor


@cuda.jit
def reverse(values):
    staged = cuda.shared.array(256, dtype=numpy.float32)
    at = cuda.threadIdx.x
    staged[at] = values[at]
    cuda.syncthreads()
    values[at] = staged[255 - at]


values = cuda.to_device(numpy.arange(COUNT, dtype=numpy.float32))
stream = cuda.stream()
begin, end = cuda.event(), cuda.event()
scale[COUNT // 256, 256, stream](values, 2.0)  # compiled here
begin.record(stream)
for _ in range(20):
    scale[COUNT // 256, 256, stream](values, 2.0)
end.record(stream)
end.synchronize()
shown = {"ms": begin.elapsed_time(end), "queries": [end.query()]}
reverse[1, 256](values)
cuda.synchronize()
(arguments,) = scale.overloads
shown["registers"] = scale.overloads[arguments].regs_per_thread > 0
(arguments,) = reverse.overloads
shown["shared"] = reverse.overloads[arguments].shared_mem_per_block
shown["untouched"] = bool((values.copy_to_host() == numpy.arange(COUNT)).all())


def error(work):
    try:
        work()
    except Exception as raised:
        return re.search(r"CUDA_ERROR_\w+", str(raised)).group()
    return None


shown["refused"] = error(lambda: scale[1, 2048](values, 2.0))
cuda.synchronize()
cuda.close()
print(json.dumps(shown))
