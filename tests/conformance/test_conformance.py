# SPDX-License-Identifier: Apache-2.0
"""Each case of the conformance program as a test: on three simulated machines, or, as ./dev gpu
does with HAMI_REAL_GPU=1, on this machine's driver. Programs come from $HAMI_BUILD or build/."""

import os
import pathlib
import subprocess

import pytest

BUILD = pathlib.Path(
    os.environ.get("HAMI_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build")
).resolve()
HAMI = BUILD / "bin" / "hami"
CONFORMANCE = BUILD / "bin" / "conformance"
PATIENCE_S = 150  # never the subject of a test, only its end
REAL = os.environ.get("HAMI_REAL_GPU") == "1"
PROFILES = ["real"] if REAL else ["a10-550", "h200-580", "h200-615", "t4-440"]


def case_names():
    if not CONFORMANCE.exists():
        return ["conformance-is-not-built"]
    listed = subprocess.run([CONFORMANCE, "--list"], capture_output=True, text=True, check=True)
    return [line.split("\t")[0] for line in listed.stdout.splitlines()]


@pytest.fixture(scope="session", params=PROFILES)
def environment(request, tmp_path_factory):
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("HAMI_", "LD_", "CUDA_"))}
    if REAL:
        return plain
    # Each worker has a machine of its own: cases that compare memory must be alone on it.
    plain["HAMI_STATE_DIR"] = str(tmp_path_factory.mktemp("sim"))
    subprocess.run(
        [HAMI, "sim", "create", "--profile", request.param, "conformance"], env=plain, check=True
    )
    shell = f'eval "$("{HAMI}" sim env conformance)" && env -0'
    listed = subprocess.run(["bash", "-c", shell], env=plain, capture_output=True, check=True)
    pairs = (item.split("=", 1) for item in listed.stdout.decode().split("\0") if item)
    return dict(pairs)


@pytest.mark.parametrize("name", case_names())
def test_case(environment, name):
    result = subprocess.run(
        [CONFORMANCE, name],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if result.stdout.startswith("skip - "):
        pytest.skip(result.stdout.strip())
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout == f"ok - {name}\n"
