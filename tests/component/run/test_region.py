# SPDX-License-Identifier: Apache-2.0
"""`hami region` on the shares of runs that go on. All GPUs are simulated."""

import json
import os
import select

from run_harness import TENANT

MIB = 1 << 20


def test_a_share_in_use(hami):
    run = hami.start(TENANT, "alloc", "512Mi", "say", "ready", "wait", options=("--gpumem", "1Gi"))
    assert run.line() == "alloc 512Mi CUDA_SUCCESS" and run.line() == "ready"
    shown = hami.call("region", "show")
    assert shown.returncode == 0
    assert "HAMi's region 1.2, extended" in shown.stdout and "of    1.0 GiB" in shown.stdout
    [region] = json.loads(hami.call("region", "show", "--json").stdout)
    [device], [process] = region["devices"], region["processes"]
    assert device["limit_bytes"] == 1024 * MIB
    assert device["used_bytes"] >= 512 * MIB
    assert process["alive"] is True and process["used_bytes"] == [device["used_bytes"]]
    share = hami.state / "shares" / hami.shares()[0]
    for path in (share, share / "region"):
        checked = hami.call("region", "check", path)
        assert (checked.returncode, checked.stdout) == (0, f"{share}/region: sound\n")
    run.say("")
    run.end()
    assert hami.call("region").returncode == 2
    assert hami.call("region", "show").stdout == "no region here: no share is in use\n"
    assert hami.call("region", "show", "--json").stdout == "[]\n"


def test_launches_are_held_back(hami):
    run = hami.start(TENANT, "prepare", "say", "ready", "wait", "spin", "1000", "0.2",
                     options=("--gpumem", "1Gi"))
    assert run.line() == "ready"
    share = hami.state / "shares" / hami.shares()[0]
    assert "launches are held back" in hami.call("region", "suspend", share).stdout
    assert "launches held back" in hami.call("region", "show", share).stdout
    run.say("")
    ready, _, _ = select.select([run.process.stdout], [], [], 2)
    assert not ready, "it launches"
    # After a while it says why it does not go on.
    while "launches are held back (`hami region resume` lets" not in (
            line := run.process.stderr.readline()):
        assert line, "it never said so"
    assert "launches go on" in hami.call("region", "resume", share).stdout
    assert run.line().startswith("spin us=1000 ")
    assert run.end()[0] == 0


def test_repair(hami):
    run = hami.start(TENANT, "alloc", "512Mi", "say", "ready", "wait", options=("--gpumem", "1Gi"))
    assert run.line() == "alloc 512Mi CUDA_SUCCESS" and run.line() == "ready"
    region = hami.state / "shares" / hami.shares()[0] / "region"
    process_count = 2008896
    with open(region, "r+b") as file:
        os.pwrite(file.fileno(), (0).to_bytes(4, "little"), process_count)
    broken = hami.call("region", "check", region)
    assert broken.returncode == 1 and "readers stop before it" in broken.stdout
    assert hami.call("region", "repair", region).stdout.endswith(f"{region}: repaired\n")
    assert hami.call("region", "check", region).returncode == 0
    run.say("")
    assert run.end()[0] == 0


def test_what_is_no_region(hami, tmp_path):
    missing = hami.call("region", "show", tmp_path / "none")
    assert missing.returncode == 1 and "No such file" in missing.stderr
    made = tmp_path / "made"
    assert hami.call("region", "create", made).returncode == 0
    assert hami.call("region", "check", made).returncode == 0
    again = hami.call("region", "create", made)
    assert again.returncode == 1 and f"{made} exists" in again.stderr
    os.truncate(made, 100)
    cut = hami.call("region", "check", made)
    assert cut.returncode == 1 and "it was cut" in cut.stderr
    assert hami.call("region", "repair").returncode == 2
