# SPDX-License-Identifier: Apache-2.0
"""Memory that nothing was charged for counts against the slice once the driver's figure shows it.
All GPUs are simulated."""

import re

from run_harness import FORBID, TENANT, wait_until

GIB = 1024


def read_info(line):
    return {name: int(value) for name, value in re.findall(r"(\w+)_mib=(\d+)", line)}


def test_program_without_the_library_counts(hami):
    # Without namespaces a program can leave the library behind; the agent still sees it.
    outside = f"sleep 1000 | env -u LD_PRELOAD {TENANT} alloc 3Gi say held wait"
    script = f"{outside} & while read words; do {TENANT} $words; done"
    run = hami.start("sh", "-c", script, options=("--gpumem", "4Gi", "-q"), wrap=FORBID)
    while run.line() != "held":
        pass

    def looks():
        run.say("info")
        return read_info(run.line())

    seen = []
    wait_until(lambda: seen.append(looks()) or seen[-1]["free"] < GIB, "the agent's second look")
    assert seen[-1]["total"] == 4 * GIB
    run.say("alloc 2Gi")
    assert run.line() == "alloc 2Gi CUDA_ERROR_OUT_OF_MEMORY"
    run.say("alloc 100Mi")
    assert run.line() == "alloc 100Mi CUDA_SUCCESS"
