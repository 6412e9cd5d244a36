# SPDX-License-Identifier: Apache-2.0
"""A program whose time and memory are read from /proc."""

import contextlib
import pathlib
import subprocess

TICKS = 100  # of /proc/PID/stat, per second


def cpu_s(pid):
  text = pathlib.Path(f"/proc/{pid}/stat").read_text()
  fields = text[text.rindex(")") + 2:].split()
  return (int(fields[11]) + int(fields[12])) / TICKS


class Process:
  def __init__(self, command, log):
    with open(log, "ab") as file:
      self.child = subprocess.Popen(list(map(str, command)), stdout=file, stderr=file)
    self.pid = self.child.pid

  def cpu_s(self):
    return cpu_s(self.pid)

  def memory_mib(self, what="VmRSS"):
    for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
      if line.startswith(what):
        return int(line.split()[1]) / 1024
    return 0.0

  def stop(self):
    self.child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
      self.child.wait(10)
    self.child.kill()
    self.child.wait()
