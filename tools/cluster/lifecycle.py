# SPDX-License-Identifier: Apache-2.0
"""Up and down of a cluster.

`up` after a crash, or after an `up` that was interrupted, starts from nothing; `down` works on
whatever is there. Both hold the lock of the cluster's folder.
"""

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import certificates
import cgroups
import components
import go_modules
import images
import namespaces
import network
import schedulers
import simulated_gpu
from cluster_folder import ClusterFolder, Settings
from processes import Process

PATIENCE_S = 120
HERE = pathlib.Path(__file__).resolve().parent


class Progress:
  """One line per thing that is reached, with the time since the start."""

  def __init__(self) -> None:
    self.started = time.monotonic()

  def reached(self, what: str) -> None:
    print(f"  {time.monotonic() - self.started:5.1f} s  {what}", flush=True)


def kubectl(folder: ClusterFolder, *arguments: str) -> subprocess.CompletedProcess[str]:
  """Runs kubectl inside and returns what it said."""
  with open(os.memfd_create("out"), "w+b") as out, open(os.memfd_create("err"), "w+b") as err:
    code = namespaces.run_forked(
        folder, [components.kubectl(), f"--kubeconfig={folder.kubeconfig}", *arguments],
        components.environment(), stdout=out.fileno(), stderr=err.fileno())
    texts = []
    for file in (out, err):
      file.seek(0)
      texts.append(file.read().decode(errors="replace"))
  return subprocess.CompletedProcess(arguments, code, *texts)


def wait_for(folder: ClusterFolder, what: str, condition: Callable[[], bool]) -> None:
  """Until it is so; ends with the log of a program that has ended instead, or after PATIENCE_S."""
  end = time.monotonic() + PATIENCE_S
  while not condition():
    for name in folder.components():
      process = folder.read_process(name)
      if process is None or not process.is_running():
        sys.exit(f"cluster: {name} has ended. The end of its log:\n{tail(folder, name)}")
    if time.monotonic() > end:
      sys.exit(f"cluster: no {what} within {PATIENCE_S} s; see ./dev cluster logs "
               f"--name {folder.name} COMPONENT, then ./dev cluster down --name {folder.name}")
    time.sleep(0.05)


def tail(folder: ClusterFolder, component: str, lines: int = 15) -> str:
  try:
    text = folder.log(component).read_text(errors="replace")
  except FileNotFoundError:
    return "  (there is none)"
  return "\n".join("  " + line[:300] for line in text.splitlines()[-lines:])


def start(folder: ClusterFolder, component: str) -> None:
  folder.write_process(component, namespaces.start_daemon(
      folder, folder.read_commands()[component], components.environment(), folder.log(component)))


def _start_init(folder: ClusterFolder) -> None:
  with folder.log("init").open("ab") as log:
    code = subprocess.run([sys.executable, str(HERE / "cluster_init.py"), folder.name],
                          stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode
  if code:
    sys.exit(f"cluster: no namespaces for '{folder.name}':\n{tail(folder, 'init')}")


def _serves(folder: ClusterFolder, *arguments: str) -> Callable[[], bool]:
  return lambda: kubectl(folder, *arguments).returncode == 0


def up(folder: ClusterFolder, settings: Settings) -> bool:
  """False if it is up already. A cluster that is half up is taken down first."""
  with folder.locked():
    if is_up(folder):
      return False
    if (folder / "pids").exists():
      print("  something is left of an earlier one; removing it", flush=True)
    _remove_workers(folder)
    _clear(folder)
    progress = Progress()
    try:
      _bring_up(folder, settings, progress)
    except KeyboardInterrupt:
      print("cluster: interrupted; taking it down again", flush=True)
      _remove_workers(folder)
      _clear(folder)
      folder.remove()
      raise
  return True


def _bring_up(folder: ClusterFolder, settings: Settings, progress: Progress) -> None:
  (folder / "log").mkdir()
  folder.write_settings(settings)
  _start_init(folder)
  certificates.make(folder, settings.node)
  commands = components.make(folder, settings)
  folder.write_commands(commands)
  progress.reached("namespaces, network, certificates")
  for name in ("etcd", "containerd", "kube-apiserver"):
    if name in commands:
      start(folder, name)
  if settings.kubelets:
    _prepare_node(folder, settings, progress)
  wait_for(folder, "API server", _serves(folder, "get", "--raw=/readyz"))
  progress.reached(f"API server {settings.version}")
  for name in ("kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet",
               components.KEEPER):
    if name in commands:
      start(folder, name)
  if settings.kubelets:
    wait_for(folder, f"node {settings.node}",
             _serves(folder, "get", "--raw", f"/api/v1/nodes/{settings.node}"))
  for number in range(2, settings.kubelets + 1):
    _bring_up_worker(folder, settings, number, progress)
  wait_for(folder, "ready nodes", lambda: _ready_nodes(folder) >= settings.nodes)
  progress.reached(f"node {settings.node} is ready" if settings.nodes == settings.kubelets == 1
                   else f"{settings.nodes} nodes are ready, {settings.kubelets} with a kubelet")
  # Without it no pod is admitted.
  wait_for(folder, "default service account",
           _serves(folder, "get", "--raw", "/api/v1/namespaces/default/serviceaccounts/default"))
  if settings.replicas:
    _start_replicas(folder, settings, progress)
  (folder / "up").touch()
  progress.reached("cluster is up")


def _bring_up_worker(first: ClusterFolder, of_first: Settings, number: int,
                     progress: Progress) -> None:
  """A further node with a kubelet: a folder, namespaces and programs of its own. Whoever has the
  lock of the first has this one's."""
  folder = first.worker(number)
  settings = dataclasses.replace(of_first, node=node_name(of_first, number), number=number,
                                 nodes=1, kubelets=1, hami_nodes=0, node_list="", replicas=0)
  with folder.locked():
    (folder / "log").mkdir()
    folder.write_settings(settings)
    _start_init(folder)
    network.connect(namespaces.must_have_init(first).pid, namespaces.must_have_init(folder).pid,
                    number)
    certificates.make_for_worker(first, folder, settings.node, number)
    folder.write_commands(components.make_for_node(folder, settings))
    start(folder, "containerd")
    _prepare_node(folder, settings, progress)
    for name in ("kube-proxy", "kubelet"):
      start(folder, name)
    wait_for(folder, f"node {settings.node}",
             _serves(folder, "get", "--raw", f"/api/v1/nodes/{settings.node}"))
    (folder / "up").touch()
  progress.reached(f"node {settings.node}: exec, logs and the like by --name {folder.name}")


def node_name(settings: Settings, number: int) -> str:
  return settings.node if number == 1 else f"{settings.node}-{number}"


def _remove_workers(folder: ClusterFolder) -> None:
  for worker in folder.workers():
    with worker.locked():
      _clear(worker)
      worker.remove()


def _prepare_node(folder: ClusterFolder, settings: Settings, progress: Progress) -> None:
  """What a kubelet finds: the driver, and containerd with its images."""
  gpu = simulated_gpu.parse(settings.gpu)
  if gpu:
    made = simulated_gpu.install(namespaces_root(folder), gpu, settings.number)
    names = {item["name"] for item in made["gpus"]}
    progress.reached(f"{len(made['gpus'])} simulated GPU(s): {', '.join(sorted(names))}, "
                     f"driver {made['driver_version']}")
  images.ensure_pause()
  wait_for(folder, "container runtime", lambda: images.node_answers(folder))
  found = images.archives()
  images.import_into(folder, found)
  progress.reached(f"containerd with {len(found)} image(s): "
                   + ", ".join(path.stem for path in found))


def _ready_nodes(folder: ClusterFolder) -> int:
  """Ready, and without the taint that every new node has."""
  each = "{.status.conditions[?(@.type=='Ready')].status}/{.spec.taints[*].key}{'\\n'}"
  said = kubectl(folder, "get", "nodes", "-o", "jsonpath={range .items[*]}" + each + "{end}")
  return said.stdout.split("\n").count("True/")


def _start_replicas(folder: ClusterFolder, settings: Settings, progress: Progress) -> None:
  def must(*arguments: str) -> str:
    said = kubectl(folder, *arguments)
    if said.returncode:
      sys.exit(f"cluster: kubectl {arguments[0]}: {said.stderr[-2000:]}")
    return said.stdout

  schedulers.install(folder, settings, must)
  for replica in schedulers.replicas(settings):
    if settings.proxy:
      start(folder, replica.proxy)
    for name in replica.components:
      start(folder, name)
    wait_for(folder, f"{replica.components[0]} that is ready",
             lambda replica=replica: probe(folder, replica))
  progress.reached(f"{settings.replicas} replica(s) of hami-scheduler are ready")


def probe(folder: ClusterFolder, replica: schedulers.Replica, path: str = "/readyz") -> bool:
  """Whether a replica says 200 there."""
  address, port = replica.extender.split(":")
  code = ("import http.client,sys\n"
          f"c = http.client.HTTPConnection('{address}', {port}, timeout=2)\n"
          f"c.request('GET', '{path}')\n"
          "sys.exit(c.getresponse().status != 200)\n")
  with open(os.devnull, "r+b") as nothing:
    return namespaces.run_forked(folder, [sys.executable, "-c", code], components.environment(),
                                 stdout=nothing.fileno(), stderr=nothing.fileno()) == 0


def namespaces_root(folder: ClusterFolder) -> pathlib.Path:
  """The file system of the cluster, seen from outside."""
  return pathlib.Path(f"/proc/{namespaces.must_have_init(folder).pid}/root")


def is_up(folder: ClusterFolder) -> bool:
  """Whether `up` came to its end, and every program still runs."""
  if not (folder / "up").exists() or namespaces.init_of(folder) is None:
    return False
  processes = [folder.read_process(name) for name in folder.components()]
  return all(process and process.is_running() for process in processes) and \
      all(is_up(worker) for worker in folder.workers())


def down(folder: ClusterFolder) -> bool:
  """False if there was nothing."""
  if not folder.exists() and not any(path.exists() for path in cgroups.folders(folder.cgroup)):
    return False
  with folder.locked():
    _remove_workers(folder)
    _clear(folder)
    folder.remove()
  return True


def _clear(folder: ClusterFolder) -> None:
  """Ends all processes and empties the folder."""
  init = folder.read_process("init")
  # The kernel ends all others with it, and reports its end when they are gone.
  if init and not init.end(signal.SIGKILL, PATIENCE_S):
    sys.exit(f"cluster: process {init.pid} does not end; a program of '{folder.name}' hangs in "
             "the kernel")
  if cgroups.remove(folder.cgroup):
    # Process 1 of an `up` that was killed before it could write it down, or who waits outside.
    for pid in cgroups.members(folder.cgroup):
      with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        Process.of(pid).end(signal.SIGKILL, PATIENCE_S)
  left = cgroups.remove(folder.cgroup)
  if left:
    sys.exit(f"cluster: {left[0]} cannot be removed; processes there: "
             f"{sorted(cgroups.members(folder.cgroup))}")
  folder.empty()


def restart(folder: ClusterFolder, name: str) -> None:
  """Ends one program as a service manager would, and starts it as it was."""
  namespaces.must_have_init(folder)
  with folder.locked():
    wanted = folder.read_commands()
    if name not in wanted:
      sys.exit(f"cluster: no component '{name}'; there are: {' '.join(wanted)}")
    process = folder.read_process(name)
    # The API server waits for its clients, which here are to see it go.
    if process and not process.end(signal.SIGTERM, 5):
      process.end(signal.SIGKILL, PATIENCE_S)
    start(folder, name)
    if name == "kube-apiserver":
      wait_for(folder, "API server", _serves(folder, "get", "--raw=/readyz"))
    elif name == "containerd":
      wait_for(folder, "container runtime", lambda: images.node_answers(folder))


def kill(folder: ClusterFolder, name: str) -> None:
  """Ends one program without a warning, and leaves it so."""
  namespaces.must_have_init(folder)
  process = folder.read_process(name)
  if process is None:
    sys.exit(f"cluster: no component '{name}'; there are: {' '.join(folder.components())}")
  process.end(signal.SIGKILL, PATIENCE_S)


def missing_builds(version: str) -> list[str]:
  """Wrapper modules that a cluster of this version needs."""
  needed = [go_modules.KUBERNETES_VERSIONS[go_modules.NEWEST], go_modules.ETCD,
            go_modules.CONTAINERD, go_modules.KUBERNETES_VERSIONS[version]]
  return [item.name for item in dict.fromkeys(needed)]
