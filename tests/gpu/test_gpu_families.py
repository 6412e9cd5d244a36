# SPDX-License-Identifier: Apache-2.0
"""The programs of tests/tenant/families on this machine's real GPU: each call ends under `hami run`
as without it, as long as the limit is far. Run by ./dev gpu, which sets HAMI_REAL_GPU=1; skipped
otherwise. Programs: $HAMI_BUILD or build/."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "tenant" / "families"))

from images import CAPABILITIES, image, make_images  # noqa: E402

BUILD = pathlib.Path(os.environ.get("HAMI_BUILD", HERE.parents[1] / "build")).resolve()
HAMI = BUILD / "bin" / "hami"
FAMILIES = BUILD / "bin" / "families"
PATIENCE_S = 120  # never the subject of a test, only its end
MIB = 1 << 20

pytestmark = pytest.mark.skipif(
    os.environ.get("HAMI_REAL_GPU") != "1", reason="no real GPU: not started by ./dev gpu"
)


@pytest.fixture(scope="module")
def images():
    return make_images()


@pytest.fixture(scope="module")
def capability():
    """The newest of the cubins' that this GPU runs: the same major version, no newer minor one."""
    asked = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader", "--id=0"]
    text = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    major, minor = map(int, text.split("."))
    fitting = [c for c in CAPABILITIES if int(c[:-1]) == major and int(c[-1]) <= minor]
    if not fitting:
        pytest.skip(f"no cubin for compute capability {text}")
    return max(fitting, key=int)


def run(limits, *words):
    command = [FAMILIES, *words]
    if limits:
        command = [HAMI, "run", "-q", *limits, "--", *command]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HAMI_", "LD_"))}
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def split(said):
    """The calls, and the figures of memory in bytes."""
    calls = [line for line in said.splitlines() if not line.startswith("memory ")]
    return calls, [int(figure) for figure in re.findall(r"^memory .*: (-?\d+)$", said, re.M)]


@pytest.mark.parametrize("loader", ["module", "library"])
@pytest.mark.parametrize("form", ["cubin", "ptx", "fatbin"])
@pytest.mark.parametrize("family", ["pools", "graphs", "streams", "vmm", "ipc"])
def test_below_the_limit(images, capability, family, form, loader):
    path = image(images, form, capability)
    calls, memory = split(run(["--gpumem", "8Gi"], family, path, loader))
    native_calls, native_memory = split(run([], family, path, loader))
    assert calls == native_calls
    # Beside the limit only this program uses the device; what it takes is known to a few pages.
    assert len(memory) == len(native_memory)
    for figure, native in zip(memory, native_memory, strict=True):
        assert abs(figure - native) <= 32 * MIB, (memory, native_memory)
