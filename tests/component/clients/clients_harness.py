# SPDX-License-Identifier: Apache-2.0
"""Runs clients in a slice and, for comparison, on the same simulated GPU without one."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import subprocess
import sys

from run_harness import HAMI, PATIENCE_S, Hami, Started

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PROGRAMS = HERE / "programs"
IMAGES = ROOT / "tests" / "golden" / "images"
MIB = 1 << 20
GIB = 1 << 30
SLICE_BYTES = 4 * GIB
SLICE = ("-q", "--gpumem", "4Gi", "--gpucores", "50", "--gpu", "0")


@dataclasses.dataclass(frozen=True)
class Gpu:
    """What a built-in profile says of its device (src/simgpu/profiles)."""

    profile: str
    driver: str
    cuda: int
    name: str
    capability: tuple[int, int]
    processors: int
    total: int
    reserved: int
    context: int
    image: pathlib.Path


GPUS = [
    Gpu("a10-550", "550.144.03", 12040, "NVIDIA A10", (8, 6), 72,
        23028 * MIB, 297 * MIB, 254 * MIB, IMAGES / "sm_86_cuda12.cubin"),
    Gpu("a10-580", "580.95.05", 13000, "NVIDIA A10", (8, 6), 72,
        23028 * MIB, 297 * MIB, 254 * MIB, IMAGES / "sm_86.cubin"),
    Gpu("h200-580", "580.95.05", 13000, "NVIDIA H200", (9, 0), 132,
        143771 * MIB, 605 * MIB, 520 * MIB, IMAGES / "mix_plain.fatbin"),
    Gpu("h200-615", "615.71.05", 13050, "NVIDIA H200", (9, 0), 132,
        143771 * MIB, 605 * MIB, 520 * MIB, IMAGES / "mix_plain.fatbin"),
]  # fmt: skip


class Place:
    """Where clients run: in a slice of 4 GiB of the first simulated GPU, or on the GPUs as they
    are. Its figures are what a client is to see there."""

    def __init__(self, hami: Hami, gpu: Gpu, limited: bool):
        self.hami = hami
        self.gpu = gpu
        self.limited = limited

    @property
    def total(self) -> int:
        return SLICE_BYTES if self.limited else self.gpu.total

    @property
    def reserved(self) -> int:
        return 0 if self.limited else self.gpu.reserved

    @property
    def cuda_total(self) -> int:
        return self.total - self.reserved

    @property
    def cuda_free(self) -> int:
        """With one context."""
        return self.cuda_total - self.gpu.context

    def words(self, *command: object) -> list[str]:
        if self.limited:
            return self.hami.words("run", "--sim", *SLICE, "--", *command)
        enter = 'eval "$("$0" sim env)" && exec "$@"'
        return ["sh", "-c", enter, str(HAMI), *map(str, command)]

    def text(self, *command: object, bindings: pathlib.Path | None = None) -> str:
        """Runs a command to its end; what it says."""
        result = subprocess.run(
            self.words(*command),
            env=self.environment(bindings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            cwd="/",
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert "[hami error" not in result.stderr, result.stderr
        return result.stdout

    def call(self, program: str, *arguments: object, bindings: pathlib.Path | None = None):
        """The figures that one of programs/ prints."""
        return json.loads(self.text(*python(program, *arguments), bindings=bindings))

    def call_client(self, program: str, *arguments: object):
        """The same for a program over one of the clients in an environment of their own."""
        assert CLIENTS_PYTHON.exists(), f"{CLIENTS_PYTHON} is missing: run ./dev setup"
        words = [CLIENTS_PYTHON, PROGRAMS / program, *arguments]
        return json.loads(self.text(*words))

    def start(self, *command: object) -> Started:
        """Runs a command that says one line and then waits for one."""
        process = subprocess.Popen(
            self.words(*command),
            env=self.environment(None),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        self.hami.started.append(Started(process))
        return self.hami.started[-1]

    def environment(self, bindings: pathlib.Path | None) -> dict[str, str]:
        # An A10 with a driver of CUDA 12 under the bindings of CUDA 13 is wanted: no warning.
        more = {"CUDA_PYTHON_DISABLE_MAJOR_VERSION_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        more["NVCC_CCBIN"] = "g++-12"
        if bindings is not None:
            more["PYTHONPATH"] = str(bindings)
        return self.hami.environment(**more)


def python(program: str, *arguments: object) -> list[str]:
    return [sys.executable, str(PROGRAMS / program), *map(str, arguments)]


# Installed by ./dev setup: numba-cuda, pycuda and nvcc (tools/dev/clients.txt).
CLIENTS = ROOT / ".cache" / "clients"
CLIENTS_PYTHON = CLIENTS / "bin" / "python"
NVCC = CLIENTS / "lib" / "python3.11" / "site-packages" / "nvidia" / "cu13" / "bin" / "nvcc"
# Installed by ./dev setup beside the test tools.
CUDA12_BINDINGS = pathlib.Path(sys.prefix) / "cuda12"
