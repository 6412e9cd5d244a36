# SPDX-License-Identifier: Apache-2.0
"""What programs that come and go in one slice get of the GPU's time, by the driver's own sum. All
GPUs here are simulated (one A10)."""

import json
import re

import pytest
from run_harness import TENANT

KERNEL_US = 1000
ROUNDS = 8
# What a rested share has saved up, over half a second.
ROOM_PCT = 2.5


def driver_busy_ns(hami):
    """The GPU's time of the one process that has some."""
    shown = json.loads(hami.call("sim", "show", "--json").stdout)
    (process,) = shown["gpus"][0]["processes"]
    return process["busy_ns"]


def number(line, key):
    return float(re.search(rf"\b{key}=([0-9.e+-]+)", line)[1])


@pytest.mark.parametrize("asked", [10, 25])
def test_program_that_begins_in_the_debt_of_the_last_keeps_to_the_share(hami, asked):
    """It measures its kernel while the slice still owes what the last program took."""
    last = f"{TENANT} spin {KERNEL_US} 0.3 >&2"
    next_one = f"{TENANT} spin {KERNEL_US} 0.3 spin {KERNEL_US} 0.5 wait"
    script = f"for i in $(seq {ROUNDS}); do {last}; {next_one}; done"
    slice_ = hami.start("sh", "-c", script, options=("--gpumem", "4Gi", "--gpucores", asked))
    shares = []
    for _ in range(ROUNDS):
        lines = [slice_.line(), slice_.line()]
        busy_ns = driver_busy_ns(hami)
        slice_.say("end")
        said_ns = sum(number(line, "launches") for line in lines) * KERNEL_US * 1000
        # The difference is what was launched to measure the kernel.
        assert said_ns * 0.95 - 2e6 < busy_ns < said_ns * 1.05 + 20e6, lines
        shares.append(number(lines[1], "busy_pct"))
    # A host that is not let run makes kernels dearer, and what was charged too much is given back
    # when it is let run again: a round may be above the share for those that were below.
    assert min(shares) > 0 and sum(shares) / ROUNDS < asked + ROOM_PCT, shares
    assert slice_.end()[0] == 0
