# SPDX-License-Identifier: Apache-2.0
"""The folder of a cluster, /var/lib/hami-cluster/NAME: settings, keys, logs, process ids, data.

It has the same path inside the cluster's mount namespace and outside, and depends neither on the
clone nor on its path. Who changes a cluster holds the lock of its folder.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterator

import processes

ROOT = pathlib.Path("/var/lib/hami-cluster")
# Unix sockets have at most 108 bytes, and the folder's name is a part of many paths.
NAME_PATTERN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,22}[a-z0-9])?")


@dataclasses.dataclass
class Settings:
  """What `up` was told; kept for the verbs that come later."""
  version: str
  node: str
  gpu: str  # PROFILE:N, or none
  cdi: bool = True
  feature_gates: dict[str, bool] = dataclasses.field(default_factory=dict)
  nodes: int = 1  # of all kinds
  kubelets: int = 1  # of them with a kubelet; the rest are API objects
  hami_nodes: int = 0  # of the API objects: with HAMi's device plugin
  node_gpus: str = "8"  # of each API object, as api_nodes.Gpus reads it
  node_list: str = ""  # a file of Nodes, which the API objects are like instead
  run_pods: bool = False  # pods on API objects become Running
  replicas: int = 0  # of hami-scheduler
  scheduler_flags: list[str] = dataclasses.field(default_factory=list)
  proxy: str = ""  # a program of tests/fakes/api_proxy, between each replica and the API server
  audit: bool = False  # writes are logged by the API server
  number: int = 1  # of the node with a kubelet whose folder this is


class ClusterFolder:
  def __init__(self, name: str):
    if not NAME_PATTERN.fullmatch(name):
      raise SystemExit(f"cluster: '{name}' cannot be a name: up to 24 of a-z 0-9 . -")
    self.name = name
    self.path = ROOT / name

  def __truediv__(self, part: str) -> pathlib.Path:
    return self.path / part

  @property
  def kubeconfig(self) -> pathlib.Path:
    return self.path / "admin.conf"

  @property
  def cgroup(self) -> str:
    """The name of the cluster's cgroup in every hierarchy."""
    return f"hami-cluster-{self.name}"

  def worker(self, number: int) -> "ClusterFolder":
    """Of a node with a kubelet, from the second on."""
    return ClusterFolder(f"{self.name}.node{number}")

  def workers(self) -> list["ClusterFolder"]:
    """Those that there are, whatever is left of them."""
    pattern = re.compile(re.escape(self.name) + r"\.node[0-9]+")
    return [folder for folder in list_folders() if pattern.fullmatch(folder.name)]

  def log(self, component: str) -> pathlib.Path:
    return self.path / "log" / f"{component}.log"

  def exists(self) -> bool:
    return self.path.is_dir()

  @contextlib.contextmanager
  def locked(self) -> Iterator[None]:
    """Makes the folder, and holds it alone. Whoever waited for a folder that was removed
    meanwhile takes the new one."""
    while True:
      # Removed between two steps of making or opening it: FileExistsError, or not found.
      with contextlib.suppress(FileExistsError, FileNotFoundError):
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if self._is(descriptor):
          break
        os.close(descriptor)
    try:
      yield
    finally:
      os.close(descriptor)

  def _is(self, descriptor: int) -> bool:
    """Whether what is open is the folder that has the name now."""
    try:
      return os.path.samestat(os.fstat(descriptor), os.stat(self.path))
    except FileNotFoundError:
      return False

  def write_settings(self, settings: Settings) -> None:
    self._write_json("settings.json", dataclasses.asdict(settings))

  def read_settings(self) -> Settings:
    return Settings(**json.loads((self.path / "settings.json").read_text()))

  def write_commands(self, commands: dict[str, list[str]]) -> None:
    """How each component was called, for those who start it again."""
    self._write_json("commands.json", commands)

  def read_commands(self) -> dict[str, list[str]]:
    return json.loads((self.path / "commands.json").read_text())

  def write_process(self, component: str, process: processes.Process) -> None:
    (self.path / "pids").mkdir(exist_ok=True)
    self._write_json(f"pids/{component}", dataclasses.asdict(process))

  def read_process(self, component: str) -> processes.Process | None:
    try:
      return processes.Process(**json.loads((self.path / "pids" / component).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
      return None

  def components(self) -> list[str]:
    """Those that were started, in that order; the namespaces' init is not among them."""
    pids = self.path / "pids"
    if not pids.exists():
      return []
    files = [file for file in pids.iterdir() if file.name != "init" and file.suffix != ".new"]
    return [file.name for file in sorted(files, key=lambda file: file.stat().st_mtime_ns)]

  def empty(self) -> None:
    """Removes what is in it. What is still mounted there would be followed, so it is refused."""
    mounts = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text()
              .splitlines()]
    below = [mount for mount in mounts if (mount + "/").startswith(f"{self.path}/")]
    if below:
      raise SystemExit(f"cluster: {below[0]} is a mount; unmount it and run 'down' again")
    for path in self.path.iterdir():
      if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
      else:
        path.unlink()

  def remove(self) -> None:
    """When it is empty, and with it the folder of all clusters, if this was the last."""
    self.path.rmdir()
    with contextlib.suppress(OSError):
      ROOT.rmdir()

  def _write_json(self, name: str, value: object) -> None:
    fresh = self.path / (name + ".new")
    fresh.write_text(json.dumps(value, indent=1) + "\n")
    fresh.rename(self.path / name)


def list_folders() -> list[ClusterFolder]:
  if not ROOT.exists():
    return []
  return [ClusterFolder(path.name) for path in sorted(ROOT.iterdir())
          if path.is_dir() and NAME_PATTERN.fullmatch(path.name)]
