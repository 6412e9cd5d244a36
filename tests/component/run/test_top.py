# SPDX-License-Identifier: Apache-2.0
"""`hami top` over runs that go on, once and at a terminal. All GPUs are simulated."""

import fcntl
import json
import os
import random
import shutil
import signal
import struct
import termios

import pytest
from run_harness import HAMI, NOBODY, TENANT, Hami, children_of, wait_until
from test_terminal import terminal  # noqa: F401 (a fixture)

MIB = 1 << 20
SCREEN = "\x1b[?1049h"
NO_SCREEN = "\x1b[?1049l"


def look(hami, *options):
    result = hami.call("top", "--json", *options)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def start(hami, name, *actions, options=()):
    """A run that has done its actions and waits."""
    run = hami.start(TENANT, *actions, "say", "ready", "wait",
                     options=("--name", name, "--gpumem", "2Gi", *options))
    while run.line() != "ready":
        pass
    return run


def test_what_a_slice_holds_was_refused_and_slept(hami):
    run = start(hami, "train", "prepare", "alloc", "512Mi", "alloc", "8Gi", "spin", "1000", "0.5",
                options=("--gpucores", "30"))
    report = look(hami, "-d", "0.1")
    assert report["notes"] == [] and report["interval_ms"] >= 100
    [device], [train] = report["devices"], report["slices"]
    assert device["index"] == 0 and device["used_bytes"] >= 512 * MIB
    assert (device["granted_bytes"], device["granted_cores_pct"], device["slices"]) == (
        2048 * MIB, 30, 1)
    assert "A10" in report["simulation"]
    assert train["name"] == "train" and train["kind"] == "run" and train["rung"] == "preload"
    assert train["simulated"] and train["cores_enforced"] and not train["launches_held"]
    assert train["device_uuid"] == device["uuid"]
    assert (train["memory_limit_bytes"], train["cores_limit_pct"]) == (2048 * MIB, 30)
    assert 512 * MIB <= train["used_bytes"] <= 2048 * MIB
    assert train["refused"] == 1
    assert train["throttled_ns"] > 0 and train["gpu_ns"] > 0
    [process] = train["processes"]
    assert process["alive"] is True and "tenant" in process["command"]
    assert 512 * MIB <= process["used_bytes"] <= train["used_bytes"]

    shown = hami.call("top", "--once", "-d", "0")
    assert shown.returncode == 0 and shown.stderr == ""
    assert "1 device, 1 slice, 1 process" in shown.stdout
    assert "simulated, no real GPU" in shown.stdout
    assert " 30%" in shown.stdout and str(process["host_pid"]) in shown.stdout
    # Where nothing can be drawn it is the same, without being asked.
    assert "1 device, 1 slice" in hami.call("top", "-d", "0.1").stdout
    assert "PID" not in hami.call("top", "-1", "-d", "0", "--no-processes").stdout
    run.say("")
    assert run.end()[0] == 0
    after = look(hami)
    assert after["slices"] == [] and after["interval_ms"] is None
    assert "No slice is in use" in hami.call("top").stdout


def test_what_happens_now(hami):
    for name, cores in (("limited", ("--gpucores", "20")), ("free", ())):
        hami.start(TENANT, "prepare", "say", "ready", "spin", "1000", "600",
                   options=("--name", name, "--gpumem", "1Gi", *cores))
    for run in hami.started:
        assert run.line() == "ready"

    def seen():
        slices = {s["name"]: s for s in look(hami, "-d", "0.5")["slices"]}
        limited, free = slices["limited"], slices["free"]
        good = (limited["compute_pct"] or 0) > 0 and (limited["throttled_pct"] or 0) > 0
        return good and (free["compute_pct"] or 0) > 0 and (limited, free)

    limited, free = wait_until(seen, "compute of both")
    # Who has a limit is counted by its region, who has none by the driver.
    assert (limited["compute_source"], free["compute_source"]) == ("region", "driver")
    assert free["throttled_ns"] == 0


def test_in_a_slice(hami):
    """A tenant may look at what it has itself."""
    run = hami.start("sh", "-c", f"{TENANT} alloc 100Mi prepare say ready spin 1000 600 & read _;"
                     f" exec {HAMI} top --json -d 0", options=("--name", "mine", "--gpumem", "1Gi"))
    assert run.line() == "alloc 100Mi CUDA_SUCCESS" and run.line() == "ready"

    def tenants(report):
        [mine] = report["slices"]
        return [p["host_pid"] for p in mine["processes"] if "tenant" in p["command"]]

    outside = tenants(look(hami, "-d", "0"))
    run.say("")
    report = json.loads(run.line())
    assert report["slices"][0]["name"] == "mine"
    assert [d["slices"] for d in report["devices"]] == [1]
    assert tenants(report) == outside and len(outside) == 1
    assert run.end()[0] == 0


def test_sorts_and_filters(hami):
    small = start(hami, "a-small", "alloc", "100Mi")
    large = start(hami, "b-large", "alloc", "1Gi")

    def names(*options):
        return [s["name"] for s in look(hami, "-d", "0", *options)["slices"]]

    assert names() == names("--sort", "name") == ["a-small", "b-large"]
    assert names("--sort", "memory") == names("-s", "name", "-r") == ["b-large", "a-small"]
    assert names("--filter", "LARGE") == names("-f", "slice=b", "-f", "gpu=0") == ["b-large"]
    assert names("-f", "gpu=7") == names("-f", "kind=claim") == []
    pid = look(hami, "-f", "slice=small")["slices"][0]["processes"][0]["host_pid"]
    assert names("-f", f"pid={pid}") == ["a-small"]
    share = hami.state / "shares" / "b-large"
    assert names(share) == names(share / "region") == ["b-large"]
    assert names(share.parent) == ["a-small", "b-large"]
    for run in (small, large):
        run.say("")
        run.end()


@pytest.mark.parametrize("options, says", [
    (("--sort", "colour"), "--sort takes gpu, name, memory"),
    (("--filter", "colour=red"), 'not "colour=red"'),
    (("--interval", "soon"), "seconds from 0.1 to 3600"),
    (("--interval", "0"), "--once"),
    (("--nope",), "--nope"),
])
def test_wrong_usage(hami, options, says):
    result = hami.call("top", *options)
    assert result.returncode == 2 and result.stdout == ""
    assert says in result.stderr and "hami top --help" in result.stderr


def test_help(hami):
    result = hami.call("top", "--help")
    assert result.returncode == 0
    assert "examples:" in result.stdout and "exit codes:" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "hami top" in result.stdout and "  top  " in hami.call("--help").stdout


def test_garbage_breaks_nothing(hami):
    run = start(hami, "good", "alloc", "100Mi")
    good = hami.state / "shares" / "good"
    whole = (good / "region").read_bytes()
    noise = random.Random(1)

    def add(name, region):
        folder = hami.state / "shares" / name
        folder.mkdir()
        shutil.copy(good / "limits", folder / "limits")
        (folder / "region").write_bytes(region)

    add("empty", b"")
    add("noise", noise.randbytes(len(whole)))
    add("cut", whole[: len(whole) // 2])
    # A region by its header, and a stranger's word behind that.
    add("liar\x1b[2J\x07", whole[:56] + b"\x10" + bytes(7) + noise.randbytes(len(whole) - 64))
    add("extended", whole[:2011152] + noise.randbytes(len(whole) - 2011152))
    (hami.state / "shares" / "fifo").mkdir()
    os.mkfifo(hami.state / "shares" / "fifo" / "region")
    (hami.state / "shares" / "noise" / "booking").write_text('{"version": "\x1b')

    shown = hami.call("top", "--once", "-d", "0.1")
    assert shown.returncode == 0
    assert all(c == "\n" or " " <= c <= "~" for c in shown.stdout)
    report = look(hami, "-d", "0.1")
    slices = {s["name"]: s for s in report["slices"]}
    assert set(slices) == {"good", "empty", "noise", "cut", "liar?[2J?", "extended"}
    assert slices["good"]["problem"] == "" and slices["good"]["used_bytes"] >= 100 * MIB
    for name in ("empty", "noise"):
        assert slices[name]["used_bytes"] is None
        assert "no region" in slices[name]["problem"]
    assert all(s["memory_limit_bytes"] == 2048 * MIB for s in slices.values())
    assert len(report["notes"]) >= 2
    # Whoever asks for one of them by its path is told.
    asked = hami.call("top", "--once", "-d", "0", hami.state / "shares" / "noise")
    assert asked.returncode == 1 and "no region" in asked.stdout
    missing = hami.call("top", "--once", "-d", "0", hami.state / "none")
    assert missing.returncode == 1 and "No such file" in missing.stdout
    run.say("")
    assert run.end()[0] == 0


# Folders of a node as the DRA driver and HAMi's device plugin make them, in namespaces of our own.
NODE = """
set -e
mount -t tmpfs none /run && mount -t tmpfs none /var/lib && mount -t tmpfs none /usr/local
for slice in uid-1/0 uid-1/1 uid-2/0; do
  mkdir -p /run/hami/claims/$slice
  cp "$SHARE/limits" "$SHARE/region" /run/hami/claims/$slice
done
records=/var/lib/kubelet/plugins/hami-core-gpu.project-hami.io/claims
mkdir -p $records
printf 'hami-claim 1 0\n{"namespace": "team-a", "name": "gpu"}\n' > $records/uid-1.json
mkdir -p /usr/local/vgpu/containers/1234-5678_main
head -c 2008953 "$SHARE/region" > /usr/local/vgpu/containers/1234-5678_main/x.cache
exec "$@"
"""


def test_containers_of_a_node(hami):
    if os.geteuid() != 0:
        pytest.skip("needs root, for folders of a node")
    run = start(hami, "train", "alloc", "100Mi")
    node = ("unshare", "--mount", "sh", "-c", NODE, "sh")
    shown = hami.call("top", "--json", "-d", "0", wrap=node,
                      SHARE=str(hami.state / "shares" / "train"))
    assert shown.returncode == 0, shown.stderr
    slices = {s["name"]: s for s in json.loads(shown.stdout)["slices"]}
    kinds = {name: s["kind"] for name, s in slices.items()}
    assert kinds == {"train": "run", "team-a/gpu:0": "claim", "team-a/gpu:1": "claim",
                     "uid-2": "claim", "main (1234-5678)": "container"}
    # Copies have the figures, and no process of their own.
    assert slices["uid-2"]["used_bytes"] == slices["train"]["used_bytes"] >= 100 * MIB
    assert [p["alive"] for p in slices["uid-2"]["processes"]] == [False]
    # HAMi's own library counts no time, and nobody can tell who lives.
    foreign = slices["main (1234-5678)"]
    assert foreign["refused"] is None and foreign["memory_limit_bytes"] == 2048 * MIB
    assert [p["alive"] for p in foreign["processes"]] == [None]
    run.say("")
    assert run.end()[0] == 0


def test_needs_only_the_right_to_read(hami, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root, to be nobody for once")
    nobody = Hami(hami.state, NOBODY)
    if nobody.call("--version").returncode != 0:
        pytest.skip("nobody may not execute hami")
    run = start(hami, "train", "alloc", "100Mi")
    share = hami.state / "shares" / "train"
    copy = hami.state / "copy"
    copy.mkdir()
    for name in ("limits", "region"):
        shutil.copy(share / name, copy / name)
        (copy / name).chmod(0o444)
    read = nobody.call("top", "--json", "-d", "0", copy)
    assert read.returncode == 0, read.stdout
    assert json.loads(read.stdout)["slices"][0]["used_bytes"] >= 100 * MIB
    # It says what it may not read, and shows the rest.
    refused = nobody.call("top", "--once", "-d", "0")
    assert refused.returncode == 0
    assert "Permission denied" in refused.stdout and "who may read it" in refused.stdout
    run.say("")
    assert run.end()[0] == 0


def at(terminal, hami, *options, size=(24, 100)):  # noqa: F811
    """`hami top` in a shell that tells the terminal's settings before and after."""
    words = " ".join(hami.words("top", "-d", "0.2", *options))
    script = f"trap : INT; stty rows {size[0]} cols {size[1]}; stty -g; {words};" \
             " echo code $?; stty -g; echo end"
    shown = terminal(["sh", "-c", script], {**hami.environment(), "TERM": "xterm"})
    shown.before = shown.read_until(SCREEN).split("\x1b")[0].split()[-1]
    return shown


def end_of(shown, code):
    """The terminal is as it was."""
    assert NO_SCREEN in shown.read_until(f"code {code}\r\n")
    assert shown.read_until("end").split()[0] == shown.before
    assert shown.exit_code() == 0


def test_live(hami, terminal):  # noqa: F811
    run = start(hami, "train", "alloc", "512Mi", options=("--gpucores", "30"))
    shown = at(terminal, hami)
    shown.read_until("hami top: 1 device, 1 slice, 1 process")
    shown.read_until("q quit")
    # A run that comes appears by itself.
    other = start(hami, "web", "alloc", "100Mi")
    shown.read_until("2 slices, 2 processes")
    shown.type("m")
    shown.read_until("; by memory")
    shown.type("/sl")
    shown.read_until("filter: sl_")
    shown.type("ice=web\r")
    shown.read_until("1 slice, 1 process; by memory; filter slice=web")
    shown.type("\\")
    shown.read_until("2 slices, 2 processes; by memory")
    shown.type("h")
    shown.read_until("any key    back")
    shown.type("h")
    shown.read_until("2 slices")
    # A smaller window is drawn at once.
    fcntl.ioctl(shown.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 5, 40, 0, 0))
    shown.read_until("1-4 of ")
    shown.type("\x1b[B")
    shown.read_until("2-5 of ")
    shown.type("q")
    end_of(shown, 0)
    for one in (run, other):
        one.say("")
        one.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_signals_leave_the_terminal_as_it_was(hami, terminal, number):  # noqa: F811
    shown = at(terminal, hami)
    shown.read_until("No slice is in use")
    if number == signal.SIGINT:
        shown.type("\x03")
    else:
        (pid,) = children_of(shown.pid)
        os.kill(pid, number)
    end_of(shown, 128 + number)


def test_stops_and_goes_on(hami, terminal):  # noqa: F811
    shell = terminal(["bash", "--norc", "--noprofile", "-i"],
                     {**hami.environment(), "PS1": "prompt> ", "TERM": "xterm"})
    shell.read_until("prompt> ")
    shell.type(" ".join(hami.words("top", "-d", "0.2")) + "\n")
    shell.read_until("No slice is in use")
    shell.type("\x1a")
    shell.read_until(NO_SCREEN)
    assert "Stopped" in shell.read_until("prompt> ")
    shell.type("fg\n")
    shell.read_until(SCREEN)
    shell.read_until("No slice is in use")
    shell.type("q")
    shell.read_until("prompt> ")
    shell.type("exit $?\n")
    assert shell.exit_code() == 0


def test_a_terminal_that_cannot_be_drawn_on(hami, terminal):  # noqa: F811
    shown = terminal(hami.words("top", "-d", "0.1"), {**hami.environment(), "TERM": "dumb"})
    assert SCREEN not in shown.read_until("No slice is in use")
    assert shown.exit_code() == 0
