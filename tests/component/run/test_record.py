# SPDX-License-Identifier: Apache-2.0
"""The record of a run (--json). All GPUs are simulated."""

import json
import signal

from run_harness import FORBID, TENANT


def test_record_of_a_run(hami, tmp_path):
    path = tmp_path / "record.json"
    options = ("--gpumem", "4Gi", "--gpucores", "30", "--name", "mine", "--json", str(path))
    result = hami.run("sh", "-c", f"{TENANT} alloc 5Gi; exit 9", options=options)
    assert result.returncode == 9
    record = json.loads(path.read_text())
    assert record["name"] == "mine"
    assert record["simulated"] is True
    assert record["memory_limit_bytes"] == 4 << 30
    assert record["cores_pct"] == 30
    assert record["exit_code"] == 9
    assert record["refused_allocations"] == 1
    assert record["escapes"] == 0
    assert record["command"][0] == "sh"
    assert record["device_uuid"].startswith("GPU-")


def test_high_water_is_the_drivers_figure(hami, tmp_path):
    path = tmp_path / "record.json"
    options = ("--gpumem", "4Gi", "--json", str(path))
    # Several of the agent's looks, one a second.
    result = hami.run(str(TENANT), "alloc", "3Gi", "spin", "1000", "4", options=options)
    assert result.returncode == 0
    record = json.loads(path.read_text())
    assert 3 << 30 <= record["memory_high_water_bytes"] <= 4 << 30


def test_record_that_cannot_be_written_starts_nothing(hami):
    result = hami.run("echo", "started", options=("--gpumem", "1Gi", "--json", "/no/such/folder/x"))
    assert result.returncode == 1
    assert result.stdout == ""
    assert hami.shares() == []


def escaping_tenant():
    """A tenant that leaves the library behind: it clears what the fallback sets."""
    return ("env", "-u", "LD_PRELOAD", str(TENANT), "alloc", "6Gi", "wait")


def test_process_that_goes_round_the_limit_is_reported(hami):
    run = hami.start(*escaping_tenant(), wrap=FORBID)
    assert run.line() == "alloc 6Gi CUDA_SUCCESS"
    line = ""
    while "goes round the limit" not in line:
        line = run.process.stderr.readline()
        assert line, "no report"
    assert "6" in line and "granted 4" in line
    run.say("end")
    assert run.end()[0] == 0


def test_process_that_goes_round_the_limit_is_killed_if_asked(hami):
    options = ("--gpumem", "4Gi", "--on-escape", "kill")
    run = hami.start(*escaping_tenant(), wrap=FORBID, options=options)
    assert run.line() == "alloc 6Gi CUDA_SUCCESS"
    assert run.process.wait(timeout=60) == 128 + signal.SIGKILL  # its input is still open
    code, errors = run.end()
    assert code == 128 + signal.SIGKILL
    assert "it is killed" in errors
