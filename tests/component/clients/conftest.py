# SPDX-License-Identifier: Apache-2.0
"""Clients that know nothing of us or of a simulation, unchanged, in a slice and without one."""

from __future__ import annotations

import pathlib
import shutil
import sys
from collections.abc import Iterator

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "run"))

from clients_harness import CUDA12_BINDINGS, GPUS, Gpu, Place  # noqa: E402
from run_harness import HAMI, Hami, make_state  # noqa: E402


@pytest.fixture(params=GPUS, ids=lambda gpu: gpu.profile)
def gpu(request: pytest.FixtureRequest) -> Gpu:
    return request.param


@pytest.fixture
def simulated(gpu: Gpu) -> Iterator[Hami]:
    """A machine with two of the GPUs."""
    assert HAMI.exists(), f"{HAMI} is not built (set HAMI_BUILD)"
    folder = make_state()
    hami = Hami(folder)
    made = hami.call("sim", "create", "--profile", gpu.profile, "--gpus", 2)
    assert made.returncode == 0, made.stderr
    yield hami
    hami.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["slice", "native"])
def place(request: pytest.FixtureRequest, simulated: Hami, gpu: Gpu) -> Place:
    return Place(simulated, gpu, limited=request.param == "slice")


@pytest.fixture(params=["cuda13", "cuda12"])
def bindings(request: pytest.FixtureRequest) -> pathlib.Path | None:
    """Where cuda-bindings comes from: the test tools, or a folder before them."""
    pytest.importorskip("cuda.bindings")
    if request.param == "cuda13":
        return None
    assert CUDA12_BINDINGS.is_dir(), "run ./dev setup"
    return CUDA12_BINDINGS
