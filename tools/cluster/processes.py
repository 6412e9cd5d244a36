# SPDX-License-Identifier: Apache-2.0
"""Processes that are known by more than their number.

A number is used again after a process ends; with the time of its start, and the boot, it is meant
for one process only. Nothing else is ever signalled.
"""

import dataclasses
import os
import pathlib
import select
import signal


@dataclasses.dataclass(frozen=True)
class Process:
  """`pid` as seen outside of the cluster's namespaces."""
  pid: int
  started: int
  boot: str

  @classmethod
  def of(cls, pid: int) -> "Process":
    return cls(pid, _start_time(pid), _boot())

  def is_running(self) -> bool:
    try:
      return self.boot == _boot() and self.started == _start_time(self.pid)
    except (FileNotFoundError, ProcessLookupError):
      return False

  def end(self, number: signal.Signals, wait_s: float) -> bool:
    """Signals it and waits for its end; whether it has ended (or was not running)."""
    try:
      descriptor = os.pidfd_open(self.pid)
    except ProcessLookupError:
      return True
    try:
      # The descriptor is of the right process if that still runs now.
      if not self.is_running():
        return True
      signal.pidfd_send_signal(descriptor, number)
      return bool(select.select([descriptor], [], [], wait_s)[0])
    except ProcessLookupError:
      return True
    finally:
      os.close(descriptor)


def _boot() -> str:
  return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_time(pid: int) -> int:
  """In ticks since the boot. A zombie has ended already."""
  text = pathlib.Path(f"/proc/{pid}/stat").read_text()
  fields = text[text.rindex(")") + 2:].split()
  if fields[0] in "ZX":
    raise ProcessLookupError(pid)
  return int(fields[19])
