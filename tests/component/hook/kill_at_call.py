# SPDX-License-Identifier: Apache-2.0
"""An OCI hook that starts the real one and kills it at its Nth system call:
kill_at_call.py N FILE HOOK ARGUMENTS... It leaves "killed" or "ended" in FILE, and ends as the real
one did."""

import ctypes
import os
import pathlib
import signal
import sys

TRACE_ME, CONTINUE_TO_CALL = 0, 24  # linux/ptrace.h

libc = ctypes.CDLL(None, use_errno=True)


def ptrace(request, pid):
    if libc.ptrace(request, pid, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def main():
    stops, verdict, program = int(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
    verdict.write_text("started")
    child = os.fork()
    if child == 0:
        ptrace(TRACE_ME, 0)
        os.execve(program[0], program, {})
    os.waitpid(child, 0)  # it stops when it has become the hook
    for _ in range(stops):
        ptrace(CONTINUE_TO_CALL, child)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            verdict.write_text("ended")
            return os.WEXITSTATUS(status)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    verdict.write_text("killed")
    return 137


sys.exit(main())
