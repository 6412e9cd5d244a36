# SPDX-License-Identifier: Apache-2.0
"""The cgroups of a cluster: one of its own name in every hierarchy, the root of its namespace.

So whatever the kubelet and containerd make lies below it, and removing is exact. Version 1 and
hybrid layouts (a hierarchy per controller under a tmpfs) and version 2 alone are both handled.
"""

import contextlib
import errno
import os
import pathlib
import time

ROOT = pathlib.Path("/sys/fs/cgroup")
# Version 2 has no processes beside groups with controllers, so the cluster's own go into a group.
OWN_GROUP = "cluster"


def is_unified() -> bool:
  """Whether there is version 2 alone."""
  return (ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[tuple[str, str, str]]:
  """(folder below ROOT, type of file system, mount option) of each."""
  if is_unified():
    return [("", "cgroup2", "")]
  found = []
  for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
    left, right = line.split(" - ")
    mount, (kind, _, options) = pathlib.Path(left.split()[4]), right.split()[:3]
    if kind in ("cgroup", "cgroup2") and mount.parent == ROOT:
      # "rw" belongs to the file system, the rest is the controllers.
      found.append((mount.name, kind, ",".join(
          option for option in options.split(",") if option not in ("rw", "ro"))))
  if not found:
    raise SystemExit("cluster: no cgroup hierarchy is mounted under /sys/fs/cgroup")
  return sorted(found)


def folders(name: str) -> list[pathlib.Path]:
  return [ROOT / hierarchy / name for hierarchy, _, _ in hierarchies()]


def create(name: str) -> None:
  for folder in folders(name):
    folder.mkdir(exist_ok=True)
    # An empty set takes no process.
    for value in ("cpuset.cpus", "cpuset.mems"):
      if not is_unified() and (folder / value).exists():
        (folder / value).write_text((folder.parent / value).read_text())
  if is_unified():
    _hand_down(ROOT)


def _hand_down(folder: pathlib.Path) -> None:
  """Version 2: all controllers to the groups below."""
  for controller in (folder / "cgroup.controllers").read_text().split():
    (folder / "cgroup.subtree_control").write_text("+" + controller)


def join(name: str, pid: int = 0) -> None:
  for folder in folders(name):
    own = folder / OWN_GROUP
    target = own if own.exists() else folder
    (target / "cgroup.procs").write_text(str(pid))


def settle(name: str) -> None:
  """For a process that has joined and has made a cgroup namespace. Version 2 only: it moves to a
  group below, so that the namespace's root may have controllers."""
  if not is_unified():
    return
  own = ROOT / name / OWN_GROUP
  own.mkdir(exist_ok=True)
  (own / "cgroup.procs").write_text("0")
  _hand_down(ROOT / name)


def members(name: str) -> set[int]:
  """The processes in the groups and below. Only what was started for the cluster is there."""
  found: set[int] = set()
  for folder in folders(name):
    for path in folder.rglob("cgroup.procs"):
      with contextlib.suppress(OSError):
        found |= {int(line) for line in path.read_text().split()}
  return found - {0}


def remove(name: str, wait_s: float = 5) -> list[pathlib.Path]:
  """Removes the groups and all below them; what is left because processes live there."""
  end = time.monotonic() + wait_s
  left = []
  for folder in folders(name):
    while folder.exists():
      for path, _, _ in os.walk(folder, topdown=False):
        try:
          os.rmdir(path)
        except FileNotFoundError:
          pass
        except OSError as problem:
          if problem.errno != errno.EBUSY:
            raise
      # A process that was killed leaves its group a moment later.
      if folder.exists() and time.monotonic() > end:
        left.append(folder)
        break
      if folder.exists():
        time.sleep(0.02)
  return left
