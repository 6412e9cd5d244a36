# SPDX-License-Identifier: Apache-2.0
"""Clusters of `./dev cluster` for tests: up and down, the API with the official client, programs
inside.

The API server exists only in the cluster's network, so the client makes its connections there; all
else of the test's process stays outside. Several clusters can be used in one process, and from any
thread."""

import contextlib
import os
import pathlib
import subprocess
import sys
import time

import kubernetes
import urllib3

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools" / "cluster"))

import namespaces  # noqa: E402
from cluster_folder import ClusterFolder  # noqa: E402

PATIENCE_S = 120  # never the subject of a test, only its end
PROGRAM = (sys.executable, str(ROOT / "tools" / "cluster" / "cluster.py"))


def wait_until(condition, what, patience=PATIENCE_S):
  """The first true value of a condition. A refusal by the API is an answer, not an end."""
  end = time.monotonic() + patience
  seen = None
  while time.monotonic() < end:
    seen = condition()
    if seen:
      return seen
    time.sleep(0.05)
  raise AssertionError(f"not within {patience} s: {what}; last seen: {seen!r}")


@contextlib.contextmanager
def network_of(pid):
  """This thread, and no other, in the network of a process."""
  back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
  try:
    namespaces.enter(pid, ("net",))
    yield
  finally:
    namespaces.enter_descriptor(back, "net")
    os.close(back)


def connections_inside(pid):
  """For urllib3: HTTPS connections that are made in the network of a process."""

  class Connection(urllib3.connection.HTTPSConnection):
    def _new_conn(self):
      with network_of(pid):
        return super()._new_conn()

  class Pool(urllib3.connectionpool.HTTPSConnectionPool):
    ConnectionCls = Connection

  return Pool


def call(*command, check=True, **options):
  """A program to its end, with what it said."""
  result = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, **options)
  if check and result.returncode:
    raise AssertionError(f"{' '.join(map(str, command))}: exit code {result.returncode}\n"
                         f"{result.stdout[-3000:]}\n{result.stderr[-3000:]}")
  return result


def cluster_verb(verb, *arguments, check=True):
  """`./dev cluster VERB`, without the builds that come before it there."""
  return call(*PROGRAM, verb, *arguments, check=check)


class Cluster:
  """A cluster that is up."""

  def __init__(self, name, version):
    self.name = name
    self.version = version
    self.folder = ClusterFolder(name)
    self.api = self._client()
    self.core = kubernetes.client.CoreV1Api(self.api)
    self.resource = kubernetes.client.ResourceV1Api(self.api)

  def _client(self, token=None):
    configuration = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(str(self.folder.kubeconfig),
                                       client_configuration=configuration)
    # A proxy of the machine's environment leads elsewhere.
    configuration.proxy = None
    if token:
      configuration.cert_file = configuration.key_file = None
      configuration.api_key = {"authorization": f"Bearer {token}"}
    client = kubernetes.client.ApiClient(configuration)
    client.rest_client.pool_manager.pool_classes_by_scheme = {
        "https": connections_inside(self.init.pid)}
    return client

  def api_with_token(self, token):
    """The API as somebody else than the administrator."""
    return self._client(token)

  @property
  def init(self):
    """Process 1 of its namespaces."""
    return namespaces.must_have_init(self.folder)

  @property
  def root(self):
    """The file system of its node, as a path for this process."""
    return pathlib.Path(f"/proc/{self.init.pid}/root")

  @property
  def node(self):
    return self.folder.read_settings().node

  def _inside(self, *command):
    return [*PROGRAM, "exec", "--name", self.name, "--", *map(str, command)]

  def run(self, *command, check=True, **options):
    """A program on the node, to its end."""
    return call(*self._inside(*command), check=check, **options)

  def start(self, *command, **options):
    """A program on the node that goes on; signals to it reach the program."""
    return subprocess.Popen(self._inside(*command), text=True, **options)

  def kubectl(self, *arguments, text=None):
    """What kubectl says; `text` is its standard input."""
    result = subprocess.run([*PROGRAM, "kubectl", "--name", self.name, "--", *arguments],
                            capture_output=True, text=True, input=text or "")
    if result.returncode:
      raise AssertionError(f"kubectl {' '.join(arguments)}: {result.stderr[-3000:]}")
    return result.stdout


class Namespace:
  """A namespace of a cluster, for one test."""

  def __init__(self, cluster, name):
    self.cluster = cluster
    self.name = name
    cluster.core.create_namespace({"metadata": {"name": name}})
    # Without it pods are refused.
    wait_until(self._has_service_account, "default service account")

  def _has_service_account(self):
    try:
      return self.cluster.core.read_namespaced_service_account("default", self.name)
    except kubernetes.client.ApiException as problem:
      if problem.status == 404:
        return None
      raise

  def remove(self):
    """Starts it and does not wait; pods end at once."""
    self.cluster.core.delete_collection_namespaced_pod(self.name, grace_period_seconds=0)
    self.cluster.core.delete_namespace(self.name)

  def create_pod(self, name, image="tenant-debian", command=None, **spec):
    container = {"name": "main", "image": f"localhost/{image}:dev", "imagePullPolicy": "Never"}
    if command:
      container["command"] = list(command)
    body = {"metadata": {"name": name, "labels": {"pod": name}},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 1, **spec}}
    return self.cluster.core.create_namespaced_pod(self.name, body)

  def pod(self, name):
    return self.cluster.core.read_namespaced_pod(name, self.name)

  def wait_running(self, name):
    """The pod, once all its containers run."""

    def running():
      pod = self.pod(name)
      states = pod.status.container_statuses or []
      if pod.status.phase == "Running" and all(state.ready for state in states):
        return pod
      if pod.status.phase in ("Failed", "Succeeded"):
        raise AssertionError(f"pod {name} has ended: {pod.status}")
      return None

    try:
      return wait_until(running, f"pod {name} runs")
    except AssertionError as problem:
      events = self.cluster.kubectl("get", "events", "-n", self.name)
      raise AssertionError(f"{problem}\n{events}") from problem

  def logs(self, name):
    # Decoded here: some releases of the client return the bytes' Python notation.
    return self.cluster.core.read_namespaced_pod_log(
        name, self.name, _preload_content=False).data.decode()

  def exec(self, name, *command):
    return self.cluster.kubectl("exec", "-n", self.name, name, "--", *command)
