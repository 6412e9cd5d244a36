# SPDX-License-Identifier: Apache-2.0
"""Compiling programs for other C libraries and machines than this one's. What cannot be had skips
the test with the reason. Builds are kept in .cache/foreign of the checkout by what went in."""

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from run_harness import BUILD

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"
CACHE = REPOSITORY / ".cache" / "foreign"
DRIVER = BUILD / "lib" / "simgpu" / "615" / "libcuda.so.1"
ZIG = (sys.executable, "-m", "ziglang")
COMPILING_S = 600  # never the subject of a test, only its end


def run_compiler(words):
    CACHE.mkdir(parents=True, exist_ok=True)
    folders = {f"ZIG_{kind}_CACHE_DIR": str(CACHE / "zig") for kind in ("GLOBAL", "LOCAL")}
    return subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=COMPILING_S,
        env={**os.environ, **folders},
        cwd=CACHE,
    )


def fetch_packages(folder, arch, *packages, release="bookworm"):
    """Debian's packages, unpacked into a folder below .cache/foreign."""
    CACHE.mkdir(parents=True, exist_ok=True)
    words = ["--arch", arch, "--release", release, "--to", str(CACHE / folder), *packages]
    with open(CACHE / f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fetched = subprocess.run(
            [sys.executable, str(REPOSITORY / "tools/dev/fetch_debs.py"), *words],
            capture_output=True,
            text=True,
            timeout=COMPILING_S,
        )
    if fetched.returncode != 0:
        pytest.skip(f"no {packages} of {release}: " + fetched.stderr.strip().split("\n")[-1])
    return CACHE / folder


def need_zig():
    result = run_compiler([*ZIG, "version"])
    if result.returncode != 0:
        pytest.skip("no ziglang in this Python: " + result.stderr.strip().split("\n")[-1])


def compile_program(source, compiler, *flags):
    """The program; one process at a time builds, the next finds it."""
    path = PROGRAMS / source
    # What is linked is named by path; its content may change behind the name.
    digest = hashlib.sha256(path.read_bytes() + repr((compiler, flags)).encode()).hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    program = CACHE / f"{path.stem}-{digest}"
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            made = program.with_suffix(".new")
            result = run_compiler([*compiler, "-O1", "-o", str(made), str(path), *flags])
            assert result.returncode == 0, result.stderr
            os.rename(made, program)
    return program


def compile_for(target, source, *flags):
    """With zig, for a target such as x86_64-linux-gnu.2.17."""
    need_zig()
    language = "c++" if source.endswith(".cc") else "cc"
    standard = ("-std=c++20",) if source.endswith(".cc") else ()
    return compile_program(source, (*ZIG, language, "-target", target), *standard, *flags)


def compile_static(*flags):
    """With this machine's own compiler and C library."""
    compiler = shutil.which("gcc-12") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    return compile_program("probe.c", (compiler,), *flags)
