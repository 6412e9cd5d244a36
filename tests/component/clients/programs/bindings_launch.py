# SPDX-License-Identifier: Apache-2.0
"""bindings_launch.py IMAGE: modules, kernels, streams, events and graphs through cuda-bindings."""

import ctypes
import json
import pathlib
import sys

import numpy
from cuda.bindings import driver
from drive import check, enter, free, name

COUNT = 1 << 18
REGISTERS = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_NUM_REGS

image = pathlib.Path(sys.argv[1]).read_bytes()
enter()
start = free()
module = check(driver.cuModuleLoadData(image))
shown = {"module bytes": start - free()}
kernel = check(driver.cuModuleGetFunction(module, b"Scale"))
shown["registers"] = check(driver.cuFuncGetAttribute(REGISTERS, kernel))
shown["table"] = check(driver.cuModuleGetGlobal(module, b"table"))[1]
shown["refused"] = {
    "name": name(driver.cuModuleGetFunction(module, b"Nothing")),
    "image": name(driver.cuModuleLoadData(b"\x7fELF" + bytes(200))),
}

# Bytes go to the device and back; no kernel changes them in a simulation.
data = check(driver.cuMemAlloc(4 * COUNT))
sent = numpy.arange(COUNT, dtype=numpy.float32)
back = numpy.zeros_like(sent)
check(driver.cuMemcpyHtoD(data, sent, sent.nbytes))
check(driver.cuMemcpyDtoH(back, data, back.nbytes))
shown["copied"] = bool((sent == back).all())

stream = check(driver.cuStreamCreate(driver.CUstream_flags.CU_STREAM_NON_BLOCKING))
begin, end = check(driver.cuEventCreate(0)), check(driver.cuEventCreate(0))
arguments = ((data, 2.0, COUNT), (None, ctypes.c_float, ctypes.c_int32))


def launch(threads):
    grid = (COUNT // 256, 1, 1)
    return driver.cuLaunchKernel(kernel, *grid, threads, 1, 1, 0, stream, arguments, 0)


check(driver.cuEventRecord(begin, stream))
for _ in range(100):
    check(launch(256))
check(driver.cuEventRecord(end, stream))
check(driver.cuEventSynchronize(end))
shown["queries"] = [name(driver.cuEventQuery(end)), name(driver.cuStreamQuery(stream))]
shown["ms"] = check(driver.cuEventElapsedTime(begin, end))
shown["refused"]["threads"] = name(launch(2048))
shown["after a refused launch"] = name(driver.cuCtxSynchronize())

# The same by a library, and in a graph.
library = check(driver.cuLibraryLoadData(image, [], [], 0, [], [], 0))
from_library = check(driver.cuLibraryGetKernel(library, b"Empty"))
empty = check(driver.cuKernelGetFunction(from_library))
mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
check(driver.cuStreamBeginCapture(stream, mode))
for _ in range(3):
    check(driver.cuLaunchKernel(empty, 1, 1, 1, 1, 1, 1, 0, stream, ((), ()), 0))
graph = check(driver.cuStreamEndCapture(stream))
shown["nodes"] = check(driver.cuGraphGetNodes(graph))[1]
runnable = check(driver.cuGraphInstantiate(graph, 0))
check(driver.cuGraphLaunch(runnable, stream))
check(driver.cuStreamSynchronize(stream))
check(driver.cuGraphExecDestroy(runnable))
check(driver.cuGraphDestroy(graph))
check(driver.cuLibraryUnload(library))

check(driver.cuEventDestroy(begin))
check(driver.cuEventDestroy(end))
check(driver.cuStreamDestroy(stream))
check(driver.cuMemFree(data))
check(driver.cuModuleUnload(module))
shown["given back"] = free() == start
print(json.dumps(shown))
