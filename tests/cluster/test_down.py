# SPDX-License-Identifier: Apache-2.0
"""A cluster goes without a trace, whatever state it was in. The same for every Kubernetes version,
so the newest is enough."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess

import pytest
from cluster_harness import PROGRAM, Cluster, Namespace, cluster_verb, wait_until

import cgroups
import namespaces
from cluster_folder import ClusterFolder

pytestmark = pytest.mark.newest_only
# Where a cluster has mounts of its own.
PLACES = re.compile(r"/(var|run|etc|sys|proc|dev)(/|$)")


@pytest.fixture
def name(version):
  """A name for a cluster that the test makes."""
  chosen = f"gone-{os.getpid()}"
  yield chosen
  cluster_verb("down", "--name", chosen)


def up(name, version, *options):
  cluster_verb("up", "--version", version, "--name", name, *options)
  return Cluster(name, version)


def host_state():
  """What a cluster could change outside of itself, and other work on this machine does not."""
  mounts = {line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text()
            .splitlines()}
  return {
      "mounts": {mount for mount in mounts if PLACES.match(mount)},
      "interfaces": set(os.listdir("/sys/class/net")),
      "rules": subprocess.run(["iptables-save"], capture_output=True, text=True).stdout.count("-A"),
      "cgroups": {path for folder in cgroups.folders("") for path in os.listdir(folder)
                  if path.startswith(("hami-cluster-gone", "kubepods", "k8s.io"))},
      "folders": {path for path in (
          "/run/containerd", "/run/nvidia", "/run/netns", "/etc/cni/net.d", "/etc/cdi",
          "/var/lib/kubelet", "/var/lib/containerd", "/var/lib/etcd", "/var/log/pods")
                  if os.path.exists(path)},
  }


def own_processes(folder):
  """The cluster's namespace of processes, open: so its number is not given to another."""
  pid = folder.read_process("init").pid
  for kind in namespaces.NEW_FLAGS:
    assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")
  return os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY)


def processes_in(own):
  """Who is in it and has not ended; who has ended stays there until its parent has looked."""
  found = []
  for process in pathlib.Path("/proc").iterdir():
    with contextlib.suppress(OSError):
      if process.name.isdigit() and os.path.samestat(os.stat(process / "ns/pid"), os.fstat(own)) \
          and ") Z " not in (process / "stat").read_text():
        found.append((process / "cmdline").read_text())
  return found


def assert_gone(name, own, before):
  folder = ClusterFolder(name)
  assert not folder.exists()
  # Nobody lives in a group that could be removed, in whatever namespace.
  assert [path for path in cgroups.folders(folder.cgroup) if path.exists()] == []
  assert processes_in(own) == []
  assert host_state() == before
  os.close(own)


def test_down_leaves_nothing(name, version):
  before = host_state()
  cluster = up(name, version)
  work = Namespace(cluster, "work")
  work.create_pod("tenant", image="pause")
  work.wait_running("tenant")
  own = own_processes(cluster.folder)
  assert host_state()["cgroups"] - before["cgroups"] == {cluster.folder.cgroup}
  assert {**host_state(), "cgroups": None} == {**before, "cgroups": None}
  cluster_verb("down", "--name", name)
  assert_gone(name, own, before)


def test_down_after_up_was_killed(name, version):
  before = host_state()
  folder = ClusterFolder(name)
  starting = subprocess.Popen([*PROGRAM, "up", "--version", version, "--name", name],
                              stdout=subprocess.DEVNULL)
  wait_until(lambda: "kube-apiserver" in folder.components(), "API server was started")
  starting.kill()
  starting.wait()
  own = own_processes(folder)
  assert "broken or starting" in cluster_verb("status", "--name", name, check=False).stdout
  cluster_verb("down", "--name", name)
  assert_gone(name, own, before)


def test_down_when_process_1_was_not_written_down(name, version):
  before = host_state()
  cluster = up(name, version, "--gpu=none")
  own = own_processes(cluster.folder)
  (cluster.folder / "pids" / "init").unlink()
  cluster_verb("down", "--name", name)
  assert_gone(name, own, before)


def test_up_after_everything_was_killed(name, version):
  before = host_state()
  cluster = up(name, version, "--gpu=none")
  cluster.init.end(signal.SIGKILL, 60)
  again = up(name, version, "--gpu=none")
  assert again.core.read_node(again.node)
  own = own_processes(again.folder)
  cluster_verb("down", "--name", name)
  assert_gone(name, own, before)


def test_up_after_one_component_was_killed(name, version):
  cluster = up(name, version, "--gpu=none")
  cluster.folder.read_process("kubelet").end(signal.SIGKILL, 60)
  status = cluster_verb("status", "--name", name, check=False)
  assert status.returncode == 1
  assert re.search(r"kubelet +has ended", status.stdout)
  again = up(name, version, "--gpu=none")
  assert "is up already" in cluster_verb("up", "--version", version, "--name", name,
                                "--gpu=none").stdout
  assert again.core.read_node(again.node)


def test_a_second_node_goes_and_comes_with_the_cluster(name, version):
  before = host_state()
  options = ("--gpu=none", "--kubelets=2")
  cluster = up(name, version, *options)
  Cluster(cluster.folder.worker(2).name, version).init.end(signal.SIGKILL, 60)
  # The first runs; the cluster is not up.
  assert cluster_verb("status", "--name", name, check=False).returncode == 1
  cluster = up(name, version, *options)
  worker = Cluster(cluster.folder.worker(2).name, version)
  assert {node.metadata.name for node in cluster.core.list_node().items} == \
      {cluster.node, worker.node}
  own, of_worker = own_processes(cluster.folder), own_processes(worker.folder)
  cluster_verb("down", "--name", name)
  assert_gone(name, own, before)
  assert_gone(worker.name, of_worker, before)


def test_down_twice_and_down_of_nothing(name):
  assert "is not up" in cluster_verb("down", "--name", name).stdout


def test_clusters_side_by_side(name, version, cluster):
  """The same addresses, names and paths in both, and neither sees the other."""
  other = up(name, version, "--gpu=none")
  Namespace(other, "only-there")
  assert "only-there" not in cluster.kubectl("get", "namespaces")
  assert not (other.root / "run/nvidia").exists()
  assert (cluster.root / "run/nvidia").exists()


def test_a_name_that_cannot_be_one():
  refused = cluster_verb("down", "--name", "../etc", check=False)
  assert refused.returncode == 1
  assert "cannot be a name" in refused.stderr
