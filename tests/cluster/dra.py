# SPDX-License-Identifier: Apache-2.0
"""The DRA driver in a cluster of the tests: put there from deploy/dra as a user would, claims and
pods that use it, and what it leaves on the node."""

import contextlib
import json
import os
import re
import shutil
import subprocess

import kubernetes
from cluster_harness import PROGRAM, ROOT, Namespace, wait_until

import simulated_gpu

DRIVER = "hami-core-gpu.project-hami.io"
MANIFESTS = ROOT / "deploy" / "dra"
DRIVER_NAMESPACE = "hami-system"
DAEMON_SET = "hami-dra-driver-kubelet-plugin"
# On the node, without the leading slash.
RECORDS = f"var/lib/kubelet/plugins/{DRIVER}/claims"
SHARES = "run/hami/claims"
DOCUMENTS = "run/cdi"
DRIVER_ROOT = simulated_gpu.DRIVER_ROOT
GPU_MIB = 23028


def raw(call, *arguments, **options):
  """What the API answered, with the names and fields that it wrote."""
  return json.loads(call(*arguments, _preload_content=False, **options).data)


# Objects.


def request(name="gpu", device_class=DRIVER, **capacity):
  exactly = {"deviceClassName": device_class}
  if capacity:
    exactly["capacity"] = {"requests": {key: str(value) for key, value in capacity.items()}}
  return {"name": name, "exactly": exactly}


def claim(name, *requests, **devices):
  """A claim of these requests; by default of 1 GiB."""
  return {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": name},
          "spec": {"devices": {"requests": list(requests or [request(memory="1Gi")]), **devices}}}


def different_gpus():
  """The constraint that every request gets a GPU of its own."""
  return [{"distinctAttribute": f"{DRIVER}/uuid"}]


def opaque(parameters, *requests):
  """A configuration of ours."""
  return {"opaque": {"driver": DRIVER, "parameters": parameters}, "requests": list(requests)}


def container(name="main", claims=("gpu",), image="tenant-debian", **more):
  """A container that uses claims of its pod; "gpu/one" is one request of a claim."""
  used = [dict(zip(("name", "request"), entry.split("/"))) for entry in claims]
  return {"name": name, "image": f"localhost/{image}:dev", "imagePullPolicy": "Never",
          "resources": {"claims": used}, **more}


def pod(name, *containers, claims=None, **spec):
  """A pod; `claims`: its own names for claims, by default "gpu" for one called as the pod."""
  claims = {"gpu": name} if claims is None else claims
  return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
          "spec": {"containers": list(containers) or [container()], "restartPolicy": "Never",
                   "terminationGracePeriodSeconds": 1,
                   "resourceClaims": [{"name": key, "resourceClaimName": value}
                                      for key, value in claims.items()], **spec}}


class Tenants(Namespace):
  """A namespace whose pods use GPUs."""

  def create(self, *objects):
    for body in objects:
      if body["kind"] == "Pod":
        self.cluster.core.create_namespaced_pod(self.name, body)
      else:
        self.cluster.resource.create_namespaced_resource_claim(self.name, body)

  def start(self, name, memory="1Gi", cores=None):
    """A pod and its claim of the same name."""
    capacity = {"memory": memory} | ({} if cores is None else {"cores": cores})
    self.create(claim(name, request(**capacity)), pod(name))

  def run(self, name, **options):
    """A pod with its claim that runs."""
    self.start(name, **options)
    return self.wait_running(name)

  def claim(self, name):
    return raw(self.cluster.resource.read_namespaced_resource_claim, name, self.name)

  def delete_pod(self, name, grace=None):
    self.cluster.core.delete_namespaced_pod(name, self.name, grace_period_seconds=grace)

  def delete_claim(self, name):
    self.cluster.resource.delete_namespaced_resource_claim(name, self.name)

  def has_pod(self, name):
    try:
      return self.pod(name)
    except kubernetes.client.ApiException as problem:
      if problem.status != 404:
        raise
      return None

  def wait_gone(self, name):
    wait_until(lambda: not self.has_pod(name), f"pod {name} is gone")

  def nudge(self, name):
    """Has the kubelet look at a pod at once."""
    self.cluster.core.patch_namespaced_pod(
        name, self.name, {"metadata": {"annotations": {"nudged": os.urandom(4).hex()}}})

  def kill_containers(self, name):
    for status in self.pod(name).status.container_statuses:
      self.cluster.run("ctr", "-n", "k8s.io", "tasks", "kill", "-a", "-s", "SIGKILL",
                       status.container_id.removeprefix("containerd://"))

  def _exec(self, name, container_name, *options):
    choice = ["-c", container_name] if container_name else []
    return ["exec", *options, "-n", self.name, name, *choice, "--"]

  def inside(self, name, *command, container_name=None):
    """What a program in a pod says."""
    return self.cluster.kubectl(*self._exec(name, container_name), *command)

  def tenant(self, name, *actions, container_name=None):
    return self.inside(name, "tenant", *actions, container_name=container_name)

  @contextlib.contextmanager
  def holding(self, name, size, container_name=None):
    """A program in a pod that holds memory of its GPU."""
    program = subprocess.Popen(
        [*PROGRAM, "kubectl", "--name", self.cluster.name, "--",
         *self._exec(name, container_name, "-i"), "tenant", "alloc", size, "wait"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
      assert program.stdout.readline() == f"alloc {size} CUDA_SUCCESS\n"
      yield program
    finally:
      program.communicate()

  def slice_mib(self, name, container_name=None):
    """What a program in a pod takes for the size of its GPU."""
    said = self.tenant(name, "info", container_name=container_name)
    return int(re.search(r"total_mib=(\d+)", said)[1])

  def events(self, name):
    """(reason, message) of what happened to a pod, the first first."""
    found = self.cluster.core.list_namespaced_event(
        self.name, field_selector=f"involvedObject.name={name}").items
    return [(event.reason, event.message) for event in found]

  def wait_event(self, name, reason, *parts):
    """The message of an event of a pod that has all these parts."""

    def found():
      return next((message for seen, message in self.events(name)
                   if seen == reason and all(part in message for part in parts)), None)

    try:
      return wait_until(found, f"an event {reason} of {name} with {parts}")
    except AssertionError as problem:
      raise AssertionError(f"{problem}\nevents: {self.events(name)}") from problem

  def wait_refused(self, name, *parts):
    """What the driver said against a pod. It waits then, and holds nothing."""
    return self.wait_event(name, "FailedPrepareDynamicResources", *parts)


class Driver:
  """The driver of a cluster."""

  def __init__(self, cluster):
    self.cluster = cluster
    self.gpus = 1  # of the node, now

  # Installing.

  def manifests(self):
    """As deploy/README.md says: the policy for claims is for the versions that need it."""
    return [path for path in sorted(MANIFESTS.glob("*.yaml"))
            if self.cluster.version in ("1.34", "1.35") or path.name != "30-claims-policy.yaml"]

  def install(self):
    self.label("on")
    self.cluster.kubectl(
        "apply", *[word for path in self.manifests() for word in ("-f", str(path))])

  def uninstall(self):
    self.cluster.kubectl(
        "delete", "--ignore-not-found", "--timeout=120s",
        *[word for path in reversed(self.manifests()) for word in ("-f", str(path))])

  def stop(self):
    """Takes the DaemonSet away, so that nobody but the test says when a driver runs."""
    self.cluster.kubectl("delete", "--ignore-not-found", "--cascade=foreground", "--timeout=120s",
                         "-f", str(MANIFESTS / "40-driver.yaml"))

  def restart(self):
    """Its pod is made anew."""
    before = {item.metadata.uid for item in self.pods()}
    for item in self.pods():
      self.cluster.core.delete_namespaced_pod(item.metadata.name, DRIVER_NAMESPACE)
    wait_until(lambda: self.pod() and self.pod().metadata.uid not in before, "another driver pod")
    self.wait_ready()

  def label(self, value):
    self.cluster.core.patch_node(self.cluster.node, {"metadata": {"labels": {"gpu": value}}})

  # What it says.

  def pods(self):
    found = self.cluster.core.list_namespaced_pod(
        DRIVER_NAMESPACE, label_selector="app.kubernetes.io/name=hami-dra-driver").items
    return [item for item in found if not item.metadata.deletion_timestamp]

  def pod(self):
    """The one that runs; None: there is none."""
    return next((item for item in self.pods() if item.status.phase == "Running"), None)

  def log(self):
    """Its lines as dicts."""
    running = self.pod()
    if not running:
      return []
    try:
      text = self.cluster.core.read_namespaced_pod_log(
          running.metadata.name, DRIVER_NAMESPACE, _preload_content=False).data.decode()
    except kubernetes.client.ApiException:  # its container is about to start
      return []
    return [json.loads(line) for line in text.splitlines()]

  def wait_said(self, *parts):
    """A line of its log that has all these parts."""

    def found():
      return next((line for line in self.log()
                   if all(part in json.dumps(line) for part in parts)), None)

    return wait_until(found, f"the driver said {parts}")

  def page(self, path):
    """What it serves beside: (status, text)."""
    running = self.pod()
    if not running:
      return None, ""
    try:
      answer = self.cluster.core.connect_get_namespaced_pod_proxy_with_path(
          f"{running.metadata.name}:9396", DRIVER_NAMESPACE, path, _preload_content=False)
      return answer.status, answer.data.decode()
    except kubernetes.client.ApiException as problem:
      return problem.status, problem.body

  def metrics(self):
    """Its figures, by name with labels."""
    _, text = self.page("metrics")
    return {name: float(value) for name, value in
            (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))}

  def slices(self):
    """Its ResourceSlices, as the API server has them."""
    found = raw(self.cluster.resource.list_resource_slice,
                field_selector=f"spec.driver={DRIVER}")["items"]
    return sorted(found, key=lambda item: item["metadata"]["name"])

  def published(self):
    """Names of the devices that can be allocated: those of a complete pool."""
    found = [item["spec"] for item in self.slices()]
    newest = max((spec["pool"]["generation"] for spec in found), default=0)
    current = [spec for spec in found if spec["pool"]["generation"] == newest]
    if not current or len(current) != current[0]["pool"]["resourceSliceCount"]:
      return None
    # Kubernetes 1.34 writes a slice without devices as `"devices": null`.
    return sorted(device["name"] for spec in current for device in spec.get("devices") or [])

  def wait_published(self):
    names = [f"hami-gpu-{minor}" for minor in range(self.gpus)]
    wait_until(lambda: self.published() == names, f"published: {names}")

  def wait_ready(self):
    """Pods that come now find it at once."""
    self.wait_published()
    wait_until(lambda: self.page("readyz")[0] == 200, "the driver is ready")

  # What is on the node.

  def kept(self):
    """Names of what the node keeps for claims, by place."""

    def names(place):
      with contextlib.suppress(FileNotFoundError):
        return sorted(path.name for path in (self.cluster.root / place).iterdir())
      return []

    return {place: names(place) for place in (RECORDS, SHARES, DOCUMENTS)}

  def memory_used_mib(self):
    """Of all GPUs of the node together, as the driver below ours tells it."""
    root = "/" + DRIVER_ROOT
    said = self.cluster.run(
        "env", f"HAMI_SIM={root}/{simulated_gpu.SIMULATION}",
        f"LD_LIBRARY_PATH={root}/{simulated_gpu.LIBRARIES}", f"{root}/usr/bin/nvidia-smi",
        "--query-gpu=memory.used", "--format=csv,noheader,nounits").stdout
    return sum(int(line) for line in said.split())

  def wait_nothing_kept(self):
    """Claims have gone: so must everything that was made for them."""

    def nothing():
      found = {place: names for place, names in self.kept().items() if names}
      return found or None

    try:
      wait_until(lambda: not nothing(), "nothing is kept for claims")
    except AssertionError as problem:
      raise AssertionError(f"{problem}\nleft: {nothing()}") from problem
    used = self.memory_used_mib()
    assert used == 0, f"{used} MiB of GPU memory are held by nobody"

  # The GPU driver below.

  def _places(self):
    return self.cluster.root / DRIVER_ROOT, self.cluster.root / (DRIVER_ROOT + ".away")

  def take_gpu_driver_away(self):
    """As when it is uninstalled: its root stays, empty."""
    root, away = self._places()
    away.mkdir()
    for path in root.iterdir():
      path.rename(away / path.name)

  def bring_gpu_driver_back(self):
    root, away = self._places()
    if not away.exists():
      return
    self.gpus = 1
    for path in root.iterdir():
      shutil.rmtree(path)
    for path in away.iterdir():
      path.rename(root / path.name)
    away.rmdir()

  @contextlib.contextmanager
  def without_gpu_driver(self):
    self.take_gpu_driver_away()
    try:
      yield
    finally:
      self.bring_gpu_driver_back()

  def put_gpu_driver(self, count=1):
    """Another GPU driver, and another number of GPUs, in the place of one that was taken away."""
    root, _ = self._places()
    made = root.with_name("made")
    try:
      simulated_gpu.install(made, ("a10-550", count))
      for path in (made / DRIVER_ROOT).iterdir():
        path.rename(root / path.name)
    finally:
      shutil.rmtree(made, ignore_errors=True)
    self.gpus = count

  @contextlib.contextmanager
  def other_gpus(self, count):
    """The node with another number of GPUs, as after a change of hardware."""
    self.take_gpu_driver_away()
    try:
      wait_until(lambda: self.published() == [], "no GPU is published")
      self.put_gpu_driver(count)
      self.restart()
      yield
    finally:
      self.bring_gpu_driver_back()
      self.restart()
