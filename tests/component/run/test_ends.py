# SPDX-License-Identifier: Apache-2.0
"""How a run ends: exit codes, signals, deaths of every process in it. All GPUs are simulated."""

import json
import os
import signal

import pytest
from run_harness import is_running, stat_of, wait_until

# What leftovers are given between SIGTERM and SIGKILL (src/ctl/end_tree.h).
GRACE_MS = 5000

# Says which signals came, and how often, until a line comes on standard input.
COUNTER = """
import signal, sys, threading
counts = {}
def count(number, frame):
    name = signal.Signals(number).name
    counts[name] = counts.get(name, 0) + 1
    print(name, counts[name], flush=True)
for name in ("TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "WINCH"):
    signal.signal(getattr(signal, "SIG" + name), count)
print("ready", flush=True)
for line in sys.stdin:
    if line == "end\\n":
        break
    print("said", line.strip(), flush=True)
print("total", sum(counts.values()), flush=True)
"""

# A grandchild outside of the session and of its parent's life; prints its PID.
DAEMON = "setsid sh -c '(trap \"\" HUP {trap}; sleep 1000 & echo daemon $!; wait) & ' ; "


def daemon_script(then, trap=""):
    return DAEMON.format(trap=trap) + then


def read_pids(run, *names):
    """PIDs in the order of `names`, of lines "NAME PID" that come in any order."""
    pids = dict(run.line().split() for _ in names)
    found = [int(pids[name]) for name in names]
    assert all(is_running(pid) for pid in found)
    return found


def wait_for_end(pid):
    wait_until(lambda: not is_running(pid), f"the end of {pid}")


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 7, 126, 255])
def test_exit_code_is_that_of_cmd(hami, code):
    assert hami.run("sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV", "INT", "HUP", "ABRT", "PIPE"])
def test_exit_code_of_a_signal_is_128_and_its_number(anyone, name):
    number = getattr(signal, "SIG" + name)
    assert anyone.run("sh", "-c", f"ulimit -c 0; kill -{name} $$").returncode == 128 + number


def test_command_that_does_not_exist_is_127(anyone):
    result = anyone.run("no-such-program")
    assert result.returncode == 127
    assert "no-such-program" in result.stderr
    assert anyone.run("/no/such/program").returncode == 127


def test_command_that_cannot_be_executed_is_126(anyone, tmp_path):
    assert anyone.run("/etc/passwd").returncode == 126
    assert anyone.run("/etc").returncode == 126


def test_file_that_is_no_program_is_126_and_leaves_nothing(hami, tmp_path):
    path = tmp_path / "garbage"
    path.write_bytes(b"\0not a program")
    path.chmod(0o755)
    assert hami.run(str(path)).returncode == 126
    assert hami.shares() == []


def test_output_and_input_are_cmds(hami):
    run = hami.start("cat")
    run.say("a line")
    assert run.line() == "a line"
    run.process.stdin.close()
    assert run.line() == ""
    run.process.wait(timeout=60)
    assert run.process.returncode == 0


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "WINCH"])
@pytest.mark.parametrize("whom", ["hami", "group"])
def test_signals_reach_cmd_once(hami, python, name, whom):
    run = hami.start(python, "-c", COUNTER, start_new_session=True)
    assert run.line() == "ready"
    number = getattr(signal, "SIG" + name)
    if whom == "hami":
        os.kill(run.pid, number)
    else:
        os.killpg(run.pid, number)
    assert run.line() == f"SIG{name} 1"
    # What was sent twice would arrive before this answer: hami's copy is passed on before it can
    # have read the next signal, USR2 to hami alone.
    if name != "USR2":
        os.kill(run.pid, signal.SIGUSR2)
        assert run.line() == "SIGUSR2 1"
    run.say("end")
    assert run.line() == ("total 1" if name == "USR2" else "total 2")
    assert run.end()[0] == 0


def test_signal_that_cmd_does_not_catch_ends_it(hami):
    run = hami.start("sh", "-c", "echo ready; exec sleep 1000")
    assert run.line() == "ready"
    os.kill(run.pid, signal.SIGTERM)
    assert run.end()[0] == 128 + signal.SIGTERM
    assert hami.shares() == []


def test_ignored_signals_stay_ignored(hami):
    script = "echo ready; kill -HUP $$; echo alive"
    run = hami.start("sh", "-c", script, wrap=("nohup",))
    assert [run.line(), run.line()] == ["ready", "alive"]
    assert run.end()[0] == 0


def test_signal_mask_of_cmd_is_the_callers(hami):
    with open("/proc/self/status") as file:
        ours = [line for line in file if line.startswith("SigBlk")]
    result = hami.run("grep", "SigBlk", "/proc/self/status")
    assert [result.stdout] == ours


def test_stop_and_continue(hami, python):
    # A group of our session, as a shell makes it: the kernel does not stop orphaned groups.
    run = hami.start(python, "-c", COUNTER, process_group=0)
    assert run.line() == "ready"
    os.kill(run.pid, signal.SIGTSTP)
    wait_until(lambda: stat_of(run.pid)[0] == "T", "hami is stopped, for the shell to see")
    run.say("while stopped")
    os.kill(run.pid, signal.SIGCONT)
    assert run.line() == "said while stopped"
    assert stat_of(run.pid)[0] != "T"
    run.say("end")
    assert run.line() == "total 0"
    assert run.end()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT], ids=["kill", "abort"])
def test_hami_killed_ends_the_whole_tree(anyone, number):
    run = anyone.start("sh", "-c", daemon_script("echo command $$; exec sleep 1000"))
    daemon, command = read_pids(run, "daemon", "command")
    os.kill(run.pid, number)
    wait_for_end(command)
    wait_for_end(daemon)
    anyone.wait_for_whole_card()


def test_hami_killed_ends_processes_that_ignore_sigterm(hami):
    run = hami.start("sh", "-c", 'trap "" TERM; echo command $$; while :; do sleep 1; done')
    (command,) = read_pids(run, "command")
    os.kill(run.pid, signal.SIGKILL)
    refused = hami.run("true", options=("--gpumem", "100%"))
    assert refused.returncode == 4, "the slice was free before its last process was gone"
    wait_for_end(command)
    hami.wait_for_whole_card()


def test_supervisor_killed_ends_the_whole_tree(anyone):
    run = anyone.start("sh", "-c", daemon_script("echo command $$; exec sleep 1000"))
    daemon, command = read_pids(run, "daemon", "command")
    os.kill(run.supervisor(), signal.SIGKILL)
    code, errors = run.end()
    assert code == 1
    assert "supervisor" in errors
    assert not is_running(command) and not is_running(daemon)
    assert anyone.shares() == []


def test_hami_and_supervisor_killed_at_once_end_cmd(hami):
    run = hami.start("sh", "-c", "echo command $$; exec sleep 1000")
    (command,) = read_pids(run, "command")
    supervisor = run.supervisor()
    os.kill(run.pid, signal.SIGSTOP)
    os.kill(supervisor, signal.SIGKILL)
    os.kill(run.pid, signal.SIGKILL)
    wait_for_end(command)
    hami.wait_for_whole_card()


def test_cmd_killed_ends_what_it_left(anyone):
    run = anyone.start("sh", "-c", daemon_script("echo command $$; exec sleep 1000"))
    daemon, command = read_pids(run, "daemon", "command")
    os.kill(command, signal.SIGKILL)
    assert run.end()[0] == 128 + signal.SIGKILL
    assert not is_running(daemon)
    assert anyone.shares() == []


def test_run_ends_with_cmd_and_leftovers_get_sigterm(hami):
    leftover = "(trap 'echo got TERM; exit' TERM; echo ready; while :; do sleep 0.05; done) &"
    script = leftover + " read _; exit 5"
    run = hami.start("sh", "-c", script)
    assert run.line() == "ready"
    run.say("end")
    assert run.line() == "got TERM"
    assert run.end()[0] == 5
    assert hami.shares() == []


def test_leftovers_that_ignore_sigterm_are_killed(hami):
    run = hami.start("sh", "-c", daemon_script("read _; exit 5", trap="TERM"))
    (pid,) = read_pids(run, "daemon")
    run.say("end")
    assert run.end()[0] == 5
    assert not is_running(pid)
    assert hami.shares() == []


def test_second_request_to_end_kills_leftovers_at_once(hami, tmp_path):
    # The daemon must have its trap before CMD ends.
    script = daemon_script("echo command $$; read _; exit 5", trap="TERM")
    record = tmp_path / "record.json"
    run = hami.start("sh", "-c", script, options=("--gpumem", "1Gi", "--json", str(record)))
    daemon, command = read_pids(run, "daemon", "command")
    run.say("end")
    wait_for_end(command)
    while is_running(daemon):
        run.process.send_signal(signal.SIGINT)
    assert run.end()[0] == 5
    assert hami.shares() == []
    # Without the second request the run lasts at least the time of grace.
    assert json.loads(record.read_text())["duration_ms"] < GRACE_MS


def test_fork_storm_is_ended(hami):
    child = "(trap '' TERM; sleep 1000) &"
    script = f"i=0; while [ $i -lt 200 ]; do {child} i=$((i+1)); done; echo up; wait"
    run = hami.start("sh", "-c", script)
    assert run.line() == "up"
    os.kill(run.pid, signal.SIGKILL)
    hami.wait_for_whole_card()
