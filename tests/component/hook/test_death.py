# SPDX-License-Identifier: Apache-2.0
"""The hook dies at every system call: the container does not start, nothing stays mounted, and the
next attempt with the same root works."""

import pathlib
import sys

from hook_harness import HOOK, LIBRARY

KILLER = pathlib.Path(__file__).parent / "kill_at_call.py"


def test_killed_at_every_system_call(bundle):
    verdict = bundle.folder / "verdict"
    good = bundle.hook()
    deaths = 0
    bundle.preload.write_text("/a.so\n")
    bundle.share_mounts()
    while True:
        arguments = [str(KILLER), str(deaths), str(verdict), str(HOOK), *good["args"][1:]]
        bundle.hooks = [{"path": sys.executable, "args": ["python3", *arguments], "env": ["A=1"]}]
        ended = bundle.shell("echo started")
        if verdict.read_text() == "ended":
            assert ended.returncode == 0, ended.stderr
            break
        assert verdict.read_text() == "killed"
        assert ended.returncode != 0
        assert "started" not in ended.stdout
        assert bundle.left_on_the_node() == ""
        # What the image had is what the next attempt finds.
        assert bundle.preload.read_text() == "/a.so\n"
        deaths += 1
    assert deaths > 60  # entry and exit of each call
    bundle.hooks = [good]
    assert bundle.shown() == f"{LIBRARY}\n/a.so\n"
    assert list(bundle.marks.iterdir()) == []
