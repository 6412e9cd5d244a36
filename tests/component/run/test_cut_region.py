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
exec 3>$1
echo $!
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
