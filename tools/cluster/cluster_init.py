#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Process 1 of a cluster: makes its namespaces, then only collects ended children.

Its death ends every process of the cluster, and with them go mounts and network; that is all that
`down` needs. Prints "ready" when the namespaces are as they should be, or a message.

What is its own there: /run, /var/lib, /var/log, /etc (a copy), /proc, /sys, /dev/shm. Mounts are
shared among the cluster's programs, as the kubelet wants, and private towards the host.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time

import cgroups
import namespaces
import network
from cluster_folder import ClusterFolder
from processes import Process

CLONE = pathlib.Path(__file__).resolve().parents[2]


def mount(*arguments: str | os.PathLike) -> None:
  result = subprocess.run(["mount", "-n", *map(str, arguments)], capture_output=True, text=True)
  if result.returncode:
    raise SystemExit(f"cluster: mount {' '.join(map(str, arguments))}: {result.stderr.strip()}")


def mount_kernel_views() -> None:
  """/proc of the new processes, /sys of the new network, and the cgroups from the new root."""
  hierarchies = cgroups.hierarchies()
  unified = cgroups.is_unified()
  # Replaced, not covered: programs look for the first mount of a hierarchy.
  for target, kind in (("/proc", "proc"), ("/sys", "sysfs")):
    subprocess.run(["umount", "-n", "--recursive", "--lazy", target], check=True)
    mount("-t", kind, kind, target)
  if not unified:
    mount("-t", "tmpfs", "-o", "mode=755", "cgroups", cgroups.ROOT)
  for name, kind, option in hierarchies:
    (cgroups.ROOT / name).mkdir(exist_ok=True)
    if kind == "cgroup" and option.startswith("name="):
      option = "none," + option
    mount("-t", kind, *(["-o", option] if option else []), kind, cgroups.ROOT / name)


def mount_own_folders(folder: ClusterFolder) -> None:
  """Prepared beside, then put over the host's. The cluster's folder and the clone stay visible at
  their paths, wherever they lie."""
  # /var/lib last: what is staged lies there.
  staged = {pathlib.Path("/" + name.replace("-", "/")): folder / name
            for name in ("run", "etc", "var-log", "var-lib")}
  for stage in staged.values():
    stage.mkdir(exist_ok=True)
  # As on a machine: gone with it.
  mount("-t", "tmpfs", "-o", "mode=755", "run", staged[pathlib.Path("/run")])
  etc = staged[pathlib.Path("/etc")]
  subprocess.run(["cp", "-a", "/etc/.", etc], check=True)
  # The host may be a node of another cluster.
  for name in ("cdi", "cni", "containerd", "kubernetes"):
    shutil.rmtree(etc / name, ignore_errors=True)
  for kept in (folder.path, CLONE):
    for target, stage in staged.items():
      if kept.is_relative_to(target):
        inside = stage / kept.relative_to(target)
        inside.mkdir(parents=True, exist_ok=True)
        mount("--bind", kept, inside)
  for target, stage in staged.items():
    mount("--rbind", stage, target.resolve())
  mount("-t", "tmpfs", "-o", "mode=1777", "shm", "/dev/shm")


def become_init(folder: ClusterFolder) -> None:
  settings = folder.read_settings()
  mount("--make-rprivate", "/")
  mount_kernel_views()
  mount_own_folders(folder)
  mount("--make-rshared", "/")
  pathlib.Path("/etc/hostname").write_text(settings.node + "\n")
  pathlib.Path("/etc/hosts").write_text(
      f"127.0.0.1 localhost\n{network.node_address(settings.number)} {settings.node}\n")
  pathlib.Path("/proc/sys/kernel/hostname").write_text(settings.node)
  network.set_up(settings.number)


def collect_children() -> None:
  """For ever; ended components are named in the log, by the numbers that they have here."""
  while True:
    try:
      pid, status = os.wait()
      print(f"{time.strftime('%H:%M:%S')} process {pid} ended: "
            f"{os.waitstatus_to_exitcode(status)}", flush=True)
    except ChildProcessError:
      time.sleep(0.2)
    except InterruptedError:
      continue


def main() -> int:
  folder = ClusterFolder(sys.argv[1])
  cgroups.create(folder.cgroup)
  cgroups.join(folder.cgroup)
  namespaces.unshare_all()
  cgroups.settle(folder.cgroup)
  reader, writer = os.pipe()
  child = os.fork()
  if child:
    os.close(writer)
    # Known before anything else can go wrong, so that `down` finds it.
    folder.write_process("init", Process.of(child))
    with os.fdopen(reader) as pipe:
      answer = pipe.read()
    if answer != "ready":
      print(answer or "cluster: process 1 ended; see its log", file=sys.stderr)
      return 1
    return 0
  os.close(reader)
  os.setsid()
  try:
    become_init(folder)
  except SystemExit as problem:
    os.write(writer, str(problem).encode())
    return 1
  os.write(writer, b"ready")
  os.close(writer)
  os.chdir("/")
  collect_children()
  return 0


if __name__ == "__main__":
  sys.exit(main())
