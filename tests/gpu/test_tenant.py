# SPDX-License-Identifier: Apache-2.0
"""The tenant under `hami run` on this machine's real GPU: what a simulation cannot show. Run by
./dev gpu, which sets HAMI_REAL_GPU=1; skipped otherwise. Programs: $HAMI_BUILD or build/."""

import os
import pathlib
import re
import subprocess

import pytest

BUILD = pathlib.Path(
    os.environ.get("HAMI_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build")
).resolve()
HAMI = BUILD / "bin" / "hami"
TENANT = BUILD / "bin" / "tenant"
PATIENCE_S = 120  # never the subject of a test, only its end

pytestmark = pytest.mark.skipif(
    os.environ.get("HAMI_REAL_GPU") != "1", reason="no real GPU: not started by ./dev gpu"
)


def tenant(*words, limits=None):
    """Output of the tenant: bare, or under `hami run` with these limits."""
    command = [TENANT, *words]
    if limits is not None:
        command = [HAMI, "run", "-q", *limits, "--", *command]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HAMI_", "LD_"))}
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def figure(text, name):
    found = re.search(rf"\b{name}=([0-9.eE+-]+)", text)
    assert found, text
    return float(found.group(1))


def test_memory_limit_is_what_the_program_sees():
    assert figure(tenant("info", limits=["--gpumem", "4Gi"]), "total_mib") == 4096


def test_memory_beyond_the_limit_is_refused():
    output = tenant("alloc", "2Gi", "alloc", "3Gi", "info", limits=["--gpumem", "4Gi"])
    lines = [line for line in output.splitlines() if line.startswith("alloc")]
    assert lines[0].endswith("CUDA_SUCCESS")
    assert lines[1].endswith("CUDA_ERROR_OUT_OF_MEMORY")
    assert figure(output, "free_mib") <= 2048


def test_context_cost_is_charged():
    output = tenant("info", limits=["--gpumem", "4Gi"])
    cost_mib = figure(output, "total_mib") - figure(output, "free_mib")
    assert 0 < cost_mib < 2048, f"a context costs {cost_mib} MiB"


@pytest.mark.parametrize("share", [25, 50])
def test_compute_share(share):
    limits = ["--gpumem", "4Gi", "--gpucores", str(share), "--policy", "force"]
    achieved = figure(tenant("prepare", "spin", "1000", "8", limits=limits), "busy_pct")
    assert abs(achieved - share) <= max(5, share / 5), f"asked {share} %, achieved {achieved} %"
