# SPDX-License-Identifier: Apache-2.0
"""The DRA driver as a process of the node instead of a pod's, with the rights of its service
account. The test says when it runs and when it dies; a kubelet would start it again ever later."""

import contextlib
import json
import subprocess
import tempfile

from cluster_harness import ROOT, wait_until
from dra import DRIVER_NAMESPACE, DRIVER_ROOT

PROGRAM = ROOT / "build" / "bin" / "hami-dra-driver"
KUBECONFIG = "run/loose-driver.json"


class LooseDriver:
  """`options`: of hami-dra-driver, beside those that it needs."""

  def __init__(self, driver, *options):
    self.cluster = driver.cluster
    self.options = options
    self.process = None
    self.begin = 0
    self.log = tempfile.NamedTemporaryFile("w")
    node = self.cluster.core.read_node(self.cluster.node).metadata
    token = self.cluster.core.create_namespaced_service_account_token(
        "hami-dra-driver", DRIVER_NAMESPACE, {"spec": {"audiences": [], "boundObjectRef": {
            "apiVersion": "v1", "kind": "Node", "name": node.name, "uid": node.uid}}})
    server = {"server": self.cluster.api.configuration.host,
              "certificate-authority": str(self.cluster.folder / "pki" / "ca.crt")}
    (self.cluster.root / KUBECONFIG).write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "loose",
        "clusters": [{"name": "loose", "cluster": server}],
        "users": [{"name": "loose", "user": {"token": token.status.token}}],
        "contexts": [{"name": "loose", "context": {"cluster": "loose", "user": "loose"}}]}))

  def start(self):
    self.begin = self.log.seek(0, 2)
    self.process = self.cluster.start(
        PROGRAM, f"--node-name={self.cluster.node}", f"--kubeconfig=/{KUBECONFIG}",
        f"--nvidia-driver-root=/{DRIVER_ROOT}", f"--container-driver-root=/{DRIVER_ROOT}",
        *self.options, stdout=self.log, stderr=subprocess.STDOUT)

  def kill(self):
    """SIGKILL; `exec` takes the program with it."""
    assert self.process.poll() is None, self.said()[-3000:]
    self.process.kill()
    self.process.wait()
    self.process = None

  def said(self, begin=0):
    with open(self.log.name) as log:
      log.seek(begin)
      return log.read()

  def has_worked(self):
    """Whether the kubelet got something of it since its last start."""
    return "prepared claim=" in self.said(self.begin)

  def wait_registered(self):
    """Since its last start."""
    wait_until(lambda: "registered with the kubelet" in self.said(self.begin),
               "the kubelet knows the driver")


@contextlib.contextmanager
def loose(driver, *options):
  """The driver's pod makes room for a process."""
  driver.stop()
  made = LooseDriver(driver, *options)
  try:
    yield made
  except BaseException:
    print("the driver said:", made.said(), sep="\n")
    raise
  finally:
    try:
      if made.process:
        made.kill()
    finally:
      driver.install()
    wait_until(lambda: driver.pod(), "the driver's pod")
    driver.wait_ready()
