# SPDX-License-Identifier: Apache-2.0
"""A tenant may cut the region that accounts for it short. What it held then counts as memory
without an account, its processes are reported, and the host notices nothing else. All GPUs are
simulated."""

import json
import signal

from run_harness import TENANT, is_running, wait_until
from test_hidden import GIB, read_info

CUT = "for region in /etc/hami/shares/*/region; do : >$region; done"
# A process that holds 3 GiB, and a shell that does what it is told.
SCRIPT = f"""
mkfifo $1
{TENANT} alloc 3Gi say held wait alloc 2Gi say still_there <$1 &
echo $!
exec 3>$1
while read words; do
  case $words in
    cut) {CUT}; echo cut ;;
    go) echo >&3; wait $! ;;
    *) {TENANT} $words ;;
  esac
done
"""


def start(hami, tmp_path, *more):
    options = ("--gpumem", "4Gi", "-q", "--json", str(hami.state / "record"), *more)
    words = ("sh", "-c", SCRIPT, "sh", str(tmp_path / "fifo"))
    run = hami.start(*words, options=options)
    pid = int(run.line())
    while run.line() != "held":
        pass
    run.say("cut")
    assert run.line() == "cut"
    return run, pid


def read_report(run, words):
    line = ""
    while words not in line:
        line = run.process.stderr.readline()
        assert line, f"never said: {words}"
    return line


def test_the_limit_holds_and_nobody_dies(hami, tmp_path):
    run, pid = start(hami, tmp_path)
    assert "it goes past the library" in read_report(run, f"limits are not active for pid {pid} ")

    def looks():
        run.say("info")
        return read_info(run.line())

    seen = []
    wait_until(lambda: seen.append(looks()) or seen[-1]["free"] < GIB, "what was held counts again")
    run.say("go")
    assert run.line() == "alloc 2Gi CUDA_ERROR_OUT_OF_MEMORY"
    assert run.line() == "still_there"
    run.process.stdin.close()
    assert run.process.wait(timeout=60) == 0
    assert json.loads((hami.state / "record").read_text())["unlimited_processes"] >= 1
    hami.wait_for_whole_card()


def test_who_did_it_is_killed_if_asked(hami, tmp_path):
    run, pid = start(hami, tmp_path, "--on-escape", "kill")
    assert "it is killed" in read_report(run, f"limits are not active for pid {pid} ")
    wait_until(lambda: not is_running(pid), "the process is gone")
    assert run.process.poll() is None, "CMD did nothing"
    run.process.send_signal(signal.SIGTERM)
    run.process.wait(timeout=60)
    hami.wait_for_whole_card()


def test_a_neighbour_notices_nothing(hami, tmp_path):
    neighbour = hami.start(str(TENANT), "alloc", "2Gi", "wait", "alloc", "1Gi", "info")
    assert neighbour.line() == "alloc 2Gi CUDA_SUCCESS"
    run, pid = start(hami, tmp_path)
    read_report(run, f"limits are not active for pid {pid} ")
    neighbour.say("go")
    assert neighbour.line() == "alloc 1Gi CUDA_SUCCESS"
    assert read_info(neighbour.line())["free"] < GIB
    code, errors = neighbour.end()
    assert code == 0
    assert "not active" not in errors


# One that cuts without an end, until it is told to stop, beside a shell as above. In between it
# puts a whole region there, with a count in it that asks to be repaired.
CUTTER = f"""
for region in /etc/hami/shares/*/region; do cat $region >$1; done
printf '\\377\\177' | dd of=$1 bs=1 seek=2008896 conv=notrunc 2>/dev/null
(while :; do : >$region; cat $1 >$region; sleep 0.003; done) &
cutter=$!
echo cutting
while read words; do
  case $words in
    stop) kill $cutter; wait $cutter 2>/dev/null; echo stopped ;;
    *) {TENANT} $words 2>&1; echo "code $?" ;;
  esac
done
"""
SIGBUS_CODE = 128 + signal.SIGBUS


def answers_of(run, words):
    """What the tenant's program printed, and its exit code."""
    run.say(words)
    lines = []
    while not (line := run.line()).startswith("code "):
        assert line, "the shell has ended"
        lines.append(line)
    return lines, int(line.removeprefix("code "))


def test_who_cuts_without_an_end_harms_itself_alone(hami, tmp_path):
    neighbour = hami.start(
        *(str(TENANT), "alloc", "2Gi", "say", "ready", "wait"),
        *("spin", "500", "1", "alloc", "1Gi", "info", "wait"),
    )
    assert neighbour.line() == "alloc 2Gi CUDA_SUCCESS"
    assert neighbour.line() == "ready"
    words = ("sh", "-c", CUTTER, "sh", str(tmp_path / "whole"))
    run = hami.start(*words, options=("--gpumem", "4Gi", "-q"))
    assert run.line() == "cutting"
    neighbour.say("go")
    (cut,) = (name for name in hami.shares() if "cutter" in read_booking(hami, name))
    region = hami.state / "shares" / cut / "region"
    for _ in range(8):
        # A program of who cuts goes on, is refused, or is ended by the signal; it never hangs.
        lines, code = answers_of(run, "alloc 1Gi spin 100 0.05")
        assert code in (0, 1, SIGBUS_CODE), lines
        for verb in ("show", "check", *["repair"] * 6):
            looked = hami.call("region", verb, region)
            assert looked.returncode in (0, 1), looked.stderr
        top = hami.call("top", "--json")
        assert top.returncode == 0, top.stderr
        shown = {share["name"] for share in json.loads(top.stdout)["slices"]}
        assert len(shown) == 2
    assert run.process.poll() is None, "its agent lives"
    assert neighbour.line().startswith("spin us=500 ")
    assert neighbour.line() == "alloc 1Gi CUDA_SUCCESS"
    assert read_info(neighbour.line())["total"] == 4 * GIB
    neighbour.say("end")
    assert neighbour.end()[0] == 0

    run.say("stop")
    assert run.line() == "stopped"
    # The limit holds for the next program, from the first call on.
    lines, code = answers_of(run, "info alloc 5Gi alloc 3Gi alloc 1Gi")
    assert code == 0, lines
    assert read_info(lines[0])["total"] == 4 * GIB
    assert lines[1:] == [
        "alloc 5Gi CUDA_ERROR_OUT_OF_MEMORY",
        "alloc 3Gi CUDA_SUCCESS",
        "alloc 1Gi CUDA_ERROR_OUT_OF_MEMORY",
    ]
    run.process.stdin.close()
    assert run.process.wait(timeout=60) == 0
    hami.wait_for_whole_card()


def read_booking(hami, name):
    booking = json.loads((hami.state / "shares" / name / "booking").read_text())
    return " ".join(booking["command"])
