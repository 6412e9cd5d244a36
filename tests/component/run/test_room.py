# SPDX-License-Identifier: Apache-2.0
"""Booking: what fits is granted, what does not is refused with reasons, and nothing stays behind.
All GPUs here are simulated (one A10)."""

import os
import random
import signal
import subprocess
import time

import pytest
from run_harness import FORBID, HAMI, TENANT


def test_second_run_that_does_not_fit_is_refused_with_reasons(anyone):
    first = anyone.hold("--gpumem", "20Gi", "--gpucores", "60", "--name", "first")
    refused = anyone.run("echo", "started", options=("--gpumem", "8Gi"))
    assert refused.returncode == 4
    assert refused.stdout == ""
    for part in ("no room for 8Gi", "first", f"pid {first.pid}", "20Gi", "60 %", "sh -c"):
        assert part in refused.stderr
    assert anyone.shares() == ["first"]
    first.say("end")
    assert first.end()[0] == 0
    assert anyone.run("true", options=("--gpumem", "8Gi")).returncode == 0


def test_compute_is_booked_too(hami):
    first = hami.hold("--gpumem", "1Gi", "--gpucores", "60")
    assert hami.run("true", options=("--gpumem", "1Gi", "--gpucores", "41")).returncode == 4
    assert hami.run("true", options=("--gpumem", "1Gi", "--gpucores", "40")).returncode == 0
    assert hami.run("true", options=("--gpumem", "1Gi")).returncode == 0
    first.say("end")
    assert first.end()[0] == 0


def test_two_halves_fit_on_one_card(hami):
    first = hami.hold("--gpumem", "50%", "--gpucores", "50")
    second = hami.hold("--gpumem", "50%", "--gpucores", "50")
    assert hami.run("true", options=("--gpumem", "1Mi")).returncode == 4
    for held in (first, second):
        held.say("end")
        assert held.end()[0] == 0
    hami.wait_for_whole_card()


def test_memory_that_a_tenant_uses_is_not_counted_twice(hami):
    first = hami.start(str(TENANT), "alloc", "9Gi", "wait", options=("--gpumem", "10Gi"))
    assert first.line() == "alloc 9Gi CUDA_SUCCESS"
    assert hami.run("true", options=("--gpumem", "12Gi")).returncode == 0
    first.say("end")
    assert first.end()[0] == 0


def test_memory_of_processes_outside_is_not_given_away(hami):
    assert hami.call("sim", "create").returncode == 0
    lib = hami.state / "sim" / "default" / "lib"
    process = subprocess.Popen(
        [str(TENANT), "alloc", "15Gi", "wait"],
        env=hami.environment(LD_LIBRARY_PATH=str(lib)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "alloc 15Gi CUDA_SUCCESS\n"
        refused = hami.run("true", options=("--gpumem", "12Gi"))
        assert refused.returncode == 4
        assert "processes outside hami" in refused.stderr
        assert hami.run("true", options=("--gpumem", "5Gi")).returncode == 0
    finally:
        process.communicate("end\n", timeout=60)


BROKEN = [
    ("--gpumem", "-1Gi"),
    ("--gpumem=-1Gi",),
    ("--gpumem", "10Gib"),
    ("--gpumem", ""),
    ("--gpumem", "0"),
    ("--gpumem", "lots"),
    ("--gpumem", "101%"),
    ("--gpumem", "500Gi"),
    ("--gpumem", "99999999999999999999Gi"),
    ("--gpucores", "50"),
    ("--gpumem", "1Gi", "--gpucores", "101"),
    ("--gpumem", "1Gi", "--gpucores=-5"),
    ("--gpumem", "1Gi", "--gpucores", "half"),
    ("--gpumem", "1Gi", "--gpucores", ""),
    ("--gpumem", "1Gi", "--gpu", "7"),
    ("--gpumem", "1Gi", "--gpu", "GPU-no-such"),
    ("--gpumem", "1Gi", "--policy", "sometimes"),
    ("--gpumem", "1Gi", "--name", "../up"),
    ("--gpumem", "1Gi", "--name", ""),
    ("--gpumem", "1Gi", "--on-escape", "shout"),
    ("--gpumem", "1Gi", "--no-such-option"),
]


@pytest.mark.parametrize("options", BROKEN, ids=" ".join)
def test_broken_limits_start_nothing_and_leave_nothing(hami, options):
    result = hami.run("echo", "started", options=options)
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("hami: ")
    shares = hami.state / "shares"
    assert not shares.exists() or hami.shares() == []


def test_wrong_unit_is_explained(hami):
    assert "use Gi or GiB" in hami.run("true", options=("--gpumem", "10Gib")).stderr


def test_run_without_a_command_is_wrong_usage(hami):
    result = hami.call("run", "--sim", "--gpumem", "1Gi")
    assert result.returncode == 2
    assert "command" in result.stderr


def test_no_driver_has_its_own_exit_code_and_says_what_to_try(hami):
    result = hami.call("run", "--gpumem", "1Gi", "--", "echo", "a b")
    if result.returncode == 0:
        pytest.skip("this machine has a driver")
    assert result.returncode == 3
    assert "hami run --sim --gpumem 1Gi -- echo 'a b'" in result.stderr
    assert "hami sim create" in result.stderr
    assert not (hami.state / "sim").exists() or not any((hami.state / "sim").iterdir())


def test_simulation_is_made_once_and_announced(hami):
    first = hami.run("true")
    assert first.returncode == 0
    assert "made simulation default" in first.stderr
    assert "the GPU is simulated" in first.stderr
    second = hami.run("true")
    assert "made simulation" not in second.stderr
    assert "the GPU is simulated" in second.stderr


def test_unknown_simulation_is_refused(hami):
    result = hami.call("run", "--sim=nosuch", "--gpumem", "1Gi", "--", "true")
    assert result.returncode != 0
    assert "nosuch" in result.stderr


def test_name_is_taken(hami):
    first = hami.hold("--gpumem", "1Gi", "--name", "web")
    result = hami.run("true", options=("--gpumem", "1Gi", "--name", "web"))
    assert result.returncode == 1
    assert '"web" is running' in result.stderr
    first.say("end")
    assert first.end()[0] == 0


def test_runs_that_start_together_are_never_given_more_than_there_is(hami):
    assert hami.call("sim", "create").returncode == 0
    script = "echo granted; read _; true"
    runs = [hami.start("sh", "-c", script, options=("--gpumem", "30%")) for _ in range(8)]
    answers = [run.line() for run in runs]
    assert answers.count("granted") == 3
    for run, answer in zip(runs, answers):
        if answer == "granted":
            run.say("end")
        assert run.end()[0] == (0 if answer == "granted" else 4)
    hami.wait_for_whole_card()


def test_hami_killed_at_any_moment_leaks_no_booking(hami):
    assert hami.call("sim", "create").returncode == 0
    moments = random.Random(1)
    for _ in range(40):
        run = hami.start("true", options=("--gpumem", "100%", "--gpucores", "100"))
        time.sleep(moments.uniform(0, 0.08))
        run.process.send_signal(signal.SIGKILL)
        run.end()
    hami.wait_for_whole_card()


def test_half_made_and_half_removed_shares_are_swept(hami):
    assert hami.run("true").returncode == 0
    for name in (".new-1-x", ".old-1-y", "dead"):
        (hami.state / "shares" / name).mkdir()
        (hami.state / "shares" / name / "region").write_bytes(b"cut short")
    hami.wait_for_whole_card()


def test_help_of_both_levels(hami):
    for words in (("--help",), ("run", "--help")):
        result = hami.call(*words)
        assert result.returncode == 0
        assert "examples:" in result.stdout and "hami run" in result.stdout
    assert hami.call("nosuch").returncode == 2
    assert hami.call().returncode == 2
    assert hami.call("--version").stdout == hami.call("version").stdout


def test_called_as_nvidia_smi(hami, tmp_path):
    link = tmp_path / "nvidia-smi"
    link.symlink_to(HAMI)
    result = subprocess.run([link, "--help"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0
    assert "nvidia-smi" in result.stdout


def test_dead_tenant_gives_its_memory_back_while_the_share_lives(hami):
    # A background command of sh reads /dev/null, where the tenant would not wait.
    first = f"exec 3<&0; {TENANT} alloc 3Gi wait <&3 & echo $!; wait $!;"
    script = f"{first} {TENANT} info alloc 3Gi; true"
    run = hami.start("sh", "-c", script, options=("--gpumem", "4Gi"))
    said = sorted([run.line(), run.line()])  # the shell and the tenant, in any order
    assert said[1] == "alloc 3Gi CUDA_SUCCESS"
    os.kill(int(said[0]), signal.SIGKILL)
    assert "total_mib=4096" in run.line()
    assert run.line() == "alloc 3Gi CUDA_SUCCESS"
    assert run.end()[0] == 0


def test_slice_cannot_be_divided(hami):
    result = hami.run(*hami.words("run", "--sim", "--gpumem", "1Gi", "--", "echo", "inside"))
    assert result.returncode == 1
    assert "inside" not in result.stdout
    assert "this is a slice already" in result.stderr


def test_slice_without_namespaces_cannot_be_divided(hami):
    words = hami.words("run", "--sim", "--gpumem", "1Gi", "--", "echo", "inside")
    result = hami.run(*words, wrap=FORBID)
    assert result.returncode == 1
    assert "inside" not in result.stdout
    assert "this is a slice already" in result.stderr
