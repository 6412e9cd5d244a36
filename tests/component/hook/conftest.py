# SPDX-License-Identifier: Apache-2.0
"""The container runtime's hook under a real runc. Each test has a bundle of its own."""

import itertools
import os
import pathlib
import subprocess
import tempfile

import pytest
from hook_harness import HOOK, Bundle, mounts_below, why_not

COUNT = itertools.count()


@pytest.fixture
def bundle():
    reason = why_not()
    if reason:
        pytest.skip(reason)
    assert HOOK.exists(), f"{HOOK} is not built (set HAMI_BUILD)"
    with tempfile.TemporaryDirectory(prefix="hami-hook-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        made = Bundle(folder, f"hami-hook-{os.getpid()}-{next(COUNT)}")
        yield made
        runc = ["runc", "--root", str(folder / "run"), "delete", "--force", made.name]
        subprocess.run(runc, capture_output=True, check=False)
        assert mounts_below(folder) == []
