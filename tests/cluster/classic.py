# SPDX-License-Identifier: Apache-2.0
"""Classic mode for tests: a cluster of API-object nodes with replicas of hami-scheduler, what its
pods hold by the API alone, and whether that fits on the cards."""

import collections
import dataclasses
import http.client
import json
import re
import signal
import sys
import time

import cluster_harness
import kubernetes
import urllib3
from cluster_harness import Cluster, wait_until

sys.path.append(str(cluster_harness.ROOT / "tools" / "cluster"))

import api_nodes  # noqa: E402
import lifecycle  # noqa: E402
import schedulers  # noqa: E402

SCHEDULER = schedulers.NAME
VGPU_NODE = "hami.io/vgpu-node"
VGPU_TIME = "hami.io/vgpu-time"
ALLOCATION = "hami.io/allocation"
ALLOCATED = "hami.io/vgpu-devices-allocated"
# A namespace that says so passes by the webhook: its pods name their scheduler themselves.
IGNORED = {"hami.io/webhook": "ignore"}


@dataclasses.dataclass(frozen=True)
class Slice:
  container: int
  device: str
  memory: int
  cores: int


def slices(text):
  """Of the annotation: containers end with ';', devices with ':'. A text that is no such list is
  an error."""
  found = []
  for index, container in enumerate(text.split(";")):
    for device in filter(None, container.split(":")):
      uuid, vendor, memory, cores = device.split(",")[:4]
      assert vendor == "NVIDIA", text
      found.append(Slice(index, uuid, int(memory), int(cores)))
  return found


def holds(pod):
  """What it holds by contract: a pod that has ended holds nothing, one that is being deleted
  does. Only bound pods: what an unbound one claims to hold is forged, or a reservation."""
  annotations = pod.metadata.annotations or {}
  if pod.status.phase in ("Succeeded", "Failed") or not pod.spec.node_name:
    return []
  if not annotations.get(VGPU_NODE) or ALLOCATED not in annotations:
    return []
  return slices(annotations[ALLOCATED])


def cards(node):
  """uuid -> (slots, memory, cores) of what it announces."""
  text = (node.metadata.annotations or {}).get(api_nodes.REGISTER)
  return {card["id"]: (card["count"], card["devmem"], card["devcore"])
          for card in json.loads(text)} if text else {}


def pod_body(name, memory=None, cores=None, count=1, scheduler=SCHEDULER, annotations=None,
             priority_class=None, run_seconds=None, cpu=None, containers=1):
  """A pod that never runs anything: its node is an API object."""
  limits = {"nvidia.com/gpu": str(count)} if count else {}
  if memory is not None:
    limits["nvidia.com/gpumem"] = str(memory)
  if cores is not None:
    limits["nvidia.com/gpucores"] = str(cores)
  annotations = dict(annotations or {})
  if run_seconds is not None:
    annotations["cluster.hami.io/run-seconds"] = str(run_seconds)
  requests = {"cpu": cpu} if cpu else {}
  spec = {"containers": [{"name": f"c{index}", "image": "localhost/none:dev",
                          "imagePullPolicy": "Never",
                          "resources": {"limits": limits, "requests": requests}}
                         for index in range(containers)],
          "terminationGracePeriodSeconds": 1}
  if scheduler:
    spec["schedulerName"] = scheduler
  if priority_class:
    spec["priorityClassName"] = priority_class
  metadata = {"annotations": annotations}
  metadata["generateName" if name.endswith("-") else "name"] = name
  return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


class Classic:
  """A cluster with replicas. Everything is read from the API server itself, not through a proxy."""

  def __init__(self, cluster: Cluster):
    self.cluster = cluster
    self.core = cluster.core
    self.coordination = kubernetes.client.CoordinationV1Api(cluster.api)
    self.replicas = schedulers.replicas(cluster.folder.read_settings())

  def peer(self):
    """The API as a component of HAMi's, which the policy lets write decisions."""
    client = self.cluster._client()
    client.set_default_header(
        "Impersonate-User", f"system:serviceaccount:{schedulers.NAMESPACE}:hami-device-plugin")
    client.set_default_header("Impersonate-Group", "system:masters")
    return kubernetes.client.CoreV1Api(client)

  # Pods and what they hold.

  def make_namespace(self, name, labels=None):
    self.core.create_namespace({"metadata": {"name": name, "labels": labels or {}}})

    def has_account():
      try:
        return self.core.read_namespaced_service_account("default", name)
      except kubernetes.client.ApiException as problem:
        if problem.status == 404:
          return None
        raise

    wait_until(has_account, "default service account")

  def remove_namespace(self, name):
    self.core.delete_collection_namespaced_pod(name, grace_period_seconds=0)
    self.core.delete_namespace(name)
    wait_until(lambda: not self.core.list_namespaced_pod(name).items, "pods are gone")

  def create(self, namespace, body):
    return self.core.create_namespaced_pod(namespace, body)

  def pod(self, namespace, name):
    return self.core.read_namespaced_pod(name, namespace)

  def wait_bound(self, namespace, name, patience=cluster_harness.PATIENCE_S):
    end = time.monotonic() + patience
    while True:
      pod = self.pod(namespace, name)
      if pod.spec.node_name:
        return pod
      if time.monotonic() > end:
        events = "\n".join(self.events(namespace, name))
        raise AssertionError(f"pod {name} is not bound after {patience} s:\n{events}")
      time.sleep(0.02)

  def events(self, namespace, name):
    """"REASON: message" of each event of a pod, oldest first."""
    found = self.core.list_namespaced_event(
        namespace, field_selector=f"involvedObject.name={name}").items
    found.sort(key=lambda event: event.metadata.creation_timestamp)
    return [f"{event.reason}: {event.message}" for event in found]

  def use(self):
    """uuid -> [slots, memory, cores], and the pods there, by the API objects alone."""
    used = collections.defaultdict(lambda: [0, 0, 0])
    owners = collections.defaultdict(list)
    for pod in self.core.list_pod_for_all_namespaces().items:
      for item in holds(pod):
        for index, amount in enumerate((1, item.memory, item.cores)):
          used[item.device][index] += amount
        owners[item.device].append(f"{pod.metadata.namespace}/{pod.metadata.name}")
    return used, owners

  def assert_nothing_over_committed(self):
    """No card holds more than it has; every slice is of a card of the pod's node. The number of
    slices that were looked at."""
    nodes = {node.metadata.name: cards(node) for node in self.core.list_node().items}
    capacity = {uuid: has for owned in nodes.values() for uuid, has in owned.items()}
    used, owners = self.use()
    for uuid, amounts in used.items():
      if uuid not in capacity:
        continue  # of a node that is away; checked below
      assert all(amount <= has for amount, has in zip(amounts, capacity[uuid], strict=True)), \
          f"{uuid} has {capacity[uuid]} and gives {amounts} to {owners[uuid]}"
    count = 0
    for pod in self.core.list_pod_for_all_namespaces().items:
      for item in holds(pod):
        count += 1
        assert pod.spec.node_name not in nodes or item.device in nodes[pod.spec.node_name], \
            f"{pod.metadata.name} on {pod.spec.node_name} holds {item}"
    return count

  # Replicas.

  def get(self, address, path):
    """Status and text of a GET in the cluster's network; status 0: no answer."""
    try:
      with cluster_harness.network_of(self.cluster.init.pid):
        connection = http.client.HTTPConnection(address, timeout=5)
        connection.connect()
      connection.request("GET", path)
      answer = connection.getresponse()
      return answer.status, answer.read().decode()
    except OSError:
      return 0, ""

  def post(self, address, path, body):
    with cluster_harness.network_of(self.cluster.init.pid):
      connection = http.client.HTTPConnection(address, timeout=10)
      connection.connect()
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read().decode()
    return json.loads(text) if text else None

  def metrics(self, replica):
    """name{labels} -> value of a replica."""
    status, text = self.get(replica.metrics, "/metrics")
    assert status == 200, f"{replica.host} has no metrics: {status}"
    found = {}
    for line in text.splitlines():
      match = re.fullmatch(r"([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)(?: \d+)?", line)
      if match and not line.startswith("#"):
        found[match[1]] = float(match[2])
    return found

  @staticmethod
  def counted(metrics):
    """uuid -> [slots, memory in MiB, cores] by the metrics of one replica; idle cards are left
    out."""
    found = collections.defaultdict(lambda: [0, 0, 0])
    for index, (name, unit) in enumerate((("hami_gpu_shared_count", 1),
                                          ("hami_gpu_memory_allocated_bytes", 2**20),
                                          ("hami_gpu_core_allocated_ratio", 1))):
      for key, value in metrics.items():
        match = re.match(name + r'\{.*device_uuid="([^"]*)"', key)
        if match and value:
          found[match[1]][index] = int(value / unit)
    return dict(found)

  def leader(self):
    """The replica whose kube-scheduler holds the Lease, None while nobody does."""
    try:
      lease = self.coordination.read_namespaced_lease(SCHEDULER, schedulers.NAMESPACE)
    except kubernetes.client.ApiException as problem:
      if problem.status == 404:
        return None
      raise
    holder = (lease.spec.holder_identity or "").rpartition("_")[0]
    return next((item for item in self.replicas if item.host == holder), None)

  def is_running(self, component):
    process = self.cluster.folder.read_process(component)
    return process is not None and process.is_running()

  def kill(self, component):
    process = self.cluster.folder.read_process(component)
    if process:
      process.end(signal.SIGKILL, 30)

  def start(self, component):
    """Again, if it does not run; as a kubelet would."""
    with self.cluster.folder.locked():
      if not self.is_running(component):
        lifecycle.start(self.cluster.folder, component)

  def restart_api_server(self):
    """As an update of it does. Who ends because it was away is started again, as by a kubelet."""
    process = self.cluster.folder.read_process("kube-apiserver")
    if not process.end(signal.SIGTERM, 5):
      process.end(signal.SIGKILL, 30)
    self.start("kube-apiserver")
    wait_until(self._answers, "the API server is back")
    self.start_all()

  def _answers(self):
    try:
      return self.core.read_namespace("default")
    except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError, OSError):
      return None

  def start_all(self):
    for component in self.cluster.folder.read_commands():
      self.start(component)

  def heal(self):
    """All components run, each replica is ready, one leads."""
    self.start_all()
    for replica in self.replicas:
      wait_until(lambda replica=replica: self.get(replica.extender, "/readyz")[0] == 200,
                 f"{replica.host} is ready")
    wait_until(self.leader, "a leader")

  # Weather.

  def faults(self, replica, **faults):
    """For all that a replica says to the API server; see tests/fakes/api_proxy/weather.go."""
    with cluster_harness.network_of(self.cluster.init.pid):
      connection = http.client.HTTPConnection(replica.proxy_control, timeout=10)
      connection.connect()
    connection.request("POST", "/faults", json.dumps(faults))
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()

  def drop(self, replica):
    with cluster_harness.network_of(self.cluster.init.pid):
      connection = http.client.HTTPConnection(replica.proxy_control, timeout=10)
      connection.connect()
    connection.request("POST", "/drop")
    connection.getresponse().read()

  def counts(self, replica):
    return json.loads(self.get(replica.proxy_control, "/counts")[1])

  # Logs of the replicas.

  def log_ends(self):
    """component -> where its log ends now."""
    paths = {replica.components[0]: self.cluster.folder.log(replica.components[0])
             for replica in self.replicas}
    return {name: path.stat().st_size for name, path in paths.items()}

  def logged(self, words, since):
    """Lines with these words that hami-scheduler of any replica wrote since then."""
    found = []
    for component, begin in since.items():
      with open(self.cluster.folder.log(component), "rb") as log:
        log.seek(begin)
        lines = log.read().decode(errors="replace").splitlines()
      found += [f"{component}: {line}" for line in lines if words in line]
    return found

  # The log of writes.

  def audit(self, since=0):
    """Writes that the API server has answered, as (verb, resource, subresource, namespace, name,
    user, code), from a byte of the log on; and where the log ends now."""
    with open(self.cluster.folder / "log" / "audit", "rb") as log:
      log.seek(since)
      text = log.read()
    text = text[:text.rfind(b"\n") + 1]
    found = []
    for line in text.splitlines():
      event = json.loads(line)
      if event["stage"] != "ResponseComplete" or "objectRef" not in event:
        continue
      ref = event["objectRef"]
      found.append(Write(event["verb"], ref.get("resource", ""), ref.get("subresource", ""),
                         ref.get("namespace", ""), ref.get("name", ""),
                         event["user"]["username"], event["responseStatus"]["code"]))
    return found, since + len(text)


Write = collections.namedtuple("Write", "verb resource subresource namespace name user code")
