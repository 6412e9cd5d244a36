# SPDX-License-Identifier: Apache-2.0
"""Each way to device memory through cuda-bindings: below the slice's limit and above it."""

import json

import cuda.bindings
from cuda.bindings import driver
from drive import check, enter, free, name

MIB = 1 << 20
GIB = 1 << 30
TOO_MUCH = 5 * GIB


def vmm_properties():
    made = driver.CUmemAllocationProp()
    made.type = driver.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
    made.location.type = driver.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
    made.location.id = 0
    return made


def attempt(result, give_back):
    """How an allocation ended; it does not last."""
    if result[0] == driver.CUresult.CUDA_SUCCESS:
        check(give_back(result[1]))
    return name(result)


device = enter()
shown = {
    "version": cuda.bindings.__version__,
    "driver": check(driver.cuDriverGetVersion()),
    "devices": check(driver.cuDeviceGetCount()),
    "name": check(driver.cuDeviceGetName(64, device)).rstrip(b" \0").decode(),
    "device_total": check(driver.cuDeviceTotalMem(device)),
    "info": check(driver.cuMemGetInfo()),
}

address = check(driver.cuMemAlloc(GIB))
shown["with 1 GiB"] = free()
shown["range"] = check(driver.cuMemGetAddressRange(address))[1]
check(driver.cuMemFree(address))
shown["freed"] = free()

stream = check(driver.cuStreamCreate(driver.CUstream_flags.CU_STREAM_NON_BLOCKING))
attach = driver.CUmemAttach_flags.CU_MEM_ATTACH_GLOBAL
pitched = driver.cuMemAllocPitch(MIB, TOO_MUCH // MIB, 4)
shown["above"] = {
    "cuMemAllocPitch": attempt(pitched, driver.cuMemFree),
    "cuMemAlloc": attempt(driver.cuMemAlloc(TOO_MUCH), driver.cuMemFree),
    "cuMemAllocManaged": attempt(driver.cuMemAllocManaged(TOO_MUCH, attach), driver.cuMemFree),
    "cuMemCreate": attempt(
        driver.cuMemCreate(TOO_MUCH, vmm_properties(), 0), driver.cuMemRelease
    ),
    "cuMemAllocAsync": attempt(
        driver.cuMemAllocAsync(TOO_MUCH, stream), lambda made: driver.cuMemFreeAsync(made, stream)
    ),
}
check(driver.cuStreamSynchronize(stream))
shown["after above"] = free()

# To the brim, and then one byte more.
rest = free() // (2 * MIB) * (2 * MIB)
address = check(driver.cuMemAlloc(rest))
shown["brim"] = [free() == shown["freed"] - rest, name(driver.cuMemAlloc(1))]
check(driver.cuMemFree(address))

# Stream-ordered: what the pool has let go of is free again when the stream is synchronised.
address = check(driver.cuMemAllocAsync(256 * MIB, stream))
shown["pool with 256 MiB"] = free()
check(driver.cuMemFreeAsync(address, stream))
check(driver.cuStreamSynchronize(stream))
shown["pool freed"] = free()

# Host memory is not the slice's.
address = check(driver.cuMemAllocHost(64 * MIB))
shown["with host memory"] = free()
check(driver.cuMemFreeHost(address))

shown["bad free"] = name(driver.cuMemFree(12345))
check(driver.cuStreamDestroy(stream))
check(driver.cuDevicePrimaryCtxRelease(device))
shown["without a context"] = name(driver.cuMemGetInfo())
print(json.dumps(shown))
