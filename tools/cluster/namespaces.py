# SPDX-License-Identifier: Apache-2.0
"""Entering the namespaces of a cluster, and running programs there.

A cluster has a mount, network, process, host name, message and cgroup namespace of its own, which
live as long as process 1 of them (cluster_init.py). A program inside sees the cluster's /run,
/var/lib and /etc, its network and its processes, and the file system of the host otherwise.
"""

import ctypes
import os
import select
import signal
import sys
from collections.abc import Callable

import cgroups
from cluster_folder import ClusterFolder
from processes import Process

NEW_FLAGS = {"mnt": 0x00020000, "cgroup": 0x02000000, "uts": 0x04000000, "ipc": 0x08000000,
             "pid": 0x20000000, "net": 0x40000000}
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _check(code: int, what: str) -> None:
  if code != 0:
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare_all() -> None:
  """New namespaces for this process (of processes: for its children)."""
  flags = 0
  for flag in NEW_FLAGS.values():
    flags |= flag
  _check(_libc.unshare(flags), "unshare")


def enter(pid: int, names: tuple[str, ...] = tuple(NEW_FLAGS)) -> None:
  """Moves the calling thread into namespaces of a process; of processes: its future children."""
  descriptors = [(name, os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC))
                 for name in names]
  for name, descriptor in descriptors:
    enter_descriptor(descriptor, name)
    os.close(descriptor)


def enter_descriptor(descriptor: int, name: str) -> None:
  """One namespace that is open as a file."""
  _check(_libc.setns(descriptor, NEW_FLAGS[name]), f"setns {name}")


def init_of(folder: ClusterFolder) -> Process | None:
  """Process 1 of a cluster, if it runs."""
  process = folder.read_process("init")
  return process if process and process.is_running() else None


def must_have_init(folder: ClusterFolder) -> Process:
  process = init_of(folder)
  if process is None:
    raise SystemExit(f"cluster: '{folder.name}' is not up; "
                     f"start it with: ./dev cluster up --name {folder.name}")
  return process


def _enter_and_fork(folder: ClusterFolder, start: Callable[[], None]) -> int:
  """Forks into the namespaces; `start` runs in the child and must not return. Returns the child's
  number outside. The caller has left its own namespaces and should end soon."""
  init = must_have_init(folder)
  cgroups.join(folder.cgroup)
  working_folder = os.getcwd()
  enter(init.pid)
  child = os.fork()
  if child:
    return child
  try:
    try:
      os.chdir(working_folder)
    except FileNotFoundError:
      os.chdir("/")
    start()
  except BaseException as problem:  # a child never returns into its parent's code
    print(f"cluster: {problem}", file=sys.stderr)
  os._exit(127)


def run(folder: ClusterFolder, command: list[str], environment: dict[str, str]) -> int:
  """Runs a command inside in the foreground and returns its exit code, 128 + N for signal N. What
  this process is told by signals is passed on, and the command does not outlive it."""
  alive, held = os.pipe()  # ends with this process
  passed_on = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
  # Held back until there is somebody to pass them on to.
  mask = signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)

  def start() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.close(held)
    if select.select([alive], [], [], 0)[0]:  # it ended before that
      os._exit(127)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.execvpe(command[0], command, environment)

  child = _enter_and_fork(folder, start)
  for number in passed_on:
    signal.signal(number, lambda received, _: os.kill(child, received))
  signal.pthread_sigmask(signal.SIG_SETMASK, mask)
  # A terminal tells the child itself.
  for number in (signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.SIG_IGN)
  while True:
    try:
      _, status = os.waitpid(child, 0)
      return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) \
          else 128 + os.WTERMSIG(status)
    except InterruptedError:
      continue


def run_forked(folder: ClusterFolder, command: list[str], environment: dict[str, str],
               stdout: int, stderr: int, stdin: int | None = None) -> int:
  """As `run`, from a process that stays outside; returns the exit code."""
  middle = os.fork()
  if not middle:
    code = 127
    try:
      if stdin is not None:
        os.dup2(stdin, 0)
      os.dup2(stdout, 1)
      os.dup2(stderr, 2)
      code = run(folder, command, environment)
    except BaseException as problem:
      print(f"cluster: {problem}", file=sys.stderr, flush=True)
    os._exit(code)
  return os.waitstatus_to_exitcode(os.waitpid(middle, 0)[1])


def start_daemon(folder: ClusterFolder, command: list[str], environment: dict[str, str],
                 log: os.PathLike) -> Process:
  """Starts a command inside, in a session of its own, as a child of the cluster's process 1."""
  reader, writer = os.pipe()

  def start() -> None:
    os.setsid()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.chdir("/")
    os.execvpe(command[0], command, environment)

  middle = os.fork()
  if not middle:
    code = 1
    try:
      os.close(reader)
      child = _enter_and_fork(folder, start)
      os.write(writer, str(child).encode())
      code = 0
    except BaseException as problem:
      print(f"cluster: {problem}", file=sys.stderr, flush=True)
    os._exit(code)
  os.close(writer)
  with os.fdopen(reader) as pipe:
    text = pipe.read()
  os.waitpid(middle, 0)
  if not text:
    raise SystemExit(f"cluster: {command[0]} was not started")
  return Process.of(int(text))
