# SPDX-License-Identifier: Apache-2.0
"""libvgpu.so for aarch64, under an emulator of that processor: it builds, every look-up goes
through its hooks, and a limit holds. All GPUs are simulated."""

import fcntl
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys

import pytest
from foreign_programs import (
    CACHE,
    COMPILING_S,
    REPOSITORY,
    compile_for,
    compile_program,
    fetch_packages,
)
from run_harness import PATIENCE_S

EMULATOR = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
COMPILER = shutil.which("aarch64-linux-gnu-g++-12")
BUILD = REPOSITORY / "build-aarch64"
BRANCH = BUILD / "lib" / "simgpu" / "550"
LIBRARY = BUILD / "lib" / "libvgpu.so"
ROOT = pathlib.Path("/usr/aarch64-linux-gnu")  # libc for that machine
# The emulator keeps a word for each page of address space, and a driver reserves all it can.
ADDRESS_SPACE_BYTES = 110 << 30
GIB = 1 << 30
WITHIN = str(GIB)
BEYOND = str(5 * GIB)
HELD = ["total_mib=4096", f"alloc {BEYOND} 2", f"alloc {WITHIN} 0", "holding"]
LINKED = ("-DPROBE_LINKED", str(BRANCH / "libcuda.so.1"), "-Wl,--allow-shlib-undefined")
LIBRARIES = ("-ldl", "-lpthread")


def must(*words, **more):
    result = subprocess.run(words, capture_output=True, text=True, timeout=COMPILING_S, **more)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]


@pytest.fixture(scope="module")
def built():
    """The library and a driver for aarch64."""
    for name, path in (("qemu-user-static", EMULATOR), ("g++-12-aarch64-linux-gnu", COMPILER)):
        if path is None:
            pytest.skip(f"no package {name}")
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "aarch64.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fetch_packages("arm64", "arm64", "libzstd-dev")
        must("cmake", "--preset", "aarch64", cwd=REPOSITORY)
        must("ninja", "-C", str(BUILD), "vgpu", "simgpu_cuda_550", "simgpu_nvml_550")


@pytest.fixture
def emulated(built, hami, tmp_path):
    """Runs a program of aarch64 under a slice of 4 GiB; the lines that it prints."""
    assert hami.call("sim", "create", "test").returncode == 0
    shown = hami.call("sim", "show", "test", "--json").stdout
    uuid = json.loads(shown[shown.index("{") :])["gpus"][0]["uuid"]
    limits = f"hami-limits 1\ngeneration 1\ndevice {uuid}\nmemory {4 * GIB}\nend\n"
    (tmp_path / "limits").write_text(limits)

    def run(program, *arguments, limited=True):
        variables = {"HAMI_SIM": f"{hami.state}/sim/test", "LD_LIBRARY_PATH": str(BRANCH)}
        if limited:
            variables |= {"LD_PRELOAD": str(LIBRARY), "HAMI_SHARES": str(tmp_path)}
        settings = [word for name, value in variables.items() for word in ("-E", f"{name}={value}")]
        result = subprocess.run(
            [EMULATOR, "-L", str(ROOT), *settings, str(program), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES,) * 2),
            env={"PATH": os.environ["PATH"]},
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.splitlines()

    return run


def compile_c(*flags):
    compiler = (shutil.which("aarch64-linux-gnu-gcc-12"),)
    return compile_program("probe.c", compiler, *flags, *LIBRARIES)


@pytest.mark.parametrize("way", ["linked", "default", "next", "opened"])
def test_every_way_to_the_driver_is_limited(emulated, way):
    assert emulated(compile_c(*LINKED), way, BEYOND, WITHIN) == HELD


def test_without_the_library_the_card_is_seen(emulated):
    lines = emulated(compile_c(), "opened", BEYOND, limited=False)
    assert lines[0] != "total_mib=4096"
    assert lines[1] == f"alloc {BEYOND} 0"


def test_threads_are_limited_together(emulated):
    lines = emulated(compile_c(), "threads", str(3 * GIB // 2))
    assert lines == ["threads got=2 of=4", "holding"]


def test_a_program_of_the_oldest_glibc_is_limited(emulated):
    program = compile_for("aarch64-linux-gnu.2.17", "probe.c", *LIBRARIES)
    assert emulated(program, "opened", BEYOND, WITHIN) == HELD


def test_a_program_that_asks_as_the_runtime_does_is_limited(emulated):
    source = REPOSITORY / "tests" / "component" / "preload" / "runtime" / "as_runtime.cc"
    flags = ("-std=c++20", "-static-libstdc++", "-static-libgcc", f"-I{REPOSITORY}", "-ldl")
    lines = emulated(compile_program(source, (COMPILER,), *flags), BEYOND, WITHIN)
    assert lines[0] == "total_mib=4096"
    assert f"alloc {BEYOND} 2" in lines
    assert f"alloc {WITHIN} 0" in lines


def test_nothing_above_the_floor_is_needed(built):
    injected = [LIBRARY, BRANCH / "libcuda.so.1", BRANCH / "libnvidia-ml.so.1"]
    maps = ["preload.map", "simgpu_cuda_550.map", "simgpu_nvml_550.map"]
    words = [f"{file},{BUILD / 'generated' / name}" for file, name in zip(injected, maps)]
    must(sys.executable, str(REPOSITORY / "tools" / "check_abi_floor.py"), *words)
