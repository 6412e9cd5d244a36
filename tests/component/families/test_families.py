# SPDX-License-Identifier: Apache-2.0
"""Programs over one family of the driver interface each, with kernels compiled by nvcc: below the
limit they end in a slice exactly as without one, and take as much of the simulated device."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "run"))
sys.path.append(str(HERE.parents[1] / "tenant" / "families"))

from images import image, make_images  # noqa: E402
from run_harness import HAMI, PATIENCE_S, Hami, make_state  # noqa: E402

FAMILIES = HAMI.with_name("families")
MIB = 1 << 20
LIMITS = ("--gpumem", "4Gi", "--gpucores", "80")
# What most of a family's memory is, where it holds it.
HELD = {"pools": 256, "graphs": 128, "streams": 128, "vmm": 128, "ipc": 64}
CONTEXT = {"a10-580": 254 * MIB, "h200-580": 520 * MIB, "h200-615": 520 * MIB}
CAPABILITY = {"a10-580": "86", "h200-580": "90", "h200-615": "90"}


@pytest.fixture(scope="module")
def images() -> pathlib.Path:
    return make_images()


@pytest.fixture(params=list(CAPABILITY))
def profile(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def simulated(profile: str) -> Iterator[Hami]:
    folder = make_state()
    hami = Hami(folder)
    made = hami.call("sim", "create", "--profile", profile)
    assert made.returncode == 0, made.stderr
    yield hami
    hami.close()
    shutil.rmtree(folder, ignore_errors=True)


def used_bytes(hami: Hami) -> int:
    (gpu,) = json.loads(hami.call("sim", "show", "--json").stdout)["gpus"]
    return gpu["memory_used_bytes"]


def run(hami: Hami, limits: tuple[str, ...], *words: object) -> tuple[str, int]:
    """What a program says, and what the device has given away while it holds most."""
    command = [str(FAMILIES), *map(str, words)]
    if limits:
        command = hami.words("run", "-q", "--sim", *limits, "--", *command)
    else:
        command = ["sh", "-c", 'eval "$("$0" sim env)" && exec "$@"', str(HAMI), *command]
    with subprocess.Popen(
        [*command, "--hold"],
        env=hami.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        said = ""
        used = -1
        for line in process.stdout:
            said += line
            if line == "holding\n":
                used = used_bytes(hami)
                process.stdin.write("\n")
                process.stdin.flush()
        assert process.wait(timeout=PATIENCE_S) == 0, said
    return said, used


def forms(profile: str, form: str) -> bool:
    """nvcc 13.5 writes PTX that a driver of CUDA 13.0 is too old for."""
    return form != "ptx" or profile == "h200-615"


@pytest.mark.parametrize("loader", ["module", "library"])
@pytest.mark.parametrize("form", ["cubin", "ptx", "fatbin"])
@pytest.mark.parametrize("family", list(HELD))
def test_below_the_limit(
    simulated: Hami, images: pathlib.Path, profile: str, family: str, form: str, loader: str
) -> None:
    path = image(images, form, CAPABILITY[profile])
    said, used = run(simulated, LIMITS, family, path, loader)
    native_said, native_used = run(simulated, (), family, path, loader)
    assert said == native_said
    assert used == native_used
    if forms(profile, form):
        assert "cuLaunchKernel CUDA_SUCCESS" in said
        assert used >= HELD[family] * MIB
    else:
        assert "CUDA_ERROR_UNSUPPORTED_PTX_VERSION" in said
    assert used_bytes(simulated) == 0


@pytest.mark.parametrize("family", list(HELD))
def test_at_the_limit(simulated: Hami, images: pathlib.Path, profile: str, family: str) -> None:
    """A slice with room for half of what a family holds refuses some of it; the device never gives
    more than the limit, and everything comes back."""
    path = image(images, "fatbin", CAPABILITY[profile])
    processes = 2 if family == "ipc" else 1
    limit = processes * (CONTEXT[profile] + 4 * MIB) + HELD[family] * MIB // 2
    said, used = run(simulated, ("--gpumem", f"{limit // MIB}Mi"), family, path, "module")
    native, _ = run(simulated, (), family, path, "module")
    assert 0 < used <= limit
    assert said.count("OUT_OF_MEMORY") > native.count("OUT_OF_MEMORY")
    assert used_bytes(simulated) == 0
