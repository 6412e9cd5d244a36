# SPDX-License-Identifier: Apache-2.0
"""Where mount namespaces are forbidden, hami falls back to the environment and says so. Namespaces
are forbidden here as an administrator does it, by their limits, inside a user namespace, and as a
container's seccomp filter does it. All GPUs are simulated."""

import json
import subprocess
import sys

import pytest
from run_harness import FORBID, TENANT

# A filter that answers unshare(2) with EPERM, then the rest of the command line.
SECCOMP = """
import ctypes, os, platform, struct, sys
number = {"x86_64": 272, "aarch64": 97}[platform.machine()]
code = b"".join(struct.pack("<HBBI", *one) for one in (
    (0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)))
held = ctypes.create_string_buffer(code, len(code))
program = struct.pack("<HxxxxxxQ", 4, ctypes.addressof(held))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, program, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execvp(sys.argv[1], sys.argv[1:])
"""
WRAPS = {"limits": FORBID, "seccomp": (sys.executable, "-c", SECCOMP)}


@pytest.fixture(autouse=True)
def can_forbid():
    probe = subprocess.run([*FORBID, "unshare", "--mount", "true"], capture_output=True, text=True)
    if "max_" in probe.stderr or "uid_map" in probe.stderr:
        pytest.skip("no user namespaces here: " + probe.stderr)
    assert probe.returncode != 0


@pytest.mark.parametrize("how", WRAPS)
def test_fallback_says_so_and_limits(hami, how):
    words = (str(TENANT), "info", "alloc", "5Gi", "alloc", "2Gi")
    result = hami.run(*words, wrap=WRAPS[how], options=("--gpumem", "4Gi", "--json", "-", "-q"))
    assert result.returncode == 0, result.stderr
    degraded = [line for line in result.stderr.splitlines() if "degraded" in line]
    assert len(degraded) == 1
    assert "LD_PRELOAD" in degraded[0]
    lines = result.stdout.splitlines()
    assert "total_mib=4096" in lines[0]
    assert lines[1:3] == ["alloc 5Gi CUDA_ERROR_OUT_OF_MEMORY", "alloc 2Gi CUDA_SUCCESS"]
    assert json.loads(lines[3])["degraded"] is True
    assert hami.shares() == []


def test_fallback_is_in_the_booking(hami):
    run = hami.start("sh", "-c", "echo ready; read _; true", wrap=FORBID)
    assert run.line() == "ready"
    (name,) = hami.shares()
    booking = json.loads((hami.state / "shares" / name / "booking").read_text())
    assert booking["degraded"] is True
    assert hami.run("true", options=("--gpumem", "100%")).returncode == 4
    run.say("end")
    assert run.end()[0] == 0


def test_library_of_the_fallback_is_an_immutable_copy(hami):
    result = hami.run("sh", "-c", "echo $LD_PRELOAD; echo $HAMI_SHARES", wrap=FORBID)
    library, shares = result.stdout.split()
    assert library.startswith(str(hami.state / "lib"))
    assert shares.startswith(str(hami.state / "shares"))
    first = (hami.state / library).stat()
    assert first.st_mode & 0o777 == 0o555
    hami.run("true", wrap=FORBID)
    again = (hami.state / library).stat()
    assert (first.st_ino, first.st_mtime_ns) == (again.st_ino, again.st_mtime_ns)


def test_where_namespaces_are_allowed_nothing_is_degraded(hami):
    result = hami.run("true", options=("--gpumem", "4Gi", "--json", "-"))
    assert "degraded" not in result.stderr
    assert json.loads(result.stdout)["degraded"] is False
