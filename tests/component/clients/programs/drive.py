# SPDX-License-Identifier: Apache-2.0
"""What the programs over cuda-bindings share."""

from cuda.bindings import driver


def check(result):
    """The values of a call that must succeed."""
    assert result[0] == driver.CUresult.CUDA_SUCCESS, result
    return result[1] if len(result) == 2 else result[1:]


def name(result):
    """How a call ended: its first value as text."""
    return result[0].name


def enter():
    """The device, with its primary context current."""
    check(driver.cuInit(0))
    device = check(driver.cuDeviceGet(0))
    check(driver.cuCtxSetCurrent(check(driver.cuDevicePrimaryCtxRetain(device))))
    return device


def free():
    return check(driver.cuMemGetInfo())[0]
