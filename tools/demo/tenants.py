# SPDX-License-Identifier: Apache-2.0
"""Tenants of the demo: each one is a shell under `hami run`, told what to do line by line.

So everything that a tenant runs (nvidia-smi, the program) is inside one slice, as in a container. A
tenant's background programs are steered by a pipe in the file system and write to a file.
"""

import os
import pathlib
import re
import shlex
import signal
import subprocess
import tempfile
import time

END = "@@end "
PATIENCE_S = 60


class DemoError(Exception):
  """Something that the demo needs went wrong; the message is for a person."""


class Job:
  """A program of a tenant that runs on beside what the tenant does next."""

  def __init__(self, pid: int, output: pathlib.Path, orders: int) -> None:
    self.pid = pid
    self._output = output
    self._orders = orders

  def lines(self) -> list[str]:
    return self._output.read_text().splitlines()

  def wait_for(self, prefix: str, count: int = 1, patience_s: float = PATIENCE_S) -> str:
    """The count-th line that starts so."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
      found = [line for line in self.lines() if line.startswith(prefix)]
      if len(found) >= count:
        return found[count - 1]
      time.sleep(0.02)
    raise DemoError(f"no line '{prefix}...' from a tenant's program; it said: {self.lines()[-3:]}")

  def go_on(self) -> None:
    """Ends its `wait`."""
    os.write(self._orders, b"\n")


class Tenant:
  def __init__(self, hami: pathlib.Path, options: list[str], name: str,
               folder: pathlib.Path) -> None:
    self.name = name
    self._folder = folder
    self._messages = folder / f"{name}.hami"
    self._jobs = 0
    command = [str(hami), "run", "--quiet", "--name", name, *options, "--", "sh"]
    with self._messages.open("wb") as messages:
      self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=messages, text=True, bufsize=1)
    self.run("true")

  def messages(self) -> str:
    return self._messages.read_text().strip()

  def run(self, command: str) -> tuple[int, str]:
    """Exit code and output of a command inside the slice."""
    try:
      self.process.stdin.write(f"{{ {command}\n}} </dev/null 2>&1; echo; echo \"{END}$?\"\n")
      self.process.stdin.flush()
    except BrokenPipeError:
      pass  # told below, with hami's own words
    lines = []
    for line in self.process.stdout:
      if line.startswith(END):
        return int(line.removeprefix(END)), "".join(lines).rstrip("\n")
      lines.append(line)
    code = self.process.wait()
    raise DemoError(f"`hami run` ended with {code}: {self.messages() or 'no message'}")

  def start(self, command: list[str]) -> Job:
    self._jobs += 1
    orders = self._folder / f"{self.name}.{self._jobs}.orders"
    output = self._folder / f"{self.name}.{self._jobs}.out"
    os.mkfifo(orders)
    output.touch()
    # Held open for reading too, so that neither side waits for the other.
    descriptor = os.open(orders, os.O_RDWR | os.O_CLOEXEC)
    line = f"{shlex.join(command)} <{shlex.quote(str(orders))} >{shlex.quote(str(output))} 2>&1 &"
    _, text = self.run(f"{line} echo $!")
    return Job(int(text.split()[-1]), output, descriptor)

  def kill(self) -> None:
    """As the kernel would for want of memory: no chance to clean up."""
    self.process.send_signal(signal.SIGKILL)
    self.process.wait()

  def close(self) -> None:
    if self.process.poll() is None:
      self.process.stdin.close()
      try:
        self.process.wait(15)
      except subprocess.TimeoutExpired:
        self.kill()


def number(text: str, key: str) -> float:
  """12.5 of "spin us=1000 busy_pct=12.5"."""
  match = re.search(rf"\b{key}=([0-9.e+-]+)", text)
  if not match:
    raise DemoError(f"no {key} in '{text}'")
  return float(match[1])


def temporary_folder() -> tempfile.TemporaryDirectory:
  return tempfile.TemporaryDirectory(prefix="hami-demo-")
