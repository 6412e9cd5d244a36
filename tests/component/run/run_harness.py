# SPDX-License-Identifier: Apache-2.0
"""Starting `hami run` and looking at what becomes of it. Programs come from $HAMI_BUILD, else from
build/ of the repository."""

import os
import pathlib
import signal
import subprocess
import tempfile
import time

BUILD = pathlib.Path(
    os.environ.get("HAMI_BUILD", pathlib.Path(__file__).resolve().parents[3] / "build")
).resolve()
HAMI = BUILD / "bin" / "hami"
TENANT = BUILD / "bin" / "tenant"
NOBODY = 65534
PATIENCE_S = 60  # never the subject of a test, only its end

# Runs what follows where an administrator has forbidden namespaces by their limits.
FORBID = (
    "unshare",
    "--user",
    "--map-root-user",
    "sh",
    "-c",
    "echo 0 > /proc/sys/user/max_user_namespaces && echo 0 > /proc/sys/user/max_mnt_namespaces"
    ' && exec "$@"',
    "sh",
)


# Who started the tests may ignore signals (a shell does so for what it runs in the background), and
# what is ignored stays so in children.
for ignored in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(ignored) == signal.SIG_IGN:
        signal.signal(ignored, signal.SIG_DFL)


def wait_until(condition, what):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {PATIENCE_S} s: {what}")


def stat_of(pid):
    """(state, parent) of a process, or None."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return fields[0], int(fields[1])


def is_running(pid):
    seen = stat_of(pid)
    return seen is not None and seen[0] not in "ZX"


def children_of(pid):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            seen = stat_of(int(name))
            if seen is not None and seen[1] == pid:
                found.append(int(name))
    return found


class Started:
    """A `hami run` in the background."""

    def __init__(self, process):
        self.process = process
        self.lines = []

    @property
    def pid(self):
        return self.process.pid

    def line(self):
        """The next line of CMD's output; "" at its end."""
        return self.process.stdout.readline().rstrip("\n")

    def supervisor(self):
        (pid,) = wait_until(lambda: children_of(self.pid), "a supervisor")
        return pid

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def end(self):
        """Waits; the exit code and what hami and CMD said on standard error."""
        _, errors = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, errors


class Hami:
    def __init__(self, state, uid=None):
        self.state = pathlib.Path(state)
        self.uid = uid
        self.started = []

    def environment(self, **more):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HAMI_", "LD_"))}
        return {**kept, "HAMI_STATE_DIR": str(self.state), **more}

    def words(self, *arguments):
        words = [str(HAMI), *map(str, arguments)]
        if self.uid is not None:
            who = [f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"]
            words = ["setpriv", *who, *words]
        return words

    def call(self, *arguments, wrap=(), cwd=None, **environment):
        return subprocess.run(
            [*wrap, *self.words(*arguments)],
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            cwd=cwd or "/",
        )

    def run(self, *command, options=("--gpumem", "4Gi"), **more):
        return self.call("run", "--sim", *options, "--", *command, **more)

    def start(self, *command, options=("--gpumem", "4Gi"), wrap=(), **more):
        process = subprocess.Popen(
            [*wrap, *self.words("run", "--sim", *options, "--", *command)],
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            **more,
        )
        self.started.append(Started(process))
        return self.started[-1]

    def hold(self, *options):
        """A run that holds its slice until it is told to end (say)."""
        started = self.start("sh", "-c", "echo ready; read _; true", options=options)
        assert started.line() == "ready"
        return started

    def shares(self):
        return sorted(p.name for p in (self.state / "shares").iterdir())

    def wait_for_whole_card(self):
        """Everything is given back: a slice of the whole GPU fits."""

        def fits():
            result = self.run("true", options=("--gpumem", "100%", "--gpucores", "100"))
            assert result.returncode in (0, 4), result.stderr
            return result.returncode == 0

        wait_until(fits, "the whole GPU is free")
        assert self.shares() == []

    def close(self):
        for started in self.started:
            if started.process.poll() is None:
                started.process.kill()
            for stream in (started.process.stdin, started.process.stdout, started.process.stderr):
                stream.close()
            started.process.wait()


def make_state(uid=None):
    folder = tempfile.mkdtemp(prefix="hami-run-")
    if uid is not None:
        os.chown(folder, uid, uid)
    os.chmod(folder, 0o755)
    return folder
