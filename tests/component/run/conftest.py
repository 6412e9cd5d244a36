# SPDX-License-Identifier: Apache-2.0
"""`hami run` as a person uses it, on simulated GPUs. Each test has a state folder of its own, so
tests can run side by side."""

import os
import shutil
import sys

import pytest
from run_harness import HAMI, NOBODY, Hami, make_state


@pytest.fixture
def hami():
    assert HAMI.exists(), f"{HAMI} is not built (set HAMI_BUILD)"
    folder = make_state()
    made = Hami(folder)
    yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["root", "nobody"])
def anyone(request):
    """hami for root, and for a user without privileges."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be root and nobody in turn")
    uid = NOBODY if request.param == "nobody" else None
    folder = make_state(uid)
    made = Hami(folder, uid)
    if uid is not None and made.call("--version").returncode != 0:
        shutil.rmtree(folder)
        pytest.skip(f"nobody may not execute {HAMI}")
    yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def python():
    """A Python that any user may execute: the paths of a virtual environment may be private."""
    return shutil.which("python3", path="/usr/bin:/bin") or sys.executable
