# SPDX-License-Identifier: Apache-2.0
"""Programs that were built against other C libraries than this machine's. Whoever glibc's loader
starts is limited, from version 2.17 on; for whom nothing loads the library, hami says so. All GPUs
are simulated."""

import json
import platform
import signal
import subprocess

import pytest
from foreign_programs import DRIVER, compile_for, compile_static, fetch_packages
from run_harness import is_running

MACHINE = platform.machine()
GLIBC = f"{MACHINE}-linux-gnu"
MUSL = f"{MACHINE}-linux-musl"
GIB = 1 << 30
WITHIN = str(GIB)
BEYOND = str(5 * GIB)
LIBRARIES = ("-ldl", "-lpthread")
LINKED = ("-DPROBE_LINKED", str(DRIVER), "-Wl,--allow-shlib-undefined")
HELD = ["total_mib=4096", f"alloc {BEYOND} 2", f"alloc {WITHIN} 0", "holding"]


def expect_limited(hami, *command, options=("--gpumem", "4Gi", "--json", "-")):
    result = hami.run(*command, options=options)
    assert result.returncode == 0, result.stderr
    *lines, record = result.stdout.splitlines()
    assert json.loads(record)["escapes"] == 0
    assert json.loads(record)["unlimited_processes"] == 0
    assert "not active" not in result.stderr
    return lines


def newest_symbol_version(program):
    """(2, 17) of a program that needs nothing newer than GLIBC_2.17."""
    needs = subprocess.run(
        ["readelf", "--wide", "--version-info", program], capture_output=True, text=True, check=True
    )
    versions = [word[6:] for word in needs.stdout.split() if word.startswith("GLIBC_2")]
    return max(tuple(int(number) for number in version.split(".")) for version in versions)


# ---- glibc


@pytest.mark.parametrize("version", ["2.17", "2.28", "2.31"])
def test_c_programs_of_old_glibc_are_limited(hami, version):
    program = compile_for(f"{GLIBC}.{version}", "probe.c", *LIBRARIES)
    assert newest_symbol_version(program) <= tuple(int(part) for part in version.split("."))
    assert expect_limited(hami, program, "opened", BEYOND, WITHIN) == HELD


@pytest.mark.parametrize("way", ["linked", "default", "next", "opened"])
def test_every_way_to_the_driver_is_limited(hami, way):
    program = compile_for(f"{GLIBC}.2.17", "probe.c", *LINKED, *LIBRARIES)
    assert expect_limited(hami, program, way, BEYOND, WITHIN) == HELD


def test_threads_of_old_glibc_are_limited_together(hami):
    program = compile_for(f"{GLIBC}.2.17", "probe.c", *LIBRARIES)
    # Beside the context there is room for two of four.
    lines = expect_limited(hami, program, "threads", str(3 * GIB // 2))
    assert lines == ["threads got=2 of=4", "holding"]


def test_a_cpp_program_of_old_glibc_is_limited(hami):
    program = compile_for(f"{GLIBC}.2.17", "probe.cc", *LIBRARIES)
    assert newest_symbol_version(program) <= (2, 17)
    assert expect_limited(hami, program, BEYOND, WITHIN) == [
        f"alloc {BEYOND} 2",
        "caught refused",
        f"alloc {WITHIN} 0",
    ]


# ---- a C library of that age itself


@pytest.fixture(scope="module")
def old_loader():
    """The loader of glibc 2.31, in which dlsym and threads are libraries of their own still."""
    arch = {"x86_64": "amd64", "aarch64": "arm64"}[MACHINE]
    root = fetch_packages("bullseye", arch, "libc6", release="bullseye")
    libraries = root / "lib" / GLIBC
    (loader,) = libraries.glob("ld-2.31.so")
    return loader, libraries


@pytest.fixture
def run_in_old_libc(hami, old_loader):
    loader, libraries = old_loader

    def run(program, *arguments):
        assert hami.run("true").returncode == 0  # makes the simulation
        path = f"{libraries}:{hami.state}/sim/default/lib"
        return expect_limited(hami, loader, "--library-path", path, program, *arguments)

    return run


@pytest.mark.parametrize("way", ["linked", "default", "next", "opened"])
def test_every_way_is_limited_in_a_libc_of_2_31(run_in_old_libc, way):
    program = compile_for(f"{GLIBC}.2.17", "probe.c", *LINKED, *LIBRARIES)
    assert run_in_old_libc(program, way, BEYOND, WITHIN) == HELD


def test_threads_are_limited_in_a_libc_of_2_31(run_in_old_libc):
    program = compile_for(f"{GLIBC}.2.17", "probe.c", *LIBRARIES)
    lines = run_in_old_libc(program, "threads", str(3 * GIB // 2))
    assert lines == ["threads got=2 of=4", "holding"]


def test_a_cpp_program_is_limited_in_a_libc_of_2_31(run_in_old_libc):
    program = compile_for(f"{GLIBC}.2.17", "probe.cc", *LIBRARIES)
    assert run_in_old_libc(program, BEYOND, WITHIN)[0] == f"alloc {BEYOND} 2"


# ---- for whom no limit is active


def static_glibc(*flags):
    return lambda: (compile_static(*flags), "opened")


def musl():
    if subprocess.run(["test", "-e", f"/lib/ld-musl-{MACHINE}.so.1"]).returncode != 0:
        pytest.skip("no musl loader (package musl)")
    return compile_for(MUSL, "probe.c", "-dynamic", *LINKED), "linked"


OUTSIDE = {
    "static": (static_glibc("-static"), "static program"),
    "static-pie": (static_glibc("-static-pie"), "static program"),
    "musl": (musl, "musl loader"),
}


def start_outside(hami, kind, size, *more):
    """A program without the library, in a shell that is not alone; and what is said of it."""
    make, why = OUTSIDE[kind]
    program, way = make()
    # A static program's copy of libc does not tell the driver where it lies.
    words = f"sleep 1000 | HAMI_SIM={hami.state}/sim/default {program} {way} {size} >/dev/null"
    options = ("--gpumem", "4Gi", "--json", str(hami.state / "record"), *more)
    run = hami.start("sh", "-c", f"{words} & echo $!; read _; true", options=options)
    pid = int(run.line())
    return run, pid, why


def read_report(run, words):
    line = ""
    while words not in line:
        line = run.process.stderr.readline()
        assert line, f"never said: {words}"
    return line


@pytest.mark.parametrize("kind", OUTSIDE)
def test_a_process_without_the_library_is_reported(hami, kind):
    run, pid, why = start_outside(hami, kind, WITHIN)
    line = read_report(run, "limits are not active")
    assert f"pid {pid} (" in line
    assert why in line
    assert "of GPU 0" in line
    assert is_running(pid)
    run.say("end")
    code, errors = run.end()
    assert code == 0
    assert "limits are not active" not in errors, "it is said once"
    record = json.loads((hami.state / "record").read_text())
    assert record["unlimited_processes"] == 1
    assert record["escapes"] == 0, "it holds less than the slice"


@pytest.mark.parametrize("kind", OUTSIDE)
def test_a_process_without_the_library_is_killed_if_asked(hami, kind):
    run, pid, _ = start_outside(hami, kind, WITHIN, "--on-escape", "kill")
    assert "it is killed" in read_report(run, f"limits are not active for pid {pid} ")
    run.say("end")
    assert run.end()[0] == 0
    assert not is_running(pid)


def test_what_a_process_without_the_library_holds_counts(hami):
    run, pid, _ = start_outside(hami, "static", str(6 * GIB))
    line = read_report(run, "goes round the limit")
    assert f"pid {pid} (" in line
    assert "it holds 6." in line
    assert "granted 4.0 GiB" in line
    run.say("end")
    assert run.end()[0] == 0


def test_a_static_program_that_uses_no_gpu_is_nobodys_business(hami):
    program = compile_for(MUSL, "probe.c", "-static")
    result = hami.run(program, "opened", WITHIN, options=("--gpumem", "4Gi", "--json", "-"))
    assert result.returncode == 1
    assert "Dynamic loading not supported" in result.stderr
    assert "not active" not in result.stderr
    assert json.loads(result.stdout)["unlimited_processes"] == 0


def test_cmd_itself_may_be_who_is_killed(hami):
    program, way = OUTSIDE["static"][0]()
    words = ("env", f"HAMI_SIM={hami.state}/sim/default", program, way, WITHIN)
    run = hami.start(*words, options=("--gpumem", "4Gi", "--on-escape", "kill"))
    assert run.process.wait(timeout=60) == 128 + signal.SIGKILL  # its input is still open
    assert "it is killed" in run.end()[1]
