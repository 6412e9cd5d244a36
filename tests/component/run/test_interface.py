# SPDX-License-Identifier: Apache-2.0
"""What a person sees first, and limits through every way of starting a program that shells and
applications use. All GPUs are simulated."""

import os
import pathlib
import shlex
import signal
import subprocess

import pytest
from run_harness import BUILD, TENANT, is_running, wait_until

ASK = (str(TENANT), "info", "alloc", "5Gi", "alloc", "2Gi")
ANSWER = ["alloc 5Gi CUDA_ERROR_OUT_OF_MEMORY", "alloc 2Gi CUDA_SUCCESS"]
WAYS = {
    "exec": ("sh", "-c", 'exec "$@"', "sh", *ASK),
    "env -i sh": ("env", "-i", "/bin/sh", "-c", '"$@"', "sh", *ASK),
    "child of a child": ("sh", "-c", 'sh -c "$*"; :', "sh", shlex.join(ASK)),
    "setsid": ("setsid", "--wait", *ASK),
    "double fork": ("sh", "-c", '(setsid "$@" > "$OUT" 2>&1; echo done) & wait', "sh", *ASK),
    "cleared loader": ("env", "-u", "LD_LIBRARY_PATH", "LD_PRELOAD=", *ASK),
}


@pytest.mark.parametrize("way", WAYS)
def test_memory_limit_holds_however_a_program_is_started(anyone, way):
    words = WAYS[way]
    out = anyone.state / "out"
    result = anyone.run(*words, OUT=str(out))
    assert result.returncode == 0, result.stderr
    lines = (out.read_text() if way == "double fork" else result.stdout).splitlines()
    assert "total_mib=4096" in lines[0]
    assert lines[1:] == ANSWER


def test_memory_limit_holds_for_an_orphan(anyone):
    # The parent of the tenant ends before the tenant asks; CMD waits for its answer.
    script = '(("$@" > out.new; mv out.new out) &) & while ! test -e out; do sleep 0.05; done'
    result = anyone.run("sh", "-c", f"cd {anyone.state}; " + script, "sh", *ASK)
    assert result.returncode == 0, result.stderr
    assert (anyone.state / "out").read_text().splitlines()[1:] == ANSWER


def test_memory_is_limited_for_all_processes_together(hami):
    hold = f"{TENANT} alloc 3Gi wait"
    run = hami.start("sh", "-c", f"mkfifo {hami.state}/f; {hold} < {hami.state}/f & exec 3> "
                     f"{hami.state}/f; read _; {TENANT} alloc 2Gi; exec 3>&-; wait")
    assert run.line() == "alloc 3Gi CUDA_SUCCESS"
    run.say("go")
    assert run.line() == "alloc 2Gi CUDA_ERROR_OUT_OF_MEMORY"
    assert run.end()[0] == 0


@pytest.mark.parametrize("clear", [(), ("env", "-i")], ids=["environment", "env -i"])
def test_nvidia_smi_shows_the_slice(anyone, clear):
    program = str(BUILD / "bin" / "nvidia-smi")
    query = ("--query-gpu=memory.total", "--format=csv,noheader,nounits")
    result = anyone.run(*clear, program, *query)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "4096"
    table = anyone.run(*clear, program)
    assert "4096MiB" in table.stdout and "Simulated" in table.stdout


def test_nvidia_smi_is_on_the_path(hami):
    result = hami.run("nvidia-smi", "-L")
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 1


def test_two_halves_hold_their_own_limits_side_by_side(hami):
    half = ("--gpumem", "50%", "--gpucores", "50")
    script = f"echo ready; read _; {TENANT} info alloc 13Gi alloc 8Gi wait"
    runs = [hami.start("sh", "-c", script, options=half) for _ in range(2)]
    assert [run.line() for run in runs] == ["ready"] * 2
    refused = hami.run("true", options=("--gpumem", "1Gi", "--gpucores", "1"))
    assert refused.returncode == 4
    for run in runs:
        run.say("go")
    for run in runs:
        assert "total_mib=" in run.line()
        assert run.line() == "alloc 13Gi CUDA_ERROR_OUT_OF_MEMORY"
        assert run.line() == "alloc 8Gi CUDA_SUCCESS"
    for run in runs:
        run.say("end")
        assert run.end()[0] == 0
    hami.wait_for_whole_card()


@pytest.mark.parametrize(
    "words", ["--help", "-h", "help", "run --help", "run -h", "sim --help", "smi --help",
              "--version", "version"])
def test_help_and_version_print_and_succeed(hami, words):
    result = hami.call(*words.split())
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()
    assert result.stderr == ""


def test_help_fits_a_terminal(hami):
    for words in (("--help",), ("run", "--help")):
        wide = [line for line in hami.call(*words).stdout.splitlines() if len(line) > 80]
        assert wide == [], words


def test_smi_prints_on_simulated_gpus(hami):
    result = hami.run(BUILD / "bin" / "hami", "smi")
    assert result.returncode == 0, result.stderr
    assert "4096MiB" in result.stdout


def test_what_the_message_without_a_driver_says_works_literally(hami):
    path = f"{BUILD / 'bin'}:{os.environ['PATH']}"
    first = hami.call("run", "--gpumem", "1Gi", "--", "echo", "a  b", "it's", PATH=path)
    if first.returncode == 0:
        pytest.skip("this machine has a driver")
    assert first.returncode == 3
    commands = [line.strip() for line in first.stderr.splitlines() if line.startswith("  ")]
    assert len(commands) == 3, first.stderr

    def shell(script):
        return subprocess.run(
            ["sh", "-ec", script], env=hami.environment(PATH=path), cwd="/",
            capture_output=True, text=True, timeout=60)

    result = shell(commands[0])
    assert result.returncode == 0, result.stderr
    assert result.stdout == "a  b it's\n"
    assert hami.call("sim", "delete", "default", PATH=path).returncode == 0
    result = shell("\n".join([*commands[1:], "hami smi", "hami run --gpumem 1Gi -- echo in"]))
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("in\n")


def test_long_command_lines_do_not_stop_other_runs(hami):
    words = ["x" * 100_000] * 12  # more than 1 MiB
    run = hami.start("sh", "-c", "echo ready; read _; true", *words)
    assert run.line() == "ready"
    result = hami.run("true", options=("--gpumem", "1Gi"))
    assert result.returncode == 0, result.stderr
    assert hami.run("true", options=("--gpumem", "100%")).returncode == 4
    run.say("end")
    assert run.end()[0] == 0


@pytest.mark.parametrize("victim", ["hami", "supervisor", "command"])
def test_memory_of_a_killed_run_is_back_on_the_card(anyone, victim):
    mounts = pathlib.Path("/proc/self/mountinfo")
    preload = pathlib.Path("/etc/ld.so.preload")
    before = mounts.read_text(), preload.exists()
    # A tenant outside of CMD's session and of its parent's life holds the memory.
    fifo = f"{anyone.state}/never"
    tenant = f"{TENANT} alloc 3Gi wait < {fifo}"
    # The shell keeps the pipe open for writing, so that the tenant waits.
    script = (
        f"mkfifo {fifo}; (setsid sh -c 'echo daemon $$; exec {tenant}' &) ; exec 3> {fifo};"
        " echo command $$; exec sleep 1000"
    )
    run = anyone.start("sh", "-c", script)
    said = [run.line() for _ in range(3)]
    assert "alloc 3Gi CUDA_SUCCESS" in said
    pids = dict(line.split() for line in said if not line.startswith("alloc"))
    daemon, command = int(pids["daemon"]), int(pids["command"])
    assert is_running(daemon) and is_running(command)
    target = {"hami": run.pid, "supervisor": None, "command": command}[victim]
    os.kill(target or run.supervisor(), signal.SIGKILL)
    wait_until(lambda: not is_running(daemon) and not is_running(command), "the end of the tree")
    anyone.wait_for_whole_card()
    whole = anyone.run(str(TENANT), "alloc", "20Gi", options=("--gpumem", "100%"))
    assert whole.stdout == "alloc 20Gi CUDA_SUCCESS\n"
    assert (mounts.read_text(), preload.exists()) == before
