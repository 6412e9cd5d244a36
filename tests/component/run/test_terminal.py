# SPDX-License-Identifier: Apache-2.0
"""`hami run` at a terminal: its keys reach CMD once, and a shell's job control works. All GPUs are
simulated."""

import os
import pty
import select
import signal
import sys
import time

import pytest
from run_harness import PATIENCE_S
from test_ends import COUNTER


class Terminal:
    """A program on a terminal of its own, in the foreground."""

    def __init__(self, words, environment):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(words[0], words, environment)

    def type(self, text):
        os.write(self.fd, text.encode())

    def read_until(self, part, times=1):
        """Everything since the last call, up to the `times`th occurrence of `part`."""
        end = time.monotonic() + PATIENCE_S
        while self.text.count(part) < times:
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, f"{part!r} does not come; so far: {self.text!r}"
            self.text += os.read(self.fd, 65536).decode(errors="replace")
        cut = 0
        for _ in range(times):
            cut = self.text.index(part, cut) + len(part)
        seen, self.text = self.text[:cut], self.text[cut:]
        return seen

    def exit_code(self):
        _, status = os.waitpid(self.pid, 0)
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    def close(self):
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def terminal():
    made = []

    def make(words, environment):
        made.append(Terminal(words, environment))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("key, name", [("\x03", "SIGINT"), ("\x1c", "SIGQUIT")])
def test_keys_reach_cmd_once(hami, terminal, key, name):
    words = hami.words("run", "--sim", "--gpumem", "1Gi", "--", sys.executable, "-c", COUNTER)
    shown = terminal(words, hami.environment())
    shown.read_until("ready")
    for count in range(1, 6):
        shown.type(key)
        shown.read_until(f"{name} {count}")
    shown.type("end\n")
    shown.read_until("total ")
    assert shown.read_until("\n") == "5\r\n"
    assert shown.exit_code() == 0


# Says what it reads, and when it is continued: before that a shell is still changing the terminal,
# and what is typed can be lost.
JOB = """
import signal, sys
signal.signal(signal.SIGCONT, lambda number, frame: print("continued", flush=True))
print("ready", flush=True)
for line in sys.stdin:
    print("read", line.strip(), flush=True)
"""


def test_job_control(hami, terminal, tmp_path):
    (tmp_path / "job.py").write_text(JOB)
    shell = terminal(
        ["bash", "--norc", "--noprofile", "-i"], {**hami.environment(), "PS1": "prompt> "}
    )
    shell.read_until("prompt> ")
    job = (sys.executable, str(tmp_path / "job.py"))
    shell.type(" ".join(hami.words("run", "--sim", "--gpumem", "1Gi", "-q", "--", *job)) + "\n")
    shell.read_until("ready")
    shell.type("before\n")
    shell.read_until("read before")
    for _ in range(3):
        shell.type("\x1a")
        assert "Stopped" in shell.read_until("prompt> ")
        shell.type("fg\n")
        shell.read_until("continued")
        shell.type("after\n")
        shell.read_until("read after")
    shell.type("\x04")
    shell.read_until("prompt> ")
    shell.type("exit $?\n")
    assert shell.exit_code() == 0
    assert hami.shares() == []
